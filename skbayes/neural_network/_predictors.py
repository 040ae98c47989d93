"""What regressors and classifiers say about new rows: averages over the posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize.elementwise import find_root
from scipy.special import entr, ndtri
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes._model import Model
from skbayes.base._kinds import KINDS
from skbayes.base._targets import ClassTargets, NumericTargets, check_coverage
from skbayes.neural_network._averages import (
    ClassesOfDraws,
    ClassesOfNormals,
    NumbersOfDraws,
    NumbersOfNormals,
)
from skbayes.neural_network._base import BayesianNetwork
from skbayes.neural_network._fitting import check_spread
from skbayes.posteriors._predictive import Moments, Rows
from skbayes.utils._arviz import Group
from skbayes.utils._draws import check_count
from skbayes.utils._logs import LOG_2PI, LOG_2PI_E
from skbayes.utils._overrides import is_current


class NumericMoments:
    """Mixin of networks with numeric targets: means and variances over draws."""

    likelihood_: Any
    _y_scaler: Any

    def _unscale(self, values: np.ndarray) -> np.ndarray:
        """Standardised locations (..., T) in the units of y."""
        return self._y_scaler.inverse_transform(values)

    def _latent(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        return self._unscale(self.likelihood_.mean(outputs, hyper).double().numpy())

    def _averages(self, X: Any, *names: str) -> tuple[np.dtype, list[np.ndarray]]:
        """Dtype of the caller's rows, and averages (N, T) of `NumbersOfDraws`."""
        return self._reduced(X, names, NumbersOfNormals, NumbersOfDraws)  # type: ignore[attr-defined]

    def _moments(self, X: Any, *kinds: str) -> tuple[np.dtype, list[np.ndarray]]:
        """Mean (N, T) and standard deviations (N, T) of some kinds, in the units of y."""
        dtype, (mean, *variances) = self._averages(X, "mean", *kinds)
        return dtype, [self._unscale(mean), *(np.sqrt(v) * self._y_scaler.scale for v in variances)]

    def _exact_log_density(self, model: Model, rows: Rows, y: Tensor) -> np.ndarray | None:
        normals = self._normals(model, joint=True)  # type: ignore[attr-defined]
        if normals is None or not self._has_normal_targets():
            return None

        def moments(outputs: Any) -> tuple[Tensor, Tensor]:
            return outputs.mean, self.likelihood_.target_covariance(outputs, normals.hyper)

        mean, covariance = map(torch.from_numpy, Moments(normals).reduce(rows, moments))
        root = torch.linalg.cholesky(covariance)
        z = torch.linalg.solve_triangular(root, (y - mean)[..., None], upper=False)[..., 0]
        log_det = torch.log(torch.diagonal(root, dim1=1, dim2=2)).sum(1)
        return (-0.5 * (z**2 + LOG_2PI).sum(1) - log_det).numpy()

    def _has_normal_targets(self) -> bool:
        """Whether targets are normal where outputs are."""
        sources = ("log_prob", "cdf", "mean", "variance", "scale")
        return is_current(type(self.likelihood_), "target_covariance", *sources)


