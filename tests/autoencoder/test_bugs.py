"""Known bugs of autoencoders, put in one at a time: an exact check must go red."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skbayes import PPCA, VAETransformer
from skbayes.autoencoder import (
    Mask,
    _generative,
    _objective,
    _trained,
)
from skbayes.latent import _divergences, _importance
from skbayes.latent._latent_mixture import LatentMixture
from skbayes.latent._normal_latents import NormalLatents
from skbayes.likelihoods import Gaussian
from tests.autoencoder import objective_checks
from tests.autoencoder.linear import LINEAR, Exact, fitted, rows
from tests.test_mutations import Bug, mutate

X = rows(120)


@cache
def trained():
    """Fitted before any bug is in."""
    vae = fitted(X, n_score_samples=400, training__max_iter=600)
    return vae, Exact(vae)


def check_density():
    vae, exact = trained()
    density, error = vae.score_samples(X, return_std=True)
    z = (density - exact.log_density(X)) / error
    assert np.abs(z).max() < 4.5
    # Errors that are too large hide everything.
    assert error.max() < 0.2


def check_weights():
    """A row of weight 3 is three rows; heavy rows draw the model's mean to their own."""
    weight = np.ones(len(X))
    weight[:5] = 3.0
    weighted = (
        VAETransformer(2)
        .set_params(**{**LINEAR, "training__max_iter": 20})
        .fit(X, sample_weight=weight)
    )
    repeated = fitted(np.concatenate([X, X[:5], X[:5]]), training__max_iter=20)
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-6)
    weight[:5] = 40.0
    heavy = (
        VAETransformer(2)
        .set_params(**{**LINEAR, "training__max_iter": 400})
        .fit(X, sample_weight=weight)
    )
    mean = weight @ X / weight.sum()
    assert (np.abs(Exact(heavy).mean - mean) < 0.1 * X.std(axis=0)).all()


def check_bound():
    vae, exact = trained()
    assert vae.elbo(X, n_samples=2000).mean() <= exact.log_density(X).mean()
    assert vae.elbo(X, n_samples=2000).mean() > exact.log_density(X).mean() - 0.5


def check_codes():
    """Codes' log density and divergence against scipy and their own integral."""
    rng = np.random.default_rng(0)
    root = np.tril(rng.normal(size=(1, 3, 3))) + 2 * np.eye(3)
    mean = rng.normal(size=(1, 3))
    codes = NormalLatents(torch.from_numpy(mean), torch.from_numpy(root))
    law = multivariate_normal(mean[0], root[0] @ root[0].T)
    z = rng.normal(size=(50, 1, 3))
    np.testing.assert_allclose(codes.log_prob(torch.from_numpy(z))[:, 0], law.logpdf(z[:, 0]))
    covariance = root[0] @ root[0].T
    kl = 0.5 * (np.trace(covariance) + mean[0] @ mean[0] - 3 - np.linalg.slogdet(covariance)[1])
    np.testing.assert_allclose(codes.kl_to_standard().sum(), kl)


def check_widths():
    """Laplace's approximation is the posterior of a linear model, from any start."""
    vae, exact = trained()
    encoded = vae._rows(X)[1].to(torch.float64)
    parameters = _importance.double(vae._tensors())
    start = torch.full((len(X), 2), 3.0, dtype=torch.float64)
    found = _importance.laplace(vae._model(), parameters, encoded, start)
    mean, covariance = exact.codes(X)
    np.testing.assert_allclose(found.mean, mean, atol=1e-5)
    np.testing.assert_allclose(found.root[0] @ found.root[0].T, covariance, rtol=1e-5)


def check_imputed():
    vae, exact = trained()
    # The encoder knows nothing of missing values and is far off here.
    row = exact.mean + 4 * exact.loadings[:, 0]
    row[[1, 4]] = np.nan
    mean, variance = exact.imputed(row)
    vae.allow_missing = True
    filled = vae.impute(row[None])[0]
    vae.allow_missing = False
    # Of 400 draws more than 100 count: those of Laplace's approximation, which is exact.
    assert (np.abs(filled[[1, 4]] - mean) < 5 * np.sqrt(variance / 100)).all()


def check_optimum():
    """The optimum's noise and evidence are those of PPCA."""
    ppca = PPCA(2, solver="closed_form", evidence="plugin").fit(X)
    exact = Exact(fitted(X, training__max_iter=800, training__learning_rate=0.02))
    assert 0 <= ppca.score(X) - exact.log_density(X).mean() < 0.01 * X.shape[1]
    assert exact.noise[0] == pytest.approx(ppca.noise_variance_, rel=0.05)


