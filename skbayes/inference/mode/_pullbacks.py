"""Roots of the likelihood's information, pulled back through the gradients of a layer's outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes.inference.mode._class_information import ClassInformation


def _scaled(pullback: Tensor | ClassInformation, row: Tensor) -> Tensor | ClassInformation:
    if isinstance(pullback, ClassInformation):
        return pullback.scaled(row)
    return pullback * row.to(pullback).view(-1, *[1] * (pullback.dim() - 1))


def _pullback(grads: Tensor, root: Tensor | ClassInformation) -> Tensor | ClassInformation:
    """Root of the likelihood's information, through gradients (K, out, n) of the outputs."""
    if isinstance(root, ClassInformation):
        return root if _is_identity(grads) else root.pull_back(grads)
    if root.dim() == 3:
        return torch.einsum("kon,nkj->ojn", grads, root)
    if _is_identity(grads):
        return root.T
    return (grads * root.T[:, None]).transpose(0, 1)


def _is_identity(grads: Tensor) -> bool:
    """Whether gradients (K, out, n) are one identity for all rows: the outputs' own layer."""
    n_outputs, n_units, n_rows = grads.shape
    if n_outputs != n_units or (n_rows > 1 and grads.stride(2)):
        return False
    return torch.equal(grads[..., 0], torch.eye(n_outputs).to(grads))


def output_curvature(pullback: Tensor | ClassInformation) -> Tensor:
    """Gram matrix (out, out) of a pullback."""
    if isinstance(pullback, ClassInformation):
        return pullback.gram()
    if pullback.dim() == 2:
        return torch.diag((pullback**2).sum(1)).double()
    flat = pullback.flatten(1)
    return (flat @ flat.T).double()


def curvature_along(pullback: Tensor | ClassInformation, basis: Tensor) -> Tensor:
    """Curvature (K, out) of each output along the directions of a basis (out, out)."""
    if isinstance(pullback, ClassInformation):
        pullback = pullback.written_out()
    if pullback.dim() == 2:
        return (pullback**2).sum(1, dtype=basis.dtype)[:, None] * basis**2
    return (torch.einsum("oi,okn->kin", basis, pullback.to(basis)) ** 2).sum(2)
