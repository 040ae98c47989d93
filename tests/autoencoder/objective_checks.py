"""What training minimises, rows and codes chosen so that every term has its own size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.testing import assert_allclose

from skbayes import VAETransformer
from skbayes.autoencoder._corruption import Mask
from skbayes.autoencoder._objective import Objective
from skbayes.autoencoder._table import Table
from skbayes.data._tensors import Data
from skbayes.latent import DiagonalNormal, _divergences
from skbayes.latent._divergences import IMQ_SCALES
from skbayes.latent._latent_mixture import LatentMixture
from skbayes.latent._latent_model import LatentModel, double
from skbayes.latent._normal_latents import NormalLatents
from skbayes.latent._priors import StandardNormal
from skbayes.networks import encoder_decoder
from skbayes.training import Training
from skbayes.utils._random import make_generator
from tests.autoencoder.linear import encoded

N, D, Q = 12, 3, 2


def parts() -> tuple[Objective, dict, Data]:
    """An untrained model of rows of unequal weights, its loss and its parameters."""
    X = np.random.default_rng(0).normal(size=(N, D))
    table = Table.of("shared_gaussian", D, "column").fit(X, np.ones(N))
    head = DiagonalNormal().prepare(Q)
    network = encoder_decoder(D, D, Q, (), (), n_encoded=head.n_outputs)
    model = LatentModel(network, head, table.likelihood, StandardNormal().prepare(Q))
    weight = torch.linspace(0.2, 1.8, N, dtype=torch.float64)
    rows = encoded(torch.from_numpy(table.encode(X)), weight)
    objective = Objective(model, "kl", 1.0, 0.0, 0.0, 1)
    return objective, double(model.init(rows, make_generator(1))), rows


def check_free_bits() -> None:
    """The floor is under a code's mean divergence over the rows, not under each row's."""
    objective, parameters, rows = parts()
    kl = objective.model.encode(parameters, rows).kl_to_standard().numpy()
    mean = rows.weight.numpy() @ kl / N
    floor = float(mean.mean())
    assert kl.min() < floor < kl.max()
    assert mean.min() < floor < mean.max()
    paid = replace(objective, beta=0.7, free_bits=floor)(parameters, rows, make_generator(2), 1.0)
    misfit = replace(objective, beta=0.0)(parameters, rows, make_generator(2), 1.0)
    assert_allclose(float(paid - misfit), 0.7 * np.maximum(mean, floor).sum(), rtol=1e-9)


def check_distance_warms_up() -> None:
    """A distance has its full price at the end of the warm-up, and its share before."""
    objective, parameters, rows = parts()
    distance = torch.tensor(0.7, dtype=torch.float64)
    changed = replace(objective, divergence=lambda *_: distance, beta=3.0, warm_up=0.5)
    losses = [
        float(changed(parameters, rows, make_generator(2), progress)) for progress in (0.0, 0.2, 1)
    ]
    assert_allclose(np.diff(losses), 3 * D * 0.7 * np.array([0.4, 0.6]), rtol=1e-9)


def check_corrupted_holes() -> None:
    """What was missing stays missing, and what is hidden from the encoder is said to be."""
    objective, _, rows = parts()
    observed = torch.ones_like(rows.X)
    observed[:, 0] = 0
    holes = encoded(rows.X * observed, rows.weight, observed=observed)
    seen = Mask(0.4)(holes, objective.model, make_generator(3))
    assert (seen.observed[:, 0] == 0).all()
    assert 0 < seen.observed[:, 1:].mean() < 1
    assert torch.equal(seen.X, holes.X * seen.observed)


def check_divergence_by_code() -> None:
    """Shares of the first codes sum to the divergence of their own marginal law."""
    generator = make_generator(4)
    root = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64).tril()
    root.diagonal(dim1=1, dim2=2).abs_().add_(0.3)
    codes = NormalLatents(torch.randn(5, 3, generator=generator, dtype=torch.float64), root)
    shares = codes.kl_to_standard()
    covariance = root @ root.mT
    for n in (1, 2, 3):
        head, mean = covariance[:, :n, :n], codes.mean[:, :n]
        exact = 0.5 * (head.diagonal(dim1=1, dim2=2).sum(1) + (mean**2).sum(1) - n)
        exact = exact - 0.5 * torch.linalg.slogdet(head)[1]
        torch.testing.assert_close(shares[:, :n].sum(1), exact)
    torch.testing.assert_close(codes.std, covariance.diagonal(dim1=1, dim2=2).sqrt())


def check_curvature_of_mixtures() -> None:
    """Curvatures times the ways to the locations, by their shares, are the gradient.

    So the components bound the log density from below (Lange et al., 2000, section 3.2):
    for heavy tails the precision falls with the distance.
    """
    generator = make_generator(5)
    loc = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    root = torch.randn(3, 2, 2, generator=generator, dtype=torch.float64).tril()
    root.diagonal(dim1=1, dim2=2).abs_().add_(0.5)
    df = torch.tensor([3.0, 5.0, 9.0], dtype=torch.float64)
    z = 2 * torch.randn(4, 2, generator=generator, dtype=torch.float64)
    for k in range(3):
        one = LatentMixture(torch.zeros(1), loc[[k]], root[[k]], df[[k]])
        codes = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(one.log_prob(codes).sum(), codes)
        pull = torch.einsum("nij,nj->ni", one.precision(z), loc[k] - z)
        torch.testing.assert_close(pull, gradient)


def check_default_kernels() -> None:
    """The averaged inverse multiquadric, and Silverman's rule on a line."""
    generator = make_generator(6)
    x = torch.randn(9, 1, generator=generator, dtype=torch.float64)
    y = 2 * torch.randn(11, 1, generator=generator, dtype=torch.float64)

    def imq(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
        d2, h2 = (a - b.T) ** 2, torch.tensor(1.5**2, dtype=torch.float64)
        exact = np.mean([s * 1.5**2 / (s * 1.5**2 + d2.numpy()) for s in IMQ_SCALES], axis=0)
        assert_allclose(_divergences._inverse_multiquadric(d2, h2), exact, rtol=1e-10)
        return exact

    within = [(imq(a, a).sum() - len(a)) / (len(a) * (len(a) - 1)) for a in (x, y)]
    exact = sum(within) - 2 * imq(x, y).mean()
    assert_allclose(float(_divergences.mmd(x, y, bandwidth=1.5)), exact, rtol=1e-10)
    silverman = (4 / (3 * 9)) ** 0.2 * float(y.std(correction=0))
    by_rule, by_number = (
        _divergences.kernel(x, y, make_generator(7), bandwidth=h) for h in ("silverman", silverman)
    )
    assert_allclose(float(by_rule), float(by_number), rtol=1e-10)


def check_prior_of_weighted_rows() -> None:
    """Rows of weight 4 under a prior of scale s are rows of weight 1 under scale 2 s."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    settings = {
        "encoder__hidden_layer_sizes": (),
        "training": Training(max_iter=40, learning_rate=0.05, batch_size=30),
        "random_state": 0,
    }
    heavy = (
        VAETransformer(1, prior_scale=0.01)
        .set_params(**settings)
        .fit(X, sample_weight=np.full(30, 4.0))
    )
    wide, narrow = (
        VAETransformer(1, prior_scale=s).set_params(**settings).fit(X) for s in (0.02, 0.01)
    )
    # Adam divides by the root of squares: rounding may grow, but not to the effect of a prior.
    assert_allclose(heavy.transform(X), wide.transform(X), rtol=1e-3)
    assert np.abs(narrow.transform(X) / wide.transform(X) - 1).max() > 0.02