CHECKS = {
    check_density, check_weights, check_bound, check_codes, check_widths,
    check_imputed, check_optimum, objective_checks.check_free_bits,
    objective_checks.check_distance_warms_up, objective_checks.check_corrupted_holes,
    objective_checks.check_divergence_by_code, objective_checks.check_curvature_of_mixtures,
    objective_checks.check_default_kernels, objective_checks.check_prior_of_weighted_rows,
}  # fmt: skip

BUGS = [
    Bug("weights without the proposal", _importance.ImportanceSampler, "draw",
        "- mixture.log_prob(z).double()", "", check_density),
    Bug("prior left out of the weights", _importance.ImportanceSampler, "_log_joint",
        " + log_prior.double()", "", check_density),
    Bug("a density in standardised units", _generative.IntegratedRows, "scores",
        "log_density - self.log_scale", "log_density", check_density),
    Bug("a constant of the noise left out", Gaussian, "log_prob_columns",
        " + 0.5 * LOG_2PI", "", check_density),
    Bug("shares of the mixture left out", _importance._Mixture, "log_prob",
        "math.log(share) + ", "", check_density),
    Bug("a constant of the codes left out", NormalLatents, "log_prob_of",
        "- half_q_log_2pi", "", check_codes),
    Bug("a determinant the wrong way round", NormalLatents, "log_prob_of",
        "- self.log_det_root", "+ self.log_det_root", check_codes),
    Bug("a divergence without its minus one", NormalLatents, "kl_to_standard",
        "+ scale - 1", "+ scale", check_codes),
    Bug("a bound without its divergence", _generative.GenerativeModel, "elbo",
        "density.kl(codes, z[0]).sum(-1)", "0.0", check_bound),
    Bug("curvature without the prior", _importance, "_derivatives",
        "precision + density.precision(z)", "precision", check_widths),
    Bug("gradient without the prior", _importance, "_derivatives",
        "of_outputs) + of_prior", "of_outputs)", check_widths),
    Bug("one Newton step of half the length", _importance, "_derivatives",
        "(2 * STEP)", "STEP", check_widths),
    Bug("imputed by unweighted draws", _generative, "_filled",
        "drawn.shares.split", "(0 * drawn.shares + 1 / 400).split", check_imputed),
    Bug("half of the divergence in training", _objective.Objective, "_bound",
        "beta * kl.sum(-1)", "0.5 * beta * kl.sum(-1)", check_optimum),
    Bug("no noise in training", NormalLatents, "draw",
        "self.mean + self.root * noise", "self.mean + 0 * noise", check_optimum),
    Bug("gradients that pile up", _objective.Gradients, "__call__",
        "grad.zero_()", "pass", check_optimum),
    Bug("weights of rows forgotten", _objective, "_mean",
        "(weight * values).mean(0)", "values.mean(0)", check_weights),
    Bug("equal rows not merged", _trained.TrainedCoder, "_fit",
        "X, given, weight = _canonical(X, given, weight)", "pass", check_weights),
    Bug("a floor under each row's divergence", _objective.Objective, "_bound",
        "_mean(kl, rows).clamp_min(self.free_bits)", "_mean(kl.clamp_min(self.free_bits), rows)",
        objective_checks.check_free_bits),
    Bug("a distance that does not warm up", _objective.Objective, "_distance",
        "beta * self.model", "self.beta * self.model", objective_checks.check_distance_warms_up),
    Bug("missing values seen by a corrupted encoder", Mask, "__call__",
        "kept * rows.observed", "kept", objective_checks.check_corrupted_holes),
    Bug("divergences of dependent codes by column", NormalLatents, "kl_to_standard",
        "self.root.square().sum(-1)", "self.root.square().sum(-2)",
        objective_checks.check_divergence_by_code),
    Bug("curvature of a heavy tail that does not fall", LatentMixture, "precision",
        "/ (self.df + squared)", "/ self.df", objective_checks.check_curvature_of_mixtures),
    Bug("inverse multiquadrics that do not average", _divergences, "_inverse_multiquadric",
        " / len(IMQ_SCALES)", "", objective_checks.check_default_kernels),
    Bug("Silverman's rule with another power", _divergences, "kernel",
        "** 0.2", "** 0.25", objective_checks.check_default_kernels),
    Bug("a prior over the number of distinct rows", _trained.TrainedCoder, "_train",
        "precision(scale).to(device) / total", "precision(scale).to(device) / len(rows)",
        objective_checks.check_prior_of_weighted_rows),
]  # fmt: skip


@pytest.mark.parametrize("check", sorted(CHECKS, key=lambda c: c.__name__))
def test_check_is_green(check):
    check()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what.replace(" ", "-"))
def test_bug_is_caught(monkeypatch, bug):
    trained()
    mutate(monkeypatch, bug)
    with pytest.raises(AssertionError):
        bug.check()
