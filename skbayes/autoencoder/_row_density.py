"""A density of rows under a posterior over autoencoders: new rows, and scores of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes.autoencoder._prior_draws import PriorDraws
from skbayes.autoencoder._reconstructions import in_tiles
from skbayes.base._predictive import as_float
from skbayes.data._tensors import Data, as_tensor
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.latent._fitted_mixtures import (
    DENSITY_ROWS,
    fit_mixtures,
    mixture_of,
    spread_evenly,
    streams,
)
from skbayes.latent._importance import ImportanceSampler
from skbayes.latent._mixture_priors import VariationalMixture
from skbayes.latent._model import LatentModel, Parameters
from skbayes.latent._normal import CommonSpread
from skbayes.mixture import VariationalGMM
from skbayes.networks import EncoderDecoder
from skbayes.neural_network._scaled import scaled_inputs, scaled_rows
from skbayes.posteriors import ParticlePosterior
from skbayes.utils._draws import check_count, seed_streams
from skbayes.utils._logs import log_mean_exp
from skbayes.utils._random import make_generator

#: Draws of a row's code behind its density, for each posterior draw.
N_IMPORTANCE = 100
#: What the density can hold of codes and weights: squares stay in single precision.
LARGEST = 1e18


def _has_density(estimator: Any) -> bool:
    """Whether the estimator has, or will have, a density of codes."""
    return estimator.density is not None


class RowMixture(PriorDraws):
    """Rows as a mixture over posterior draws, each with a density of its own codes.

    ``p(x) = mean_s ∫ p(x | z, w_s) q_s(z) dz``: w_s are the retained draws of decoder and
    noise, q_s the mixture fitted to the codes that the encoder of the same draw gives the
    training rows. No code ever meets one of another draw.
    """

    #: Eight draws are never enough for rows together.
    _few_draws_remedies = (
        "use inference='laplace'",
        "use score_samples(X), the log density of each row by itself",
    )

    density: Any
    density_draws_: np.ndarray
    #: Weights (S, P) of the retained draws, and their mixtures, stacked.
    _density_params: np.ndarray
    _latent_mixtures: dict[str, np.ndarray]
    _dtype: str

    # --- fitting -----------------------------------------------------------------------

    def _make_density(self) -> VariationalGMM:
        """The mixture to fit to codes; other covariances than full matrices are refused."""
        gmm = self._checked_part("density")
        if gmm.covariance_type != "full":
            raise ValueError(
                f"density has covariance_type={gmm.covariance_type!r}, but codes have no axes "
                "of their own; use covariance_type='full'"
            )
        return gmm

    def _fit_density(self, X: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
        """Fitted attributes: the retained draws, and a mixture of the codes of each."""
        if self.density is None:
            return {}
        gmm, model = self._make_density(), self._model()
        params = torch.from_numpy(self._code_params)[None].to(model.like)
        numbers = np.array([self.code_draw_])
        if isinstance(self.posterior_, ParticlePosterior):
            params = self._draws(model).params
            numbers = spread_evenly(len(params), len(self.posterior_.particles))
            params = params[numbers]
        weights, network = model.weights(params), cast(EncoderDecoder, model.network)
        rows = scaled_rows(X[:DENSITY_ROWS], self._x_scaler, model.like.dtype)

        def encode(tile: Tensor) -> Tensor:
            return network.encode(weights, tile).transpose(0, 1)

        codes = in_tiles(rows, encode, weights)
        self._check_range(max(float(np.abs(codes).max()), float(weights.abs().max())))
        mixtures = fit_mixtures(gmm, codes, weight[:DENSITY_ROWS], self._evidence_seed)
        return {
            "density_draws_": numbers,
            "_density_params": params.numpy().copy(),
            "_latent_mixtures": mixtures,
        }

    # --- scores ------------------------------------------------------------------------

    @available_if(_has_density)
    def score_samples(
        self, X: Any, n_importance_samples: int = N_IMPORTANCE, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
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
        ValueError
            If ``likelihood="bernoulli"`` and X holds numbers between 0 and 1.
        """
        n_codes = check_count(n_importance_samples)
        self._check_probable(X)
        log_density, error = self._draw_scores(X, n_codes)
        if not return_std:
            return _mixed(log_density)
        return _mixed(log_density), np.sqrt(((softmax(log_density, axis=0) * error) ** 2).sum(0))

    @available_if(_has_density)
    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, as `fit` takes them.
        y : Ignored
            Present by convention.

        Returns
        -------
        score : float
            Mean of `score_samples`, in nats a row: it may be compared over numbers of
            components. That of reconstructions is the mean of `log_predictive`.
        """
        return float(self.score_samples(X).mean())  # type: ignore[union-attr]

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
        return -_mixed(self._draw_scores(X, N_IMPORTANCE)[0])

    def _new_evidence(self, X: Any, y: Any) -> tuple[float, float, float]:
        """Joint log density of rows, with the errors of codes' and posterior's draws."""
        if self.density is None:
            raise EvidenceUnavailableError(
                f"{type(self).__name__}(density=None) has no density of rows; use "
                "density='dpmm', or log_predictive(X) for reconstructions"
            )
        self._check_probable(X)
        log_density, error = self._draw_scores(X, N_IMPORTANCE)
        total = log_density.sum(1)
        value, posterior_se, n_effective = log_mean_exp(total)
        of_codes = ((softmax(total)[:, None] * error) ** 2).sum()
        if not self.posterior_.monte_carlo or len(self.density_draws_) == 1:
            return value, float(np.sqrt(of_codes)), np.inf
        return value, float(np.sqrt(of_codes + posterior_se**2)), n_effective

    def _draw_scores(self, X: Any, n_codes: int) -> tuple[np.ndarray, np.ndarray]:
        """Log density and its standard error (S, N) of rows under each retained draw."""
        X, inputs = self._inputs(X)
        targets = as_tensor(scaled_inputs(self._y_scaler, X), torch.float32)
        rows = Data(inputs[:].float(), targets, torch.ones(len(targets)))
        scores = []
        seeds = streams(self._prediction_seed, len(self.density_draws_))
        for (model, parameters), seed in zip(self._drawn(), seeds, strict=True):
            sampler = ImportanceSampler(
                model, parameters, True, n_codes, seed, model.network.widest
            )
            scores.append(sampler.scores(rows)[:2])
        log_density, error = (np.stack(part) for part in zip(*scores, strict=True))
        return log_density - np.log(self._y_scaler.scale).sum(), error

    def _check_range(self, reach: float) -> None:
        """Refuse codes and weights that single precision cannot hold; rows are clipped."""
        if not reach <= LARGEST:
            scaling = self.scale_inputs  # type: ignore[attr-defined]
            raise ValueError(
                f"X leads to codes or weights up to {reach:.3g} under scale_inputs={scaling!r}, "
                "whose squares exceed the single precision of the density of rows; use "
                "scale_inputs='column', or set density=None"
            )

    def _check_probable(self, X: Any) -> None:
        """Refuse rows to which the likelihood gives no probability."""
        if self._of_shares and not np.isin(self._inputs(X)[0], (0, 1)).all():  # type: ignore[attr-defined]
            raise ValueError(
                "X holds numbers other than 0 and 1, which have no density under "
                "likelihood='bernoulli'; round X, or use anomaly_score or log_predictive"
            )

    def _drawn(self) -> Iterator[tuple[LatentModel, Parameters]]:
        """Each retained draw as a model of rows and codes, and its parameters."""
        model = self._model()
        params = torch.from_numpy(self._density_params).to(model.like)
        weights, hyper = model.weights(params).float(), model.hyper(params).float()
        network = cast(EncoderDecoder, model.network)
        for draw in range(len(params)):
            mixture = mixture_of(self._latent_mixtures, draw)
            spread = CommonSpread(torch.linalg.cholesky(mixture.covariance()))
            prior = VariationalMixture().prepare(network.n_latents)
            own = {
                f"prior_{k}": torch.from_numpy(v[draw]) for k, v in self._latent_mixtures.items()
            }
            parameters = {"weights": weights[[draw]], "noise": hyper[[draw]], **own}
            yield LatentModel(network, spread, model.likelihood, prior), parameters

    # --- new rows ----------------------------------------------------------------------

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
        n, seeds = check_count(n_samples), seed_streams(random_state)
        generator, of_noise = make_generator(seeds["draws"]), make_generator(seeds["noise"])
        label = torch.randint(len(self.density_draws_), (n,), generator=generator)
        rows = np.empty((n, self.n_features_in_))
        for draw, (model, parameters) in enumerate(self._drawn()):
            at = torch.nonzero(label == draw)[:, 0]
            if not len(at):
                continue
            codes = model.latent_density(parameters).sample(len(at), generator)
            rows[at] = self._decoded(model, parameters, codes, of_noise if noise else None)
        return as_float(self._y_scaler.inverse_transform(rows), np.dtype(self._dtype))

    @torch.inference_mode()
    def _decoded(
        self,
        model: LatentModel,
        parameters: Parameters,
        codes: Tensor,
        generator: torch.Generator | None,
    ) -> np.ndarray:
        """Standardised rows (n, T) of codes (n, q): drawn, or means without a generator."""
        outputs = model.decode(parameters, codes.float(), None)[None]
        hyper = parameters["noise"]
        if generator is None:
            return self.likelihood_.mean(outputs, hyper)[0].double().numpy()
        return self.likelihood_.sample(outputs, hyper, generator)[0].double().numpy()


def _mixed(log_density: np.ndarray) -> np.ndarray:
    """Log of the mean over draws of densities (S, N)."""
    return logsumexp(log_density, axis=0) - np.log(len(log_density))
