"""Whether a torch device can be used, asked before any work."""

from __future__ import annotations

from skbayes.utils._suggestions import did_you_mean


def check_device(device: str) -> None:
    """Refuse a device that torch cannot use here; "cpu" always is, and loads no torch."""
    if device == "cpu":
        return
    import torch

    kind = device.partition(":")[0]
    if kind in ("gpu", "GPU", "nvidia"):
        raise ValueError(f"device={device!r} is not a device of torch; use 'cuda' or 'cpu'")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        if reason.startswith("Expected one of"):  # and names two dozen
            near = did_you_mean(kind, ("cpu", "cuda", "mps", "xpu"))
            reason = f"torch knows no such device{near}"
        raise ValueError(
            f"device={device!r} cannot be used here ({reason}); use device='cpu'"
        ) from error
