"""The memory that chains take, known before the first step."""

from __future__ import annotations

import math
from typing import Any

from skbayes._model import Model
from skbayes.exceptions import InsufficientMemoryError
from skbayes.posteriors._diagnostics import AT_ONCE
from skbayes.utils._memory import GIB, available_bytes

#: Copies of the draws at the end of a run: as they were kept, stacked, and thinned as the
#: posterior's array.
COPIES = 3
#: Share by which the process grows beyond them: freed blocks that the allocator holds back
#: (up to .18 measured, four chains of 300 draws of 40,000 weights).
SLACK = 0.2
#: Vectors of a chain that move it: position, momentum, gradients and what they pass through.
VECTORS = 12


def largest_number_of_draws(engine: Any) -> int:
    """Draws of a chain when the run is lengthened as often as it may be."""
    longest = engine.n_sampling_steps() + engine.max_extensions * engine.n_extension_steps()
    return math.ceil(engine.n_samples * longest / engine.n_sampling_steps())


def bytes_needed(engine: Any, model: Model) -> int:
    """Bytes of all chains' draws, of what moves them, and of weights pushed at once."""
    n_draws = largest_number_of_draws(engine)
    vectors = engine.n_chains * (COPIES * n_draws + VECTORS)
    vectors += min(AT_ONCE, engine.n_chains * n_draws)
    return math.ceil((1 + SLACK) * vectors * model.n_params * model.like.element_size())


def check_memory(engine: Any, model: Model) -> None:
    """Raise `InsufficientMemoryError` if the draws would not fit."""
    needed, free = bytes_needed(engine, model), available_bytes(model.like.device)
    if free is None or needed <= free:
        return
    names = ("n_samples", "n_chains", "max_extensions")
    *first, last = [f"inference__{name} (now {getattr(engine, name)})" for name in names]
    dtype = str(model.like.dtype).removeprefix("torch.")
    single = ", or set dtype='float32'" if dtype == "float64" else ""
    raise InsufficientMemoryError(
        f"{type(engine).__name__} needs {needed / GIB:.3g} GiB for {engine.n_chains} chains of up "
        f"to {largest_number_of_draws(engine)} draws of {model.n_params} unknowns in {dtype}, but "
        f"{free / GIB:.3g} GiB are free on {model.like.device.type!r}; lower "
        f"{', '.join(first)} or {last}{single}"
    )