class BayesianRegressor(NumericTargets, NumericMoments, RegressorMixin, BayesianNetwork):
    """Regression side of the contract."""

    _target = "numeric"

    def _arviz_function(self, outputs: Tensor, hyper: Tensor) -> Group:
        return {"f": self._by_target(self._latent(outputs, hyper))}

    def _arviz_targets(self, outputs: Tensor, hyper: Tensor, noise: torch.Generator) -> Group:
        draws = self.likelihood_.sample(outputs, hyper, noise).double().numpy()
        return {"y": self._by_target(self._unscale(draws))}

    def _arviz_observed(self, y: Any) -> tuple[tuple[str, ...], np.ndarray]:
        return self._by_target(self._encode_targets(y))

    def _by_target(self, values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """Values (..., row, T) with the names of their last dimensions."""
        if self._y_ndim == 1:
            return ("row",), values[..., 0]
        return ("row", "target"), values

    def predict(self, X: Any, return_std: bool = False) -> np.ndarray | tuple:
        """Posterior predictive mean.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        return_std : bool, default=False
            Return the total predictive standard deviation as well.

        Returns
        -------
        mean : ndarray of shape (n_rows,) or (n_rows, n_targets)
        std : ndarray of the same shape
            Only with ``return_std=True``.
        """
        dtype, moments = self._moments(X, *(["total"] if return_std else []))
        moments = [self._shape(values, dtype) for values in moments]
        return tuple(moments) if return_std else moments[0]

    def predict_std(self, X: Any, kind: str = "total") -> np.ndarray:
        """Posterior predictive standard deviation, in the units of y.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        kind : {"total", "epistemic", "aleatoric"}, default="total"
            Of a new observation, of its mean (what more data would shrink), or of the
            noise; their squares add up.

        Returns
        -------
        std : ndarray of shape (n_rows,) or (n_rows, n_targets)
        """
        check_is_fitted(self)
        check_spread(self, kind)
        dtype, (_, std) = self._moments(X, kind)
        return self._shape(std, dtype)

    def predict_uncertainty(self, X: Any) -> Bunch:
        """Uncertainty of each row by kind.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        uncertainty : Bunch
            ``total``, ``aleatoric`` and ``epistemic`` standard deviations (in the units of
            y, shaped as `predict`), and per row, in nats and summed over targets,
            ``entropy`` of the normal with the total spread, the largest that a predictive of
            this spread can have, and ``mutual_information`` of target and weights: that
            entropy less the average one of the noise, taken as normal too. Under normal
            noise it is exact where the predictive is normal, and an upper bound elsewhere.
        """
        dtype, (*variances, log_noise) = self._averages(X, *KINDS, "log_noise")
        scale = self._y_scaler.scale
        std = {k: np.sqrt(v) * scale for k, v in zip(KINDS, variances, strict=True)}
        log_total = np.log(std["total"])
        entropy = (0.5 * LOG_2PI_E + log_total).sum(axis=1)
        # Rounding alone makes the noise more than all.
        information = np.maximum(log_total - np.log(scale) - log_noise, 0.0).sum(axis=1)
        std = {kind: self._shape(values, dtype) for kind, values in std.items()}
        return Bunch(**std, entropy=entropy, mutual_information=information)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Central predictive interval: exact quantiles of the normal, or of the mixture over draws.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        coverage : float, default=0.9
            Probability that the interval holds the target.

        Returns
        -------
        interval : ndarray of shape (n_rows, 2), or (n_rows, n_targets, 2) for several targets
        """
        check_coverage(coverage)
        check_is_fitted(self)
        model = self._model()
        if self._normals(model, joint=False) and self._has_normal_targets():
            dtype, (mean, std) = self._moments(X, "total")
            half = ndtri((1 + coverage) / 2) * std
            return self._shape(np.stack([mean - half, mean + half], axis=2), dtype)
        X, rows = self._inputs(X)
        predictive = self._row_predictive(model)
        levels = np.array([(1 - coverage) / 2, (1 + coverage) / 2])
        interval = np.empty((len(X), self._n_targets, 2))
        for at, outputs in predictive.tiles(rows):
            quantiles = self._quantiles(outputs, predictive.hyper, levels)
            interval[at] = self._unscale(quantiles.swapaxes(1, 2)).swapaxes(1, 2)
        return self._shape(interval, X.dtype)

    def _quantiles(self, outputs: Tensor, hyper: Tensor, levels: np.ndarray) -> np.ndarray:
        """Quantiles (n, T, levels) of the mixture, on the standardised scale."""
        n_draws, n = outputs.shape[:2]
        if levels.max() == 1:  # a coverage that rounds to one
            return np.broadcast_to([-np.inf, np.inf], (n, self._n_targets, 2))
        # Some four arrays of doubles are alive at once.
        n_rows = int(max(1, self.memory_budget * 2**20 // (32 * n_draws * self._n_targets)))
        blocks = outputs.split(n_rows, dim=1)
        return np.concatenate([self._quantiles_of(block, hyper, levels) for block in blocks])

    def _quantiles_of(self, outputs: Tensor, hyper: Tensor, levels: np.ndarray) -> np.ndarray:
        likelihood = self.likelihood_
        centre = likelihood.mean(outputs, hyper).double().numpy()
        sd = np.sqrt(likelihood.variance(outputs, hyper).double().numpy())
        # Cantelli's inequality bounds every component's quantile, and the mixture's lies
        # between its components'.
        wide = 1.01 * np.sqrt(levels.max() / (1 - levels.max()))
        low, high = (centre - wide * sd).min(0), (centre + wide * sd).max(0)
        at = tuple(index.ravel().astype(float) for index in np.indices(low.shape))
        quantiles = np.empty((*low.shape, len(levels)))
        for number, level in enumerate(levels):

            def excess(y: np.ndarray, *at: np.ndarray, level: float = level) -> np.ndarray:
                # Of all rows and targets, those that are sought still.
                places = tuple(index.astype(int) for index in at)
                values = low.copy()
                values[places] = y
                return likelihood.cdf(values, outputs, hyper).mean(0)[places] - level

            brackets = low.ravel(), high.ravel()
            found = find_root(excess, brackets, args=at, tolerances={"xatol": 1e-6, "xrtol": 1e-6})
            quantiles[..., number] = found.x.reshape(low.shape)
        return quantiles

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> np.ndarray:
        """Draw new targets.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=0
            Equal seeds give equal draws.

        Returns
        -------
        y : ndarray of shape (n_rows, n_samples) or (n_rows, n_targets, n_samples)
        """
        check_is_fitted(self)
        check_count(n_samples)  # before X, whose place it may have taken
        X, rows = self._inputs(X)
        predictive, noise = self._new_draws(n_samples, random_state)

        def sample(outputs: Tensor) -> list[np.ndarray]:
            draws = self.likelihood_.sample(outputs, predictive.hyper, noise).double().numpy()
            return [np.moveaxis(self._unscale(draws), 0, -1)]

        (y,) = predictive.reduce(rows, sample)
        return self._shape(y, X.dtype)


class BayesianClassifier(ClassTargets, ClassifierMixin, BayesianNetwork):
    """Classification side of the contract."""

    _target = "classes"

    def _make_part(self, part: str) -> Any:
        if part == "likelihood" and self.likelihood == "auto":  # type: ignore[attr-defined]
            name = "bernoulli" if len(self.classes_) == 2 else "categorical"
            return self._registries[part][name]()
        return super()._make_part(part)

    def _latent(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        return outputs.double().numpy()

    def _arviz_function(self, outputs: Tensor, hyper: Tensor) -> Group:
        p = self.likelihood_.probabilities(outputs.double()).numpy()
        return {"p": (("row", "class"), p)}

    def _arviz_targets(self, outputs: Tensor, hyper: Tensor, noise: torch.Generator) -> Group:
        return {"y": (("row",), self.likelihood_.sample(outputs, hyper, noise).numpy())}

    def _arviz_observed(self, y: Any) -> tuple[tuple[str, ...], np.ndarray]:
        return ("row",), self._encode_targets(y)

    def _averages(self, X: Any, *names: str, then: Any = None) -> tuple[np.dtype, list[np.ndarray]]:
        """Dtype of the caller's rows, and averages of `ClassesOfDraws`."""
        return self._reduced(X, names, ClassesOfNormals, ClassesOfDraws, then)

    def _exact_log_density(self, model: Model, rows: Rows, y: Tensor) -> np.ndarray | None:
        normals = self._normals(model, joint=False)
        if normals is None or not ClassesOfNormals.suit(self.likelihood_):
            return None

        def mean(outputs: Any) -> list[Tensor]:
            return [ClassesOfNormals(self.likelihood_, outputs, normals.hyper).mean]

        (p,) = Moments(normals).reduce(rows, mean)
        with np.errstate(divide="ignore"):
            return np.log(p[np.arange(len(p)), y.numpy()])

    def _most_probable(self, X: Any) -> np.ndarray:
        def best(dtype: np.dtype, mean: Tensor) -> list[np.ndarray]:
            # In the precision of `predict_proba`, where two classes may tie.
            return [mean.numpy().astype(dtype, copy=False).argmax(axis=1)]

        _, (codes,) = self._averages(X, "mean", then=best)
        return codes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior predictive class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_classes)
            Columns in the order of `classes_`.
        """
        dtype, (mean,) = self._averages(X, "mean")
        return mean.astype(dtype, copy=False)

    def predict_std(self, X: Any, kind: str = "total") -> np.ndarray:
        """Standard deviation of each class's indicator, or of its probability.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        kind : {"total", "epistemic", "aleatoric"}, default="total"
            With p the probability under one draw and a bar the mean over draws: total² is
            p̄(1 - p̄), epistemic² the variance of p, aleatoric² the mean of p(1 - p).

        Returns
        -------
        std : ndarray of shape (n_rows, n_classes)
        """
        check_is_fitted(self)
        check_spread(self, kind)
        dtype, (variance,) = self._averages(X, kind)
        return np.sqrt(variance).astype(dtype, copy=False)

    def predict_uncertainty(self, X: Any) -> Bunch:
        """Uncertainty of each row by kind.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.

        Returns
        -------
        uncertainty : Bunch of ndarray of shape (n_rows,)
            ``total``, ``aleatoric`` and ``epistemic``: roots of the variances of
            `predict_std` summed over classes; in nats, ``entropy`` of the mean
            probabilities and ``mutual_information`` of label and weights, the share of
            the entropy that more data would remove.
        """

        def sums(_: np.dtype, mean: Tensor, *rest: Tensor) -> list[np.ndarray]:
            *variances, conditional = (np.asarray(part) for part in rest)
            entropy = entr(mean.numpy()).sum(axis=1)
            spread = [np.sqrt(variance.sum(axis=1)) for variance in variances]
            return [*spread, entropy, np.maximum(entropy - conditional, 0.0)]

        names = ("mean", *KINDS, "conditional_entropy")
        _, found = self._averages(X, *names, then=sums)
        report = (*KINDS, "entropy", "mutual_information")
        return Bunch(**dict(zip(report, found, strict=True)))

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> np.ndarray:
        """Draw new labels.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        n_samples : int, default=1
            Number of draws.
        random_state : int, RandomState instance or None, default=0
            Equal seeds give equal draws.

        Returns
        -------
        labels : ndarray of shape (n_rows, n_samples)
        """
        check_is_fitted(self)
        check_count(n_samples)  # before X, whose place it may have taken
        _, rows = self._inputs(X)
        predictive, noise = self._new_draws(n_samples, random_state)
        (codes,) = predictive.reduce(
            rows,
            lambda outputs: [self.likelihood_.sample(outputs, predictive.hyper, noise).T],
        )
        return self.classes_[codes]
