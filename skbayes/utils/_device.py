"""Whether a torch device can be used, asked before any work."""

from __future__ import annotations


def check_device(device: str) -> None:
    """Refuse a device that torch cannot use here; "cpu" always is, and loads no torch."""
    if device == "cpu":
        return
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device!r} cannot be used here ({reason}); use device='cpu'"
        ) from error
