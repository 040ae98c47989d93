"""What a fitted mixture answers: densities, assignments, draws, evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from skbayes.base._arviz import N_DRAWS, ArvizExport, JointDraws
from skbayes.base._density import DensityEstimator
from skbayes.base._kinds import check_kind
from skbayes.base._predictive import Estimate, RowDensity, as_float
from skbayes.data._tables import validate_data
from skbayes.mixture._components import Prior
from skbayes.mixture._evidence import log_evidence_of_new_rows
from skbayes.mixture._mixture import Mixture, Statistics, make_mixture
from skbayes.mixture._parameter_draws import (
    MixtureDraws,
    draw,
    draw_joint,
    log_joint,
    shares_variance,
)
from skbayes.mixture._rows import Rows, Units, canonical
from skbayes.utils._draws import check_count, draw_generator

__all__ = ["MixtureVerbs"]

#: What is asked of a fitted mixture, its posterior, its units, and rows in these.
Answer = Callable[[Mixture, Statistics, Units, Rows], np.ndarray]
#: Rows answered at a time.
BLOCK_ROWS = 2**15
#: Assignments are those of rows no farther out, in units of the computation: beyond, densities
#: underflow under every component.
FARTHEST = 1e140


class MixtureVerbs(DensityEstimator, ArvizExport):
    """The public face of a mixture's posterior, which is kept as plain arrays in ``_state``."""

    _state: dict[str, Any]
    _seed: int
    # Parameters of the estimator.
    learning_decay: float
    n_predictive_samples: int
    _instead: ClassVar[dict[str, str]] = {
        "bic": "models are ranked by score_evidence(), larger is better",
        "aic": "models are ranked by score_evidence(), larger is better",
        "impute": "PPCA and VAETransformer have it",
        "log_predictive": "the log density of rows is score_samples(X)",
    }

    # --- the fitted model ------------------------------------------------------------

    def _fitted(self) -> tuple[Mixture, Statistics, Units]:
        """The model and its posterior, in the units of the computation."""
        state = self._state
        prior = Prior(*(state[name] for name in ("mean", "precision", "dof", "scatter")))
        mixture = make_mixture(
            state["weight_prior"],
            len(state["moments"]),
            state["concentration"],
            state["covariance_type"],
            prior,
        )
        statistics = Statistics(state["moments"], state["entropy"])
        return mixture, statistics, Units(state["centre"], state["scale"])

    def _validated(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            reset=False,
            ensure_all_finite="allow-nan",
        )

    def _answer(self, X: Any, answer: Answer) -> np.ndarray:
        X = self._validated(X)
        return by_blocks(*self._fitted(), X, answer)

    # --- densities -------------------------------------------------------------------

    def _density(self, X: Any, y: Any) -> MixtureDensity:
        X = self._validated(X)
        return MixtureDensity(*self._fitted(), X, self._seed)

    def _no_evidence(self) -> str:
        return (
            f"{type(self).__name__} has no evidence of rows that learning_decay="
            f"{self.learning_decay!r} has partly forgotten; use learning_decay=1.0, or score "
            "held-out rows with score_evidence(X)"
        )

    # --- assignments -----------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior predictive probability of each component, parameters integrated.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; NaN is missing.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_components)
        """

        def share(mixture, statistics, units, rows):
            return _assignments(mixture, statistics, _within_reach(rows))

        return self._answer(X, share)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; NaN is missing.

        Returns
        -------
        labels : ndarray of shape (n_rows,)
        """
        return self.predict_proba(X).argmax(axis=1)

    def predict_std(self, X: Any, kind: str = "total") -> np.ndarray:
        """Posterior standard deviation of each assignment, or of its probability.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows; NaN is missing.
        kind : {"total", "epistemic", "aleatoric"}, default="total"
            With r the responsibility under one set of parameters and p its posterior mean,
            which is `predict_proba`: total² is p (1 - p), the variance of the assignment;
            epistemic² is the variance of r, from ``n_predictive_samples`` draws of the
            parameters, which more rows would reduce; aleatoric² is the rest, the overlap of
            the components. Draws are too narrow where components overlap (see the class's
            notes), and so is the epistemic part.

        Returns
        -------
        std : ndarray of shape (n_rows, n_components)
        """
        check_kind(kind)

        def spread(mixture, statistics, units, rows):
            rows = _within_reach(rows)
            p = _assignments(mixture, statistics, rows)
            total = p * (1 - p)
            if kind == "total":
                return np.sqrt(total)
            rng = np.random.default_rng(self._seed)
            draws = draw(mixture, statistics, self.n_predictive_samples, rng)
            epistemic = np.minimum(shares_variance(mixture, draws, rows), total)
            return np.sqrt(epistemic if kind == "epistemic" else total - epistemic)

        return self._answer(X, spread)

    # --- draws -----------------------------------------------------------------------

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw new rows from the posterior predictive density.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows, in the precision of the training rows.
        labels : ndarray of shape (n_samples,)
            Their components.
        """
        check_is_fitted(self)
        check_count(n_samples)
        mixture, statistics, units = self._fitted()
        rng = draw_generator(random_state)
        weights = mixture.weights.mean(statistics.counts)
        labels = rng.choice(len(weights), size=n_samples, p=weights / weights.sum())
        q = mixture.m_step(statistics).q
        X = np.empty((n_samples, len(units.scale)))
        for start in range(0, n_samples, BLOCK_ROWS // 8):
            at = slice(start, start + BLOCK_ROWS // 8)
            X[at] = mixture.components.sample_predictive(q, labels[at], rng)
        X = X * units.scale + units.centre
        return as_float(X, np.dtype(self._state["dtype"])), labels

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        """Draw ``pi``, ``mu`` and precisions ``Lambda``, in the units of X.

        Precisions are shaped as scikit-learn's ``precisions_`` behind the axis of draws. The
        draws' spread is too small where components overlap.
        """
        return self._named(self._parameter_draws(n_samples, draw_generator(random_state)))

    def _parameter_draws(self, n_samples: int, rng: np.random.Generator) -> MixtureDraws:
        mixture, statistics, _ = self._fitted()
        return draw(mixture, statistics, n_samples, rng)

    def _named(self, draws: MixtureDraws) -> dict[str, np.ndarray]:
        mixture, _, units = self._fitted()
        precision = mixture.components.precision(draws.components)
        with np.errstate(over="ignore", under="ignore"):
            return {
                "pi": draws.weights,
                "mu": draws.components.mean * units.scale + units.centre,
                "Lambda": mixture.components.rescaled_precision(precision, units.scale),
            }

    def _joint_draws(self, X: Any, n_samples: int | None, random_state: Any) -> JointDraws:
        """Draw parameters, and the component of each row under each of them, ``z``."""
        n_samples = N_DRAWS if n_samples is None else check_count(n_samples)
        rng = draw_generator(random_state)
        draws = self._parameter_draws(n_samples, rng)
        joint = JointDraws(self._named(draws))
        if X is not None:
            X = self._validated(X).astype(np.float64)
            mixture, _, units = self._fitted()
            rows = units.apply(X, np.ones(len(X)))
            components = np.empty((n_samples, len(X)), dtype=np.int64)
            for index, log_joint_ in draw_joint(mixture, draws, _within_reach(rows)):
                edges = np.exp(log_joint_ - logsumexp(log_joint_, axis=1, keepdims=True))
                uniform = rng.uniform(size=(n_samples, 1, len(index)))
                components[:, index] = (uniform >= edges.cumsum(axis=1)[:, :-1]).sum(axis=1)
            joint.functions = {"z": components}
        return joint

    def _sample_at(self, X: Any, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw components (n_samples, n_rows), with the probabilities of `predict_proba`."""
        rng = draw_generator(random_state)
        edges = self.predict_proba(X).astype(np.float64).cumsum(axis=1)
        uniform = rng.uniform(size=(n_samples, len(edges))) * edges[:, -1]
        return (uniform[..., None] >= edges[:, :-1]).sum(axis=-1)


