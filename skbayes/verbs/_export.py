"""The verb that hands posterior draws to ArviZ, through scikit-learn's wrappers."""

from __future__ import annotations

from typing import Any

from skbayes.utils._arviz_objects import Group, import_arviz, to_arviz_object
from skbayes.utils._threads import limited
from skbayes.verbs._wrappers import Affine, reach

__all__ = ["to_arviz"]


@limited
def to_arviz(
    estimator: Any,
    X: Any = None,
    y: Any = None,
    n_samples: int | None = None,
    random_state: Any = 0,
) -> Any:
    """Draws by chain, with what goes with them, as an ArviZ object.

    Parameters
    ----------
    estimator : estimator
        A fitted Bayesian network; bare, or last inside a Pipeline, search object,
        FrozenEstimator or linear TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features), optional
        Rows as the outermost object takes them.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
        Targets as the outermost object takes them.
    n_samples : int or None, default=None
        Draws of each chain, thinned evenly; None for all.
    random_state : int, RandomState instance or None, default=0
        Of new targets, and of independent draws.

    Returns
    -------
    data : arviz.InferenceData, or xarray.DataTree from ArviZ 1 on
        Groups as the estimator's `to_arviz` lists them; means, targets and densities are
        in the units of ``y``, weights, scales and noise in those of the estimator inside.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.
    DrawsUnavailableError
        If the engine gives modes and no draws.
    ImportError
        If arviz is not installed; the message says what to type.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbayes import BayesianMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BayesianMLPClassifier((), inference="laplace", random_state=0)
    >>> data = skbayes.to_arviz(make_pipeline(clf).fit(X, y), X, y, n_samples=200)
    >>> data["posterior"]["p"].dims
    ('chain', 'draw', 'row', 'class')
    """
    arviz = import_arviz()
    found = reach(estimator, "to_arviz", X)
    affine = found.affine
    targets = y if affine is None or y is None else affine.targets(y)
    groups, coords, attrs = found.estimator._arviz_groups(found.X, targets, n_samples, random_state)
    if affine is not None:
        groups = {name: _in_units(name, group, affine) for name, group in groups.items()}
    return to_arviz_object(arviz, groups, coords, attrs)


def _in_units(name: str, group: Group, affine: Affine) -> Group:
    """Means and targets of a group in the units that a wrapper was given."""
    if name == "log_likelihood":
        return {key: (dims, values - affine.log_slope) for key, (dims, values) in group.items()}
    moved = {"posterior": {"f"}, "posterior_predictive": {"y"}, "observed_data": {"y"}}
    return {
        key: (dims, affine.locations(values, axis=-1) if key in moved.get(name, ()) else values)
        for key, (dims, values) in group.items()
    }
