"""What a fitted model of rows and codes says with a density: scores, draws, missing values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes.autoencoder._base import RowCoder
from skbayes.base._density import DensityEstimator
from skbayes.base._estimator import few_draws
from skbayes.base._latent import LatentTransformer
from skbayes.base._predictive import Estimate, LatentDistribution, RowDensity, as_float
from skbayes.data._tensors import Data
from skbayes.data._tiles import by_tiles
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.latent._importance import ImportanceSampler, Weighted, modes_cost
from skbayes.latent._latent_model import count, double
from skbayes.latent._normal_latents import NormalLatents
from skbayes.utils._draws import check_count
from skbayes.utils._logs import MIN_EFFECTIVE_DRAWS
from skbayes.utils._random import torch_draw_generator
from skbayes.utils._sklearn import in_container
from skbayes.utils._threads import SMALL_TILE, limit_threads

#: Training rows whose densities `fit` computes, the rest are estimated from them: so many at
#: least, and as many as this number of products of draws, rows and parameters allows.
EVIDENCE_ROWS, EVIDENCE_WORK = 256, 3e10


class GenerativeModel(RowCoder, LatentTransformer, DensityEstimator):
    """Densities, draws and missing values given the fitted parameters."""

    _few_draws_remedies = ("raise n_score_samples, or use score_samples(X)",) * 2
    n_score_samples: int
    _why_none: str

    # Set by fit.
    _seed: int
    evidence_kind_: str | None
    evidence_se_: float | None
    _log_evidence: float | None
    _evidence_ess: float | None

    def _latent(self, X: Any, y: Any) -> EncodedLatents:
        X, rows = self._rows(X, y)
        return EncodedLatents(self._encode(rows), X.dtype)

    def _density(self, X: Any, y: Any, n_draws: int | None = None) -> IntegratedRows:
        X, rows = self._rows(X, y)
        if not self._model().bottleneck.has_density:
            raise EvidenceUnavailableError(self._no_density())
        if self._holds_shares(rows):
            raise ValueError(
                "X holds values strictly between 0 and 1 in binary columns: they have no "
                "density under likelihood='bernoulli'; use BernoulliColumns('threshold'), or "
                "round X"
            )
        return IntegratedRows(self._sampler(n_draws), rows, self._table.log_scale(rows), X.dtype)

    def score_samples(
        self,
        X: Any,
        y: Any = None,
        n_importance_samples: int | None = None,
        return_std: bool = False,
    ) -> Any:
        """Log density of each row given the fitted parameters, codes integrated out.

        By importance sampling (Burda et al., 2016): log p(x) = log mean_k p(x, z_k) / q(z_k),
        with z_k from a mixture of the encoder's normal, Laplace's approximation at the mode
        of p(z | x), and that widened. On average too small by half of the squared standard
        error; it rises with the number of draws.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; where values are missing, the density is that of the observed ones.
        y : array-like, optional
            Targets, which ``condition_on_y=True`` needs: the density is that given them.
        n_importance_samples : int, optional
            Draws a row; by default ``n_score_samples``.
        return_std : bool, default=False
            Return standard errors as well.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            In nats and in units of X, with every constant. Binary and categorical columns
            contribute log probabilities.
        std_error : ndarray of shape (n_rows,)
            Only with ``return_std=True``.

        Raises
        ------
        ValueError
            If binary columns hold values between 0 and 1, which have no density.
        """
        log_density, error, _ = self._density(X, y, n_importance_samples).scores()
        return (log_density, error) if return_std else log_density

    def _no_density(self) -> str:
        return (
            f"latents of bottleneck={self._architecture['bottleneck']!r} have no density, nor "
            "have rows; use elbo(X)"
        )

    def _holds_shares(self, rows: Data) -> bool:
        """Whether binary columns hold other numbers than zeros and ones."""
        return self._table.holds_shares(rows.y)

    def _sampler(self, n_draws: int | None = None) -> ImportanceSampler:
        n = self.n_score_samples if n_draws is None else check_count(n_draws)
        return ImportanceSampler(
            self._model(), self._tensors(), self._trained_widths, n, self._seed
        )

    def elbo(self, X: Any, y: Any = None, n_samples: int = 16) -> np.ndarray:
        """Evidence lower bound of each row, at beta = 1 whatever the training used.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like, optional
            Targets, which ``condition_on_y=True`` needs.
        n_samples : int, default=16
            Draws of the code that the reconstruction term is averaged over.

        Returns
        -------
        elbo : ndarray of shape (n_rows,)
            In nats and in units of X; on average below `score_samples`.
        """
        n = check_count(n_samples)
        X, rows = self._rows(X, y)
        model, parameters = self._model(), double(self._tensors())
        density, posterior = model.latent_density(parameters), self._encode(rows)
        sampler = self._sampler(n)

        def bound(tile: Data, at: slice) -> tuple[Tensor]:
            index = torch.arange(at.start, at.start + sampler.size).clamp_max(len(rows) - 1)
            codes = NormalLatents(posterior.mean[index], posterior.root[index])
            noise = sampler.noise(tile).double()
            z = codes.draw(noise)
            with torch.no_grad():
                fit = model.log_prob(parameters, tile.to(torch.float64), z)
                if model.prior.by_latent or not model.bottleneck.has_density:
                    return (fit.mean(0) - density.kl(codes, z[0]).sum(-1),)
                return ((fit + density.log_prob(z) - codes.log_prob_of(noise)).mean(0),)

        found = by_tiles(rows, sampler.size, bound, sampler.work)[0]
        return found - self._table.log_scale(rows)

    def _store_evidence(self, rows: Data, total: float) -> None:
        """Log density of the training rows, from a sample of them where they are many."""
        if not self._model().bottleneck.has_density:
            self._set_evidence(None, self._no_density())
            return
        if self._holds_shares(rows):
            why = "binary columns hold values between 0 and 1; use BernoulliColumns('threshold')"
            self._set_evidence(None, why)
            return
        # Canonical rows are as good as shuffled: their order is that of a hash.
        n_parameters = count(self._tensors())
        n_decoded = self.n_score_samples + modes_cost(self.n_components_)
        affordable = int(EVIDENCE_WORK / (n_decoded * n_parameters))
        m = min(len(rows), max(EVIDENCE_ROWS, affordable))
        sampled = rows.rows(slice(0, m))
        weight = sampled.weight.double().numpy()
        share = weight / weight.sum()
        log_scale = self._table.log_scale(sampled)
        density = IntegratedRows(self._sampler(), sampled, log_scale, np.dtype(np.float64))
        log_density, error, effective = density.scores()
        mean = share @ log_density
        variance = (share**2) @ error**2
        left_out = 1 - m / len(rows)
        variance += left_out * (share**2) @ (log_density - mean) ** 2
        found = total * float(mean), total * float(np.sqrt(variance)), float(np.median(effective))
        few = found[2] < MIN_EFFECTIVE_DRAWS
        why = f"{few_draws(found[2])}; {self._few_draws_remedies[0]}" if few else ""
        self._set_evidence(None if few else found, why)

    def _set_evidence(self, found: tuple[float, float, float] | None, why: str) -> None:
        """Keep a log evidence, its standard error and effective draws, or why there is none."""
        self.evidence_kind_ = None if found is None else "plugin"
        self._why_none = why
        nothing: tuple[Any, Any, Any] = (None, None, None)
        self._log_evidence, self.evidence_se_, self._evidence_ess = found or nothing

    def _no_evidence(self) -> str:
        return f"{type(self).__name__} has no evidence of its training rows: {self._why_none}"

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None, noise: bool = True
    ) -> np.ndarray:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        y : scalar or array-like of shape (n_samples,), optional
            Targets of the rows, which ``condition_on_y=True`` needs; one for all, or one each.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.
        noise : bool, default=True
            Whether rows are drawn, or are the decoder's means at drawn codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        n = check_count(n_samples)
        if y is not None and np.ndim(y) == 0:
            y = np.full(n, y)
        if y is not None and len(y) != n:
            raise ValueError(f"y has {len(y)} targets, but n_samples={n}; give one or {n}")
        context = self._given(y, n)
        generator = torch_draw_generator(random_state)
        model, parameters = self._model(), double(self._tensors())
        with torch.no_grad(), limit_threads(n * count(parameters), SMALL_TILE):
            z = model.latent_density(parameters).sample(n, generator).double()
            given = None if context is None else torch.from_numpy(context)
            outputs = model.decode(parameters, z, given)
            rows = model.likelihood.mean(outputs, parameters["noise"])
            if noise:
                (rows,) = model.likelihood.sample(outputs[None], parameters["noise"], generator)
        return as_float(self._table.decode(rows.numpy()), np.dtype(self._dtype))

    def sample_posterior(
        self, X: Any = None, n_samples: int = 1, random_state: Any = None, y: Any = None
    ) -> dict[str, np.ndarray] | np.ndarray:
        """Draw latents from their posterior.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), optional
            Rows whose latents to draw.
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.
        y : array-like, optional
            Targets of the rows, which ``condition_on_y=True`` needs.

        Returns
        -------
        draws : dict of ndarray, or ndarray
            With X, latents (n_samples, n_rows, n_components_). Without, ``latents``
            (n_samples, n_components_) of rows not seen: the networks are fitted, not drawn.
        """
        if X is None or y is None:
            return super().sample_posterior(X, n_samples, random_state)
        check_is_fitted(self)
        return self._sample_at(X, check_count(n_samples), random_state, y)

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        generator = torch_draw_generator(random_state)
        with torch.no_grad():
            density = self._model().latent_density(self._tensors())
            latents = density.sample(n_samples, generator).numpy()
        return {"latents": as_float(latents, np.dtype(self._dtype))}

    def impute(
        self, X: Any, n_samples: int | None = None, random_state: Any = None, y: Any = None
    ) -> Any:
        """Fill missing values with their posterior mean, or with draws.

        Codes are drawn as in `score_samples` and weighted (Mattei and Frellsen, 2019, eq. 13).

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; missing values are NaN.
        n_samples : int, optional
            Number of draws from the joint posterior of a row's missing values (multiple
            imputation); by default their mean.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.
        y : array-like, optional
            Targets, which ``condition_on_y=True`` needs.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features) or (n_samples, n_rows, n_features)
            Observed values are as they were given. Without ``n_samples`` a frame where
            `set_output` asks for one, as `transform` has it.

        Raises
        ------
        ValueError
            If X holds NaN, but the model was fitted with ``allow_missing=False``.
        """
        given = X
        X, rows = self._rows(X, y)
        n = None if n_samples is None else check_count(n_samples)
        generator = torch_draw_generator(random_state)
        sampler = self._sampler()

        def fill(tile: Data, _: slice) -> tuple[Tensor]:
            return (_filled(sampler, tile, n, generator),)

        filled = by_tiles(rows, sampler.size, fill, sampler.work)[0]
        filled = filled if n is None else np.moveaxis(filled, 1, 0)
        X = np.where(np.isnan(X), as_float(self._table.decode(filled), X.dtype), X)
        return in_container(self, X, given) if n is None else X


@dataclass(frozen=True)
class EncodedLatents(LatentDistribution):
    """What an encoder says of the latents of rows."""

    latents: NormalLatents
    dtype: np.dtype

    def mean(self) -> np.ndarray:
        """Return the means (N, q)."""
        return self.latents.mean.numpy()

    def std(self) -> np.ndarray:
        """Compute the standard deviations (N, q)."""
        return self.latents.std.numpy()

    def sample(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw latents (n_samples, N, q)."""
        shape = (n_samples, *self.latents.mean.shape)
        generator = torch_draw_generator(random_state)
        return self.latents.draw(
            torch.randn(shape, dtype=torch.float64, generator=generator)
        ).numpy()


