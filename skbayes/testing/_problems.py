"""Small data, fits and Monte Carlo comparisons shared by the checks of the contract."""

from __future__ import annotations

import pickle
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags

#: A difference of more standard errors than this fails a check: chance alone exceeds it
#: once in two million comparisons.
LARGEST_Z = 5.0
#: Draws behind every comparison with a spread or a frequency.
N_DRAWS = 2000
#: Relative difference that rounding in single precision explains.
RTOL = 1e-5


@dataclass(frozen=True)
class Problem:
    """Training rows and new rows of one kind of target; y is None where none is taken."""

    name: str
    X: np.ndarray
    y: Any
    X_new: np.ndarray
    y_new: Any = None

    @property
    def n_targets(self) -> int:
        """Columns of y."""
        return self.y.shape[1] if self.y.ndim == 2 else 1


def is_predictor(estimator: Any) -> bool:
    """Whether the estimator learns targets."""
    return is_classifier(estimator) or is_regressor(estimator)


def problems(estimator: Any) -> list[Problem]:
    """Problems of every kind of target, or of rows, that the estimator's tags promise."""
    tags = get_tags(estimator)
    if not is_predictor(estimator):
        if tags.input_tags.categorical:
            return [counts()]
        return [rows(), holes()] if tags.input_tags.allow_nan else [rows()]
    if is_classifier(estimator):
        return [classes(n) for n in ((2, 3) if tags.classifier_tags.multi_class else (2,))]
    return [numbers(n) for n in ((1, 2) if tags.target_tags.multi_output else (1,))]


def first_problem(estimator: Any) -> Problem:
    """The simplest problem: one target, or two classes."""
    return problems(estimator)[0]


