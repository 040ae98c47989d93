"""The same update on a torch device: rows stay there, sums come back in double precision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from skbayes.mixture._components import Components
from skbayes.mixture._rows import Rows

if TYPE_CHECKING:
    import torch

__all__ = ["expect_placed", "place"]

#: Bytes of features in a chunk on a device.
CHUNK_BYTES = 2**28


def place(rows: Rows, device: str) -> Rows:
    """Rows with a copy on a torch device; incomplete ones stay with NumPy."""
    if device == "cpu" or rows.observed is not None:
        return rows
    import torch

    return replace(rows, placed=torch.tensor(rows.values, device=device))


def expect_placed(
    components: Components, factors: np.ndarray, rows: Rows, moments: np.ndarray
) -> float:
    """Add the statistics of placed rows to ``moments``; returns their summed log norms."""
    import torch

    placed: torch.Tensor = rows.placed
    dtype = getattr(torch, str(factors.dtype))
    coefficients = torch.tensor(factors, device=placed.device)
    size = max(32, CHUNK_BYTES // (components.n_features * factors.dtype.itemsize))
    log_norm = 0.0
    for start in range(0, len(rows), size):
        values = placed[:, start : start + size].to(dtype)
        weight = rows.weight[start : start + size]
        ones = torch.ones_like(values[:1])
        features = torch.cat([components.quadratic(values), values, ones])
        joint = coefficients @ features
        norm = joint.logsumexp(0)
        shares = (joint - norm).exp_() * torch.tensor(weight.astype(factors.dtype)).to(values)
        moments += (shares @ features.T).cpu().double().numpy()
        log_norm += float(weight @ norm.cpu().double().numpy())
    return log_norm
