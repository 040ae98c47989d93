"""Adam as torch has it, without the compiler that its optimisers import."""

from __future__ import annotations

import inspect
from typing import Any

import torch


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` in plain Python.

    torch's own first step imports torch._dynamo, 1.5 seconds and 70 MiB in every process,
    so that a compiled loop would leave the optimiser out; ours are never compiled.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own."""
        inspect.unwrap(torch.optim.Adam.add_param_group)(self, param_group)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step from the gradients that the parameters hold."""
        return inspect.unwrap(torch.optim.Adam.step)(self, closure)
