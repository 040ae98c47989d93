"""Activations and their derivatives as functions of the activation's own value."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Activation(NamedTuple):
    """A function, its pullback from the gradient and the function's value, and it in place."""

    function: Callable[[Tensor], Tensor]
    pullback: Callable[[Tensor, Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor]


def is_fast_by_sigmoid(x: Tensor) -> bool:
    """Whether tanh is computed by the sigmoid, with an absolute error of 2e-7."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent by the sigmoid: five times faster than torch.tanh on CPU builds."""
    if not is_fast_by_sigmoid(x):
        return torch.tanh(x)
    a = torch.sigmoid(2 * x)
    return a * 2 - 1 if torch.is_grad_enabled() else a.mul_(2).sub_(1)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(tanh, torch.ops.aten.tanh_backward, torch.tanh_),
    "relu": Activation(
        torch.relu, lambda g, a: torch.ops.aten.threshold_backward(g, a, 0), torch.relu_
    ),
    "logistic": Activation(torch.sigmoid, torch.ops.aten.sigmoid_backward, torch.sigmoid_),
    "softplus": Activation(
        torch.nn.functional.softplus,
        lambda g, a: -g * torch.expm1(-a),
        torch.nn.functional.softplus,
    ),
}
