"""Posterior draws as ArviZ takes them: by chain, with names, dimensions and densities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbayes.base._predictive import as_float
from skbayes.data._tables import validate_data
from skbayes.utils._arviz_objects import Group, import_arviz, to_arviz_object
from skbayes.utils._threads import LimitsThreads

#: Draws of a posterior that can give any number.
N_DRAWS = 1000


@dataclass
class JointDraws:
    """S draws of all unknowns, chain after chain, and what each of them says of rows.

    Attributes
    ----------
    named : dict of ndarray of shape (S, ...)
        Parameters.
    n_chains : int
    stats : dict
        What a sampler noted: dimensions and values by chain and draw.
    functions : dict of ndarray of shape (S, n_rows, ...)
        Unknowns of each row.
    targets : ndarray of shape (S, n_rows, ...), optional
        One new target a draw.
    log_prob : callable, optional
        From coded targets to log densities (S, n_rows), in the units of y.
    """

    named: dict[str, np.ndarray]
    n_chains: int = 1
    stats: Group = field(default_factory=dict)
    functions: dict[str, np.ndarray] = field(default_factory=dict)
    targets: np.ndarray | None = None
    log_prob: Callable[[Any], np.ndarray] | None = None


class ArvizExport(LimitsThreads):
    """Mixin of estimators with draws: `to_arviz`.

    A subclass supplies `_joint_draws`.
    """

    _encode_targets: Callable[..., np.ndarray]

    def _joint_draws(self, X: Any, n_samples: int | None, random_state: Any) -> JointDraws:
        """Draw unknowns, and what they say of rows unless these are None."""
        raise NotImplementedError(f"{type(self).__name__} must define _joint_draws")

    def to_arviz(
        self, X: Any = None, y: Any = None, n_samples: int | None = None, random_state: Any = 0
    ) -> Any:
        """Draws by chain, with what goes with them, as an ArviZ object.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), optional
            Rows at which to draw; fitted estimators keep no data.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Their targets, for log densities and `arviz.loo`.
        n_samples : int or None, default=None
            Draws of each chain, thinned evenly; None for all. Engines whose posterior is a
            distribution (`laplace`, `mean_field_vi`, `mc_dropout`), linear models and
            mixtures give so many independent draws as one chain, 1000 for None.
        random_state : int, RandomState instance or None, default=0
            Of new targets, and of independent draws.

        Returns
        -------
        data : arviz.InferenceData, or xarray.DataTree from ArviZ 1 on
            Groups, with dimensions chain, draw and those of the variable:

            - ``posterior``: weights of each layer, ``prior_scale`` and ``noise_scale``, in
              standardised units; with X also what predictions average, ``f`` (means of
              the targets in their units) or ``p`` (class probabilities).
            - ``sample_stats``: what the sampler notes at each draw: ``step_size``, and where
              the engine has it ``lp`` (log density in the coordinates in which it moves),
              ``energy``, ``acceptance_rate``, ``diverging``, ``energy_error``,
              ``kinetic_temperature``, ``tree_depth``, ``n_steps``.
            - ``posterior_predictive``: with X, one new target ``y`` a draw; classes by their
              place in `classes_`, the labels of the dimension ``class``.
            - ``log_likelihood``: with X and y, log p(y | draw) of every row in nats and in
              the units of y, jointly over several targets. A row counts once, whatever
              its weight in the fit: `arviz.loo` leaves one copy of it out.
            - ``observed_data`` and ``constant_data``: y and X.

        Raises
        ------
        DrawsUnavailableError
            If the engine gives modes and no draws: `map`, a plain `deep_ensemble`.
        ImportError
            If arviz is not installed; the message says what to type.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skbayes import BayesianMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0).fit(X, y)
        >>> data = reg.to_arviz(X[:10], y[:10], n_samples=500)
        >>> data["log_likelihood"]["y"].shape
        (1, 500, 10)
        """
        arviz = import_arviz()
        return to_arviz_object(arviz, *self._arviz_groups(X, y, n_samples, random_state))

    def _arviz_groups(
        self, X: Any, y: Any, n_samples: int | None, random_state: Any
    ) -> tuple[dict[str, Group], dict[str, np.ndarray], dict[str, Any]]:
        """Variables of every group, labels of dimensions, attributes."""
        check_is_fitted(self)
        if X is None and y is not None:
            raise ValueError("to_arviz takes y together with X, or X alone, or neither")
        drawn = self._joint_draws(X, n_samples, random_state)

        def variable(values: np.ndarray, *dims: str) -> tuple[tuple[str, ...], np.ndarray]:
            by_chain = values.reshape(drawn.n_chains, -1, *values.shape[1:])
            return ("chain", "draw", *dims), by_chain

        posterior = {
            name: variable(values, *(f"{name}_dim_{i}" for i in range(values.ndim - 1)))
            for name, values in drawn.named.items()
        }
        groups: dict[str, Group] = {"posterior": posterior, "sample_stats": drawn.stats}
        if X is not None:
            rows = validate_data(
                self, X, dtype=[np.float64, np.float32], reset=False, ensure_all_finite="allow-nan"
            )
            for name, values in drawn.functions.items():
                values, dims = self._by_row(values, rows.dtype)
                posterior[name] = variable(values, *dims)
            if drawn.targets is not None:
                targets, dims = self._by_row(drawn.targets, rows.dtype)
                groups["posterior_predictive"] = {"y": variable(targets, *dims)}
            groups["constant_data"] = {"X": (("row", "feature"), rows)}
        if y is not None and drawn.log_prob is not None:
            coded = self._encode_targets(y, len(X))
            groups["log_likelihood"] = {"y": variable(drawn.log_prob(coded), "row")}
            observed, dims = self._by_row(coded[None], coded.dtype)
            groups["observed_data"] = {"y": (dims, observed[0])}
        engine = type(getattr(self, "inference_", self)).__name__
        labels = {"feature": "feature_names_in_", "class": "classes_"}
        coords = {dim: getattr(self, name) for dim, name in labels.items() if hasattr(self, name)}
        return groups, coords, {"inference": engine}

    def _by_row(self, values: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, tuple[str, ...]]:
        """Values (S, n_rows, ...) in the caller's precision, and the names of their dimensions."""
        if values.dtype.kind == "f":
            values = as_float(values, dtype)
        if values.ndim == 2:
            return values, ("row",)
        if hasattr(self, "classes_"):
            return values, ("row", "class")
        if getattr(self, "_y_ndim", 2) == 1:
            return values[..., 0], ("row",)
        return values, ("row", "target")
