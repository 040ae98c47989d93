"""Imported by the process that children are forked from, so that none loads anything."""

import torch

from tests.inference.resumable import SAMPLERS, fit

torch.set_num_threads(1)
for name in SAMPLERS:
    fit(name)
