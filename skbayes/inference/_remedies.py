"""What to type where a run went wrong, in the parameters' own names."""

from __future__ import annotations

from typing import Any


def smaller_rate(learning_rate: float, name: str = "inference__learning_rate") -> str:
    """Of a training that left the numbers."""
    return f"Lower {name} (now {learning_rate:.3g}), for example to a tenth."


def smaller_step(engine: Any, step_size: float) -> str:
    """Of a sampler whose steps are too large: found anew over more steps, or given by hand."""
    if engine.step_size != "auto":
        return f"Set inference__step_size (now {step_size:.3g}) to 'auto' or a tenth."
    return (
        f"Raise inference__warmup (now {engine.warmup}), or set inference__step_size below "
        f"{step_size:.3g}, which was found automatically."
    )