def _inputs(n_rows: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Training rows, and new rows of which the last lies outside the data."""
    X_new = np.vstack([rng.normal(size=(5, 3)), [[2.5, -2.5, 2.5]]])
    return rng.normal(size=(n_rows, 3)), X_new


def numbers(n_targets: int = 1, n_rows: int = 64) -> Problem:
    """Noisy targets of unequal location and scale, in binary fractions.

    Fractions make a power-of-two change of units exact, so that a chaotic sampler takes
    the same path in both units.
    """
    rng = np.random.RandomState(0)
    X, X_new = _inputs(n_rows, rng)
    location, scale = np.array([20.0, -1.0]), np.array([6.0, 0.25])

    def targets(rows: np.ndarray) -> np.ndarray:
        slope = np.array([[1.0, -0.5], [0.5, 1.0], [0.0, -0.5]])
        signal = rows @ slope + 0.5 * np.sin(2 * rows[:, [2, 0]])
        y = location + scale * (signal + 0.6 * rng.normal(size=signal.shape))
        y = np.round(y * 1024) / 1024
        return y if n_targets == 2 else y[:, 0]

    name = "two targets" if n_targets == 2 else "one target"
    return Problem(name, X, targets(X), X_new, targets(X_new))


def classes(n_classes: int = 2, n_rows: int = 64) -> Problem:
    """Noisy string labels, so that columns must follow `classes_`."""
    rng = np.random.RandomState(1)
    X, X_new = _inputs(n_rows, rng)
    labels = np.array(["yes", "no", "maybe"])[:n_classes]

    def targets(rows: np.ndarray) -> np.ndarray:
        logits = rows @ np.array([[1.5, -1.5, 0.0], [0.5, 0.0, -1.0], [0.0, 0.5, 0.5]])
        noisy = logits[:, :n_classes] + rng.gumbel(size=(len(rows), n_classes))
        return labels[noisy.argmax(axis=1)]

    return Problem(f"{n_classes} classes", X, targets(X), X_new, targets(X_new))


def rows(n_rows: int = 67) -> Problem:
    """Two groups of correlated rows, in binary fractions so that new units are exact."""
    rng = np.random.RandomState(2)
    mixing = np.array([[4.0, 1.0, 0.5], [0.0, 1.5, 0.5], [0.0, 0.0, 0.75]])

    def draw(n: int) -> np.ndarray:
        group = rng.randint(2, size=n)
        values = [20.0, -1.0, 4.0] + 5.0 * group[:, None] + rng.normal(size=(n, 3)) @ mixing
        return np.round(values * 1024) / 1024

    return Problem("rows", draw(n_rows), None, draw(6))


def holes() -> Problem:
    """`rows` of which a fifth of the values is missing; the last new row has one value."""
    complete, rng = rows(), np.random.RandomState(3)
    X, X_new = complete.X.copy(), complete.X_new.copy()
    for values in (X, X_new):
        values[rng.uniform(size=values.shape) < 0.2] = np.nan
        values[:, 0] = np.where(np.isnan(values).all(axis=1), 20.0, values[:, 0])
    X_new[-1] = [np.nan, 2.0, np.nan]
    return Problem("rows with missing values", X, None, X_new)


def counts() -> Problem:
    """Small counts in two columns; every new value is among the training rows."""
    rng = np.random.RandomState(4)
    X = np.minimum(rng.poisson([0.5, 1.0], size=(67, 2)), 3).astype(np.int64)
    return Problem("counts", X, None, X[:6])


def fresh(estimator: Any, random_state: int = 0) -> Any:
    """An unfitted copy with a fixed seed, where it takes one."""
    copy = clone(estimator)
    if "random_state" in copy.get_params(deep=False):
        copy.set_params(random_state=random_state)
    return copy


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of short runs: the contract is not about convergence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def fit(estimator: Any, X: np.ndarray, y: Any, random_state: int = 0, **params: Any) -> Any:
    """Fit a fresh copy."""
    with quiet():
        return fresh(estimator, random_state).fit(X, y, **params)


class _LastFits:
    """Fits of the estimator that was checked last, pickled, so that no check sees another's.

    Most checks look at the same fits: one for each problem serves them all.
    """

    def __init__(self) -> None:
        self._of: Any = lambda: None
        self._unfitted, self._fits = b"", dict[str, bytes]()

    def copy(self, estimator: Any, problem: Problem) -> Any:
        """A copy of the estimator's fit to a problem."""
        try:
            unfitted = pickle.dumps(fresh(estimator))
            if self._of() is not estimator or self._unfitted != unfitted:
                self._of, self._unfitted, self._fits = weakref.ref(estimator), unfitted, {}
            if problem.name not in self._fits:
                self._fits[problem.name] = pickle.dumps(fit(estimator, problem.X, problem.y))
            return pickle.loads(self._fits[problem.name])
        except (pickle.PicklingError, AttributeError, TypeError):  # which check_pickle tells
            return fit(estimator, problem.X, problem.y)


_LAST_FITS = _LastFits()


def fitted_problems(estimator: Any, anew: bool = False) -> Iterator[tuple[Problem, Any]]:
    """Each problem with a copy fitted to it; ``anew`` where the fit itself is looked at."""
    for problem in problems(estimator):
        if anew:
            yield problem, fit(estimator, problem.X, problem.y)
        else:
            yield problem, _LAST_FITS.copy(estimator, problem)


def evidence(fitted: Any, X: np.ndarray, y: Any = None) -> tuple[float, float]:
    """Log evidence of new rows and its standard error, from however few draws."""
    from skbayes.exceptions import EvidenceUnavailableError

    try:
        return fitted.score_evidence(X, y, return_std=True)
    except EvidenceUnavailableError as error:
        if "effective draws" not in str(error):
            raise
        return fitted._new_evidence(X, y)[:2]


def stored_evidence(fitted: Any) -> tuple[float, float] | None:
    """Log evidence that fit stored, with its standard error; None where there is none."""
    from skbayes.exceptions import EvidenceUnavailableError

    try:
        return fitted.score_evidence(return_std=True)
    except EvidenceUnavailableError:
        return None


def new_rows(fitted: Any, n_samples: int = N_DRAWS, random_state: Any = 0) -> np.ndarray:
    """Rows of ``sample``, whether or not it returns labels beside them."""
    drawn = fitted.sample(n_samples, random_state=random_state)
    return drawn[0] if isinstance(drawn, tuple) else drawn


def own_draws(fitted: Any) -> float:
    """Draws behind the estimator's own predictions; infinite where it declares none."""
    return float(getattr(fitted, "n_predictive_samples", np.inf))


def inverse_count(fitted: Any, n_draws: int = N_DRAWS) -> float:
    """Sum of the reciprocal counts of draws on the two sides of a comparison."""
    return 1 / n_draws + 1 / own_draws(fitted)


def moments(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance, and sampling deviation of one squared error, over the first axis."""
    mean = draws.mean(axis=0)
    squared = (draws - mean) ** 2
    return mean, squared.mean(axis=0), squared.std(axis=0)


def latent_probabilities(logits: np.ndarray) -> np.ndarray:
    """Class probabilities (..., n_classes) of logits; one logit is that of the second class."""
    if logits.shape[-1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def require(holds: Any, message: str) -> None:
    """Raise AssertionError, also where Python runs without assert statements."""
    if not holds:
        raise AssertionError(message)


def assert_close(what: str, actual: Any, desired: Any, rtol: float = RTOL, atol: float = 0) -> None:
    """Equal up to rounding."""
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol, err_msg=what)


def assert_within_error(what: str, actual: Any, desired: Any, std_error: Any) -> None:
    """Equal up to `LARGEST_Z` standard errors, and rounding."""
    actual, desired = np.asarray(actual, float), np.asarray(desired, float)
    require(actual.shape == desired.shape, f"{what}: shapes {actual.shape} and {desired.shape}")
    rounding = RTOL * np.abs(desired).max(initial=0) + 1e-10
    z = np.abs(actual - desired) / (np.asarray(std_error) + rounding)
    worst = z.argmax()
    require(
        (z <= LARGEST_Z).all(),
        f"{what}: {actual.flat[worst]:.6g} against {desired.flat[worst]:.6g}, "
        f"{z.max():.1f} standard errors apart (at most {LARGEST_Z:g} are left to chance)",
    )


def assert_raises(what: str, error: type[Exception], call: Any, *args: Any, **kwargs: Any) -> str:
    """The call fails with the error; returns its message."""
    try:
        call(*args, **kwargs)
    except error as raised:
        return str(raised)
    raise AssertionError(f"{what}: no {error.__name__} was raised")


def epistemic_std(fitted: Any, X: np.ndarray) -> np.ndarray:
    """Epistemic standard deviations; of one set of weights they are zero, with a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="kind='epistemic' is zero")
        return fitted.predict_std(X, kind="epistemic")