@dataclass(frozen=True)
class IntegratedRows(RowDensity):
    """Density of rows given the parameters, latents integrated out by importance sampling.

    Attributes
    ----------
    sampler : ImportanceSampler
    rows : Data
    log_scale : ndarray of shape (N,)
        Log units of the rows.
    dtype : dtype
        Precision of the caller's rows.
    """

    sampler: ImportanceSampler
    rows: Data
    log_scale: np.ndarray
    dtype: np.dtype

    def scores(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute log densities in units of X, their standard errors and effective draws."""
        log_density, error, effective = self.sampler.scores(self.rows)
        return log_density - self.log_scale, error, effective

    def log_prob(self) -> np.ndarray:
        """Compute the log density (N,) of each row."""
        return self.scores()[0]

    def log_prob_joint(self) -> Estimate:
        """Compute the log density of all rows together, which the parameters make independent."""
        log_density, error, effective = self.scores()
        total_error = float(np.sqrt((error**2).sum()))
        return float(log_density.sum()), total_error, float(np.median(effective))


def _filled(
    sampler: ImportanceSampler, tile: Data, n: int | None, generator: torch.Generator
) -> Tensor:
    """Encoded rows (N, n_encoded), or draws of them (N, n, n_encoded)."""
    drawn: Weighted = sampler.draw(tile)
    model, parameters = sampler.model, sampler.parameters
    hyper = parameters["noise"]

    def mean(z: Tensor) -> Tensor:
        return model.likelihood.mean(model.decode(parameters, z, tile.context), hyper)

    with torch.no_grad():
        if n is None:
            latents = drawn.latents.split(sampler.at_once)
            shares = drawn.shares.split(sampler.at_once)
            each = zip(latents, shares, strict=True)
            means = [torch.einsum("kn,kne->ne", share, mean(z).double()) for z, share in each]
            return torch.stack(means).sum(0)
        chosen = torch.multinomial(drawn.shares.T, n, replacement=True, generator=generator)
        z = drawn.latents[chosen.T, torch.arange(len(tile))]
        outputs = model.decode(parameters, z, tile.context)
        return model.likelihood.sample(outputs, hyper, generator).transpose(0, 1)
