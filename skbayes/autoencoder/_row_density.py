"""A density of rows under a posterior over autoencoders: new rows, and scores of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skbayes._model import Model
from skbayes.base._density import DensityEstimator
from skbayes.base._predictive import Estimate, RowDensity, as_float
from skbayes.data._tensors import Data
from skbayes.latent._bottlenecks import CommonSpread
from skbayes.latent._fitted_mixtures import mixture_of, streams
from skbayes.latent._importance import ImportanceSampler
from skbayes.latent._latent_model import LatentModel, Parameters
from skbayes.latent._mixture_priors import VariationalMixture
from skbayes.networks import EncoderDecoder
from skbayes.utils._draws import check_count, seed_streams
from skbayes.utils._logs import log_mean_exp
from skbayes.utils._random import make_generator

#: Draws of a row's latents behind its density, for each posterior draw.
N_IMPORTANCE = 100


@dataclass(frozen=True)
class MixedRows(RowDensity):
    """Density of rows as the mean over posterior draws.

    Attributes
    ----------
    log_density, error : ndarray of shape (S, N)
        Under each draw, latents integrated out, and its standard error.
    monte_carlo : bool
        Whether the draws are random ones of a posterior.
    dtype : dtype
        Precision of the caller's rows.
    """

    log_density: np.ndarray
    error: np.ndarray
    monte_carlo: bool
    dtype: np.dtype

    def log_prob(self) -> np.ndarray:
        """Compute the log density (N,) of each row."""
        return logsumexp(self.log_density, axis=0) - np.log(len(self.log_density))

    def std_error(self) -> np.ndarray:
        """Compute standard errors (N,) of the log densities, those of the latents' draws."""
        return np.sqrt(((softmax(self.log_density, axis=0) * self.error) ** 2).sum(0))

    def log_prob_joint(self) -> Estimate:
        """Compute the log density of all rows, with the errors of latents' and posterior's draws.

        Returns
        -------
        value, std_error, n_effective : float
        """
        total = self.log_density.sum(1)
        value, posterior_se, n_effective = log_mean_exp(total)
        of_latents = ((softmax(total)[:, None] * self.error) ** 2).sum()
        if not self.monte_carlo or len(total) == 1:
            return value, float(np.sqrt(of_latents)), np.inf
        return value, float(np.sqrt(of_latents + posterior_se**2)), n_effective


