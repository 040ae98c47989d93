"""The verbs as functions, which reach through scikit-learn's wrappers.

Pipelines, search objects and transformed-target regressors hide the methods of what they
hold. These functions find the estimator inside, hand it the rows as it sees them, and map
its answer back to the units of the target that the wrapper was given.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skbayes.base._kinds import KINDS
from skbayes.verbs._export import to_arviz
from skbayes.verbs._suggest import suggest
from skbayes.verbs._wrappers import reach

__all__ = [
    "extend",
    "log_predictive",
    "predict_interval",
    "predict_quantiles",
    "predict_std",
    "predict_uncertainty",
    "sample",
    "sample_posterior",
    "sample_y",
    "score_evidence",
    "suggest",
    "to_arviz",
]


def predict_std(estimator: Any, X: Any, kind: str = "total") -> np.ndarray:
    """Posterior standard deviation of what `predict`, `predict_proba` or `transform` returns.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or linear
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features)
        Rows as the outermost object takes them.
    kind : {"total", "epistemic", "aleatoric"}, default="total"
        Of a new observation, of its mean, or of the noise; codes of a transformer have
        the total alone.

    Returns
    -------
    std : ndarray of shape (n_rows,), (n_rows, n_targets), (n_rows, n_classes) or of the codes

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.
    ValueError
        If the estimator does not split its standard deviation by kind.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import PolynomialFeatures
    >>> from skbayes import BayesianMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0)
    >>> pipe = make_pipeline(PolynomialFeatures(1), reg).fit(X[:300], y[:300])
    >>> skbayes.predict_std(pipe, X[300:]).shape
    (142,)
    """
    found = reach(estimator, "predict_std", X)
    if kind != "total" and "kind" not in signature(found.estimator.predict_std).parameters:
        raise ValueError(
            f"predict_std of {type(found.estimator).__name__} has no kind={kind!r}: it is the "
            "posterior standard deviation of codes or assignments; leave kind='total'"
        )
    kinds = {} if kind == "total" else {"kind": kind}
    std = found.estimator.predict_std(found.X, **kinds)
    return std if found.affine is None else found.affine.spreads(std)


def predict_interval(estimator: Any, X: Any, coverage: Any = 0.9) -> np.ndarray:
    """Central posterior predictive interval of a regressor.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or linear
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features)
        Rows as the outermost object takes them.
    coverage : float or array-like of shape (n_coverages,), default=0.9
        Probability that the interval holds the target.

    Returns
    -------
    interval : ndarray of shape (n_rows, 2), or (n_rows, n_targets, 2) for several targets
        Or (..., n_coverages, 2) for several coverages.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skbayes import BayesianMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0)
    >>> search = GridSearchCV(reg, {"prior__scale": [0.3, 1.0]}, cv=2).fit(X[:300], y[:300])
    >>> skbayes.predict_interval(search, X[300:], coverage=0.9).shape
    (142, 2)
    """
    found = reach(estimator, "predict_interval", X)
    interval = found.estimator.predict_interval(found.X, coverage=coverage)
    if found.affine is None:
        return interval
    # A falling line swaps the ends.
    return np.sort(found.affine.locations(interval), axis=-1)


def predict_quantiles(estimator: Any, X: Any, quantiles: Any = (0.05, 0.5, 0.95)) -> np.ndarray:
    """Quantiles of the posterior predictive distribution of a regressor.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features)
        Rows as the outermost object takes them.
    quantiles : float or array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
        Probabilities below, between 0 and 1.

    Returns
    -------
    quantiles : ndarray of shape (n_rows, n_quantiles) or (n_rows, n_targets, n_quantiles)
        Without the last axis where ``quantiles`` is one number.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer neither rises nor
        falls throughout.

    Examples
    --------
    >>> import numpy as np
    >>> import skbayes
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from skbayes import BayesianLinearRegression
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianLinearRegression()
    >>> reg = TransformedTargetRegressor(reg, func=np.log, inverse_func=np.exp).fit(X, y)
    >>> bool((skbayes.predict_quantiles(reg, X) > 0).all())
    True
    """
    found = reach(estimator, "predict_quantiles", X)
    if found.affine is None:
        return found.estimator.predict_quantiles(found.X, quantiles)
    levels = np.asarray(quantiles)
    # A falling function turns the tails round, so that the lower of both is the lower tail's.
    both = np.concatenate([np.atleast_1d(levels), 1 - np.atleast_1d(levels)])
    mapped = found.affine.locations(found.estimator.predict_quantiles(found.X, both))
    one, other = np.split(mapped, 2, axis=-1)
    answer = np.where(levels <= 0.5, np.minimum(one, other), np.maximum(one, other))
    return answer if levels.ndim else answer[..., 0]


def predict_uncertainty(estimator: Any, X: Any) -> Bunch:
    """Uncertainty of each row by kind.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or linear
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features)
        Rows as the outermost object takes them.

    Returns
    -------
    uncertainty : Bunch
        ``total``, ``aleatoric``, ``epistemic``, and in nats ``entropy`` and
        ``mutual_information``.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skbayes import BayesianMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BayesianMLPClassifier((), inference="laplace", random_state=0).fit(X, y)
    >>> skbayes.predict_uncertainty(FrozenEstimator(clf), X).entropy.shape
    (150,)
    """
    found = reach(estimator, "predict_uncertainty", X)
    report = found.estimator.predict_uncertainty(found.X)
    if found.affine is None:
        return report
    spreads = {kind: found.affine.spreads(report[kind]) for kind in KINDS}
    return Bunch(**{**report, **spreads, "entropy": report.entropy + found.affine.log_slope})


def log_predictive(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """Log posterior predictive density, or probability, of each row's target.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or linear
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features)
        Rows as the outermost object takes them.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
        Targets as the outermost object takes them.

    Returns
    -------
    log_density : ndarray of shape (n_rows,)
        In nats and in the units of ``y``, jointly over several targets.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbayes import BayesianMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0)
    >>> reg = TransformedTargetRegressor(reg, transformer=StandardScaler()).fit(X[:300], y[:300])
    >>> skbayes.log_predictive(reg, X[300:], y[300:]).shape
    (142,)
    """
    found = reach(estimator, "log_predictive", X)
    if found.affine is None:
        return found.estimator.log_predictive(found.X, y)
    density = found.estimator.log_predictive(found.X, found.affine.targets(y))
    return density - found.affine.log_slope


def sample_posterior(
    estimator: Any, X: Any = None, n_samples: int = 1, random_state: Any = None
) -> dict[str, np.ndarray] | np.ndarray:
    """Draw from the posterior.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or linear
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features), optional
        Rows as the outermost object takes them.
    n_samples : int, default=1
        Number of draws.
    random_state : int, RandomState instance or None, default=None
        Equal seeds give equal draws.

    Returns
    -------
    draws : dict of ndarray, or ndarray
        Without ``X``, named unknowns (n_samples, ...); weights of networks are in
        standardised units. With ``X``, the unknowns of each row: latent function values
        (n_samples, n_rows, n_outputs), means of the targets in their units or logits; latents
        of transformers (n_samples, n_rows, n_components); assignments of mixtures.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbayes import BayesianMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BayesianMLPClassifier((), inference="laplace", random_state=0)
    >>> pipe = make_pipeline(clf).fit(X, y)
    >>> skbayes.sample_posterior(pipe, X, 5, random_state=0).shape
    (5, 150, 3)
    """
    found = reach(estimator, "sample_posterior", X)
    draws = found.estimator.sample_posterior(found.X, n_samples, random_state=random_state)
    if X is None or found.affine is None:
        return draws
    return found.affine.locations(draws, axis=-1)


def sample(estimator: Any, n_samples: int = 1, random_state: Any = None) -> Any:
    """Draw new rows from a density.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object or FrozenEstimator, nested
        in any order.
    n_samples : int, default=1
        Number of rows.
    random_state : int, RandomState instance or None, default=None
        Equal seeds give equal draws.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Rows as the outermost object takes them: the steps before a pipeline's last are
        undone by their `inverse_transform`. Mixtures give a tuple of rows and labels.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbayes import PPCA
    >>> pipe = make_pipeline(StandardScaler(), PPCA(2)).fit(load_iris().data)
    >>> bool((skbayes.sample(pipe, 100, random_state=0)[:, 0] > 3).all())
    True
    """
    found = reach(estimator, "sample")
    drawn = found.estimator.sample(n_samples, random_state=random_state)
    rows, *labels = drawn if isinstance(drawn, tuple) else (drawn,)
    for transformer in reversed(found.transformers):
        rows = transformer.inverse_transform(rows)
    return (rows, *labels) if labels else rows


def sample_y(estimator: Any, X: Any, n_samples: int = 1, random_state: Any = 0) -> np.ndarray:
    """Draw new targets.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or linear
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features)
        Rows as the outermost object takes them.
    n_samples : int, default=1
        Number of draws.
    random_state : int, RandomState instance or None, default=0
        Equal seeds give equal draws.

    Returns
    -------
    y : ndarray of shape (n_samples, n_rows) or (n_samples, n_rows, n_targets)

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbayes import BayesianMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0)
    >>> pipe = make_pipeline(reg).fit(X[:300], y[:300])
    >>> skbayes.sample_y(pipe, X[300:], n_samples=10).shape
    (10, 142)
    """
    found = reach(estimator, "sample_y", X)
    draws = found.estimator.sample_y(found.X, n_samples, random_state=random_state)
    return draws if found.affine is None else found.affine.locations(draws, axis=2)


def score_evidence(
    estimator: Any, X: Any = None, y: Any = None, return_std: bool = False
) -> float | tuple[float, float]:
    """Log evidence in nats.

    Parameters
    ----------
    estimator : estimator
        Fitted; bare, or last inside a Pipeline, search object, FrozenEstimator or linear
        TransformedTargetRegressor, nested in any order.
    X : array-like of shape (n_rows, n_features), optional
        Rows as the outermost object takes them.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
        Targets as the outermost object takes them.
    return_std : bool, default=False
        Return the standard error of the estimate as well.

    Returns
    -------
    log_evidence : float
        Without data, the evidence of the training data; with data, the log predictive
        density of ``y``, joint over rows.
    std_error : float
        Only with ``return_std=True``.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or a target transformer is not linear.
    EvidenceUnavailableError
        If the engine has no evidence.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbayes import BayesianMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0)
    >>> pipe = make_pipeline(reg).fit(X, y)
    >>> round(skbayes.score_evidence(pipe), -2)
    -2400.0
    """
    found = reach(estimator, "score_evidence", X)
    if found.affine is None:
        return found.estimator.score_evidence(found.X, y, return_std=return_std)
    if X is None:
        raise TypeError(
            "score_evidence without data cannot reach through a TransformedTargetRegressor, "
            "which does not keep the number of rows that its units enter by; give X and y, or "
            "ask regressor_.score_evidence(), which is in the units of the transformed target"
        )
    z = found.affine.targets(y)
    value, std_error = found.estimator.score_evidence(found.X, z, return_std=True)
    value -= len(z) * found.affine.log_slope
    return (value, std_error) if return_std else value


def extend(estimator: Any, X: Any, y: Any, n_samples: int, sample_weight: Any = None) -> Any:
    """Draw more from each chain of a fitted sampler.

    Parameters
    ----------
    estimator : estimator
        Fitted by a sampler; bare, or last inside a Pipeline, search object or
        TransformedTargetRegressor, nested in any order. It is changed in place.
    X : array-like of shape (n_rows, n_features)
        The rows of the fit, in any order, as the outermost object takes them. Steps before
        the last must transform them to the numbers that they gave in the fit.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
        Their targets, as the outermost object takes them.
    n_samples : int
        Draws to add to each chain.
    sample_weight : array-like of shape (n_rows,), optional
        The weights of the fit.

    Returns
    -------
    estimator : estimator
        The one given.

    Raises
    ------
    TypeError
        If no estimator with this verb is inside, or it is frozen.
    DataMismatchError
        If the rows, targets or weights are not the fit's.
    DrawsUnavailableError
        If the engine keeps no chains.

    Examples
    --------
    >>> import skbayes
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbayes import BayesianMLPRegressor
    >>> from skbayes.inference import HMC
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor((), inference=HMC(n_samples=100), random_state=0)
    >>> pipe = make_pipeline(StandardScaler(), reg).fit(X, y)
    >>> skbayes.extend(pipe, X, y, 60)[-1].posterior_.particles.shape[:2]
    (4, 160)
    """
    found = reach(estimator, "extend", X)
    if found.frozen:
        raise TypeError(
            "skbayes.extend met a FrozenEstimator, whose estimator is to stay as it is; give "
            "the estimator inside it"
        )
    found.estimator.extend(found.X, found.inner_targets(y), n_samples, sample_weight=sample_weight)
    return estimator
