"""Rows as networks see them, made slice by slice."""

from __future__ import annotations

import numpy as np
import torch

from skbayes.data._scaling import Standardizer
from skbayes.data._tensors import as_tensor
from skbayes.data._tiles import EncodedRows

#: Standardised inputs are clipped here, so that no product overflows single precision.
LARGEST_INPUT = 1e12


def scaled_rows(X: np.ndarray, scaler: Standardizer, dtype: torch.dtype) -> EncodedRows:
    """Rows to be standardised slice by slice."""
    return EncodedRows(X, lambda part: as_tensor(scaled_inputs(scaler, part), dtype))


def scaled_inputs(scaler: Standardizer, X: np.ndarray) -> np.ndarray:
    """Standardised rows, clipped to what single precision can multiply."""
    return np.clip(scaler.transform(X), -LARGEST_INPUT, LARGEST_INPUT)
