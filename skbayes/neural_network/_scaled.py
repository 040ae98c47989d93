"""Rows as networks see them, made slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skbayes.data._scaling import Standardizer
from skbayes.data._tensors import as_tensor

#: Standardised inputs are clipped here, so that no product overflows single precision.
LARGEST_INPUT = 1e12


@dataclass(frozen=True)
class ScaledRows:
    """Rows standardised slice by slice, so that no copy of the whole table is made."""

    X: np.ndarray
    scaler: Standardizer
    dtype: torch.dtype

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, at: slice) -> Tensor:
        return as_tensor(scaled_inputs(self.scaler, self.X[at]), self.dtype)


def scaled_inputs(scaler: Standardizer, X: np.ndarray) -> np.ndarray:
    """Standardised rows, clipped to what single precision can multiply."""
    return np.clip(scaler.transform(X), -LARGEST_INPUT, LARGEST_INPUT)
