"""What the warm-up measures: the stiffest direction, and gradients' mean squares."""

import numpy as np
import pytest
import torch

from skbayes.inference.sgmcmc._preconditioning import PRIOR_STEPS, GradientMoments
from skbayes.inference.sgmcmc._step_size import largest_curvature
from skbayes.utils._random import make_generator


def test_largest_curvature_is_the_top_eigenvalue_over_chains():
    """Chains with Hessians of their own; power iteration ends within a fifth of the largest."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(3, 20, 6)) * np.array([1.0, 3.0, 2.0])[:, None, None]
    hessians = torch.from_numpy(np.einsum("cni,cnj->cij", roots, roots))
    scale = torch.from_numpy(rng.uniform(0.5, 2.0, 6))
    found = largest_curvature(
        lambda q: -torch.einsum("cij,cj->ci", hessians, q),
        torch.from_numpy(rng.normal(size=(3, 6))),
        scale,
        make_generator(0),
    )
    scaled = hessians * scale[:, None] * scale
    exact = float(torch.linalg.eigvalsh(scaled).max())
    assert 0.8 * exact < found <= exact * (1 + 1e-6)


def test_flat_targets_count_as_the_prior():
    zeros = torch.zeros(2, 3)
    assert largest_curvature(torch.zeros_like, zeros, torch.ones(3), make_generator(0)) == 1.0


def test_scale_is_the_fourth_root_of_the_mean_squared_gradient():
    moments = GradientMoments.empty(torch.zeros(2, dtype=torch.float64))
    grads = torch.tensor([[[1.0, 10.0], [3.0, 20.0]], [[2.0, 0.0], [2.0, 10.0]]]).double()
    for grad in grads:
        moments.update(grad)
    total = (grads**2).mean(1).sum(0)
    expected = ((total + PRIOR_STEPS) / (2 + PRIOR_STEPS)) ** -0.25
    assert moments.scale().tolist() == pytest.approx(expected.tolist())
    root = float(total.sum() / 2) ** 0.5
    assert moments.norm(torch.ones(2).double()) == pytest.approx(root)
