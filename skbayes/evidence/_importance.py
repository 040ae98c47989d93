"""Evidence by importance sampling, from a normal posterior or one fitted to draws."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skbayes._model import Data, Model
from skbayes.evidence._log_joint import log_joint_of_draws, log_likelihood_of_draws
from skbayes.posteriors import GaussianPosterior, Posterior
from skbayes.utils._logs import LOG_2PI, log_mean_exp
from skbayes.utils._random import randn

#: The proposal is the fitted normal, this much wider: importance weights need tails.
INFLATION = 1.2
N_DRAWS = 2000


def importance_evidence(
    model: Model, data: Data, draws: Tensor, generator: torch.Generator, posterior: Posterior
) -> None:
    """Set the log evidence of ``posterior``, with its standard error, from its draws.

    The proposal is normal with the draws' mean and their covariance, shrunk towards its
    diagonal where there are few draws for the dimension, inflated.

    Parameters
    ----------
    model : Model
        Gives the log joint.
    data : Data
        Training rows.
    draws : Tensor of shape (n, n_params)
        Posterior draws of all unknowns.
    generator : torch.Generator
        Source of the proposals.
    posterior : Posterior
        Where the numbers go.
    """
    draws = draws.double()
    mean, root = _fit_normal(draws)
    noise = randn((N_DRAWS, draws.shape[1]), draws, generator)
    proposals = mean + INFLATION * noise @ root.T
    log_q = -0.5 * (noise**2).sum(1) - torch.log(torch.diagonal(root)).sum()
    log_q -= draws.shape[1] * (0.5 * LOG_2PI + math.log(INFLATION))
    log_joint = log_joint_of_draws(model, data, proposals.to(model.like))
    value, se, ess = log_mean_exp((log_joint - log_q).numpy(force=True))
    posterior.log_evidence, posterior.evidence_se = value, se
    posterior.evidence_kind, posterior.evidence_ess = "importance", ess


def corrected_evidence(
    model: Model,
    data: Data,
    posterior: GaussianPosterior,
    random: Tensor,
    generator: torch.Generator,
) -> None:
    """Set the log evidence of a normal posterior by importance sampling from it.

    Given the entries that the posterior holds at its mean, hyperparameters among them: exact,
    without error, where the normal is the true posterior. Its tails are not widened, so
    that the standard error speaks where the number of effective draws is large.

    Parameters
    ----------
    model : Model
        Gives likelihood and prior.
    data : Data
        Training rows.
    posterior : GaussianPosterior
        Proposal, and where the numbers go.
    random : Tensor of bool of shape (n_weights,)
        Entries that the posterior does not hold.
    generator : torch.Generator
        Source of the proposals.
    """
    draws, log_density = posterior.sample_with_density(N_DRAWS, generator)
    draws = draws.to(model.like)
    log_prior = model.prior.log_base(draws[:, : model.n_weights][:, random])
    log_target = log_likelihood_of_draws(model, data, draws) + log_prior.sum(1).double()
    value, se, ess = log_mean_exp((log_target.cpu() - log_density).numpy(force=True))
    posterior.log_evidence, posterior.evidence_se = value, se
    posterior.evidence_kind, posterior.evidence_ess = "importance", ess


def _fit_normal(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (P,) and lower Cholesky factor (P, P) of a shrunk covariance."""
    n, size = draws.shape
    covariance = torch.atleast_2d(torch.cov(draws.T))
    keep = n / (n + size)
    diagonal = torch.diag(torch.diagonal(covariance).clamp_min(1e-12))
    shrunk = keep * covariance + (1 - keep) * diagonal + 1e-9 * diagonal
    return draws.mean(0), torch.linalg.cholesky(shrunk)