class RowMixture:
    """Standardised rows as a mixture over posterior draws, each with a density of its latents.

    ``p(x) = mean_s ∫ p(x | z, w_s) q_s(z) dz``: w_s are the retained draws of decoder and
    noise, q_s the mixture fitted to the latents that the encoder of the same draw gives the
    training rows. No latent ever meets one of another draw.

    Parameters
    ----------
    model : Model
    params : ndarray of shape (S, P)
        The retained draws.
    mixtures : dict of ndarray
        Their mixtures, stacked.
    """

    def __init__(self, model: Model, params: np.ndarray, mixtures: dict[str, np.ndarray]) -> None:
        self.model, self.params, self.mixtures = model, params, mixtures

    def members(self) -> Iterator[tuple[LatentModel, Parameters]]:
        """Each retained draw as a model of rows and latents, and its parameters."""
        params = torch.from_numpy(self.params).to(self.model.like)
        weights, hyper = self.model.weights(params).float(), self.model.hyper(params).float()
        network = cast(EncoderDecoder, self.model.network)
        for draw in range(len(params)):
            mixture = mixture_of(self.mixtures, draw)
            spread = CommonSpread(torch.linalg.cholesky(mixture.covariance()))
            prior = VariationalMixture().prepare(network.n_latents)
            own = {f"prior_{k}": torch.from_numpy(v[draw]) for k, v in self.mixtures.items()}
            parameters = {"weights": weights[[draw]], "noise": hyper[[draw]], **own}
            yield LatentModel(network, spread, self.model.likelihood, prior), parameters

    def scores(self, rows: Data, n_draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Log density and its standard error (S, N) of rows under each retained draw."""
        scores = []
        seeds = streams(seed, len(self.params))
        for (model, parameters), own in zip(self.members(), seeds, strict=True):
            width = model.network.widest
            sampler = ImportanceSampler(model, parameters, True, n_draws, own, width)
            scores.append(sampler.scores(rows)[:2])
        log_density, error = (np.stack(part) for part in zip(*scores, strict=True))
        return log_density, error

    @torch.inference_mode()
    def sample(self, n_samples: int, random_state: Any, noise: bool) -> np.ndarray:
        """Draw rows (n_samples, T): each by one of the draws, and latents from its mixture."""
        seeds = seed_streams(random_state)
        generator, of_noise = make_generator(seeds["draws"]), make_generator(seeds["noise"])
        label = torch.randint(len(self.params), (n_samples,), generator=generator)
        rows = torch.empty((n_samples, self.model.n_targets), dtype=torch.float64)
        for draw, (model, parameters) in enumerate(self.members()):
            at = torch.nonzero(label == draw)[:, 0]
            if not len(at):
                continue
            z = model.latent_density(parameters).sample(len(at), generator)
            outputs, hyper = model.decode(parameters, z.float(), None)[None], parameters["noise"]
            if noise:
                (found,) = model.likelihood.sample(outputs, hyper, of_noise)
            else:
                (found,) = model.likelihood.mean(outputs, hyper)
            rows[at] = found.double()
        return rows.numpy()


def _has_density(estimator: Any) -> bool:
    """Whether the estimator has, or will have, a density of latents."""
    return estimator.density is not None


class MixedRowVerbs(DensityEstimator):
    """Verbs over the density of rows, which `fit` makes unless there is to be none."""

    #: Eight draws are never enough for rows together.
    _few_draws_remedies = (
        "use inference='laplace'",
        "use score_samples(X), the log density of each row by itself",
    )

    # Of the estimator.
    density: Any
    log_predictive: Callable[..., np.ndarray]
    _y_scaler: Any
    _dtype: str

    def _density(self, X: Any, y: Any, n_draws: int = N_IMPORTANCE) -> MixedRows:
        raise NotImplementedError(f"{type(self).__name__} must define _density")

    def _mixed(self, X: Any, n_draws: int) -> MixedRows:
        """The density of rows, where the likelihood may give them no probability."""
        raise NotImplementedError(f"{type(self).__name__} must define _mixed")

    def _mixture(self) -> RowMixture:
        """The fitted mixture."""
        raise NotImplementedError(f"{type(self).__name__} must define _mixture")

    @available_if(_has_density)
    def score_samples(
        self,
        X: Any,
        y: Any = None,
        n_importance_samples: int = N_IMPORTANCE,
        return_std: bool = False,
    ) -> Any:
        """Log density of each row, its code integrated out.

        The mean over the draws in ``density_draws_`` of the integral over codes z of
        p(x | z, draw) times the density of that draw's codes: a density of rows that
        integrates to one over all x, in which a row is not its own input. Integrals are
        by importance sampling, from the encoder's code with the spread of all codes,
        Laplace's approximation at the mode of p(z | x), and the same widened; on average
        too small by half of the squared standard error.

        The weights are those draws; the mixtures of codes know the training rows besides
        (they are fitted to encoded rows, as in Tran et al., 2021, section 4.3), so that
        this is the density of new rows under the fitted generator.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.
        y : Ignored
            Present by convention.
        n_importance_samples : int, default=100
            Draws of a row's code for each posterior draw.
        return_std : bool, default=False
            Return standard errors of the importance sampling as well.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats and in the units of X, with every constant; with
            ``likelihood="bernoulli"`` log probabilities.
        std_error : ndarray of shape (n_rows,)
            Only with ``return_std=True``.

        Raises
        ------
        EvidenceUnavailableError
            If ``likelihood="bernoulli"`` and X holds numbers between 0 and 1.
        """
        density = self._density(X, y, check_count(n_importance_samples))
        return (density.log_prob(), density.std_error()) if return_std else density.log_prob()

    score = available_if(_has_density)(DensityEstimator.score)

    def anomaly_score(self, X: Any) -> np.ndarray:
        """How strange each row is: the larger, the stranger.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.

        Returns
        -------
        score : ndarray of shape (n_rows,)
            The negative of `score_samples`, in nats; numbers between 0 and 1 count as
            shares of ones under ``likelihood="bernoulli"``. With ``density=None`` the
            negative of `log_predictive`: how badly a row is told from its own code, which
            overlooks what a wide code copies well.
        """
        if self.density is None:
            return -self.log_predictive(X)
        return -self._mixed(X, N_IMPORTANCE).log_prob()

    @available_if(_has_density)
    def sample(
        self, n_samples: int = 1, random_state: Any = None, noise: bool = True
    ) -> np.ndarray:
        """Draw new rows, from the density of `score_samples`.

        For each row one of the draws in ``density_draws_``, a code from its mixture, and a
        row from its decoder.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.
        noise : bool, default=True
            Whether rows are drawn, or are the decoder's means at drawn codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        rows = self._mixture().sample(check_count(n_samples), random_state, noise)
        return as_float(self._y_scaler.inverse_transform(rows), np.dtype(self._dtype))