class MixtureDensity(RowDensity):
    """Posterior predictive density of rows: the exact mixture of Student-t densities.

    Parameters
    ----------
    mixture, statistics, units
        The fitted model, and the units of its computation.
    X : ndarray of shape (N, D)
        Rows; NaN is missing.
    seed : int
        Of the draws behind joint densities.
    """

    def __init__(
        self, mixture: Mixture, statistics: Statistics, units: Units, X: np.ndarray, seed: int
    ) -> None:
        self.mixture, self.statistics, self.units, self.seed = mixture, statistics, units, seed
        self.X, self.dtype = X, X.dtype

    def log_prob(self) -> np.ndarray:
        """Compute the log density (N,) of each row, in the units of X."""

        def density(mixture, statistics, units, rows):
            joint = log_joint(mixture, statistics, rows)
            return logsumexp(joint, axis=1) + units.log_jacobian(rows)

        return by_blocks(self.mixture, self.statistics, self.units, self.X, density)

    def log_prob_joint(self) -> Estimate:
        """Estimate the log density of all rows together, which share their parameters."""
        X = self.X.astype(np.float64)
        rows = self.units.apply(*canonical(X, np.ones(len(X))))
        jacobian = float(self.units.log_jacobian(rows) @ rows.weight)
        value, error, n_effective = log_evidence_of_new_rows(
            self.mixture, self.statistics, rows, self.seed
        )
        return value + jacobian, error, n_effective


def by_blocks(
    mixture: Mixture, statistics: Statistics, units: Units, X: np.ndarray, answer: Answer
) -> np.ndarray:
    """Answer block by block of rows, in X's precision."""
    blocks = []
    for start in range(0, len(X), BLOCK_ROWS):
        block = X[start : start + BLOCK_ROWS].astype(np.float64)
        rows = units.apply(block, np.ones(len(block)))
        blocks.append(answer(mixture, statistics, units, rows))
    return as_float(np.concatenate(blocks), X.dtype)


def _assignments(mixture: Mixture, statistics: Statistics, rows: Rows) -> np.ndarray:
    """Posterior predictive probabilities (N, K) of the components."""
    joint = log_joint(mixture, statistics, rows)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def _within_reach(rows: Rows) -> Rows:
    return Rows(np.clip(rows.values, -FARTHEST, FARTHEST), rows.weight, rows.observed)
