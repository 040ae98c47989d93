"""Prior precisions of a logistic model by the evidence of a normal approximation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from skbayes.linear_model._centre import log_centres
from skbayes.linear_model._normal_fits import NormalFit, Start
from skbayes.linear_model._rows import RowFactor
from skbayes.linear_model._softmax import LabelledRows

Engine = Callable[[LabelledRows, Start, float, int], NormalFit]
#: Common precisions tried first, in e-folds around the columns' mean squares.
GRID = (-6.0, -3.0, 0.0, 3.0, 6.0)
#: Log precisions stay within so many e-folds of the start: beyond, nothing changes.
FAR = 30.0
#: Nats to which a normal is worked out at first, and as a share of the next step's gain.
ROUGH, PRECISE = 1.0, 0.01
#: Longest step of a log precision, in e-folds.
LONGEST = 4.0


@dataclass
class Whitening:
    """Coordinates of the weights in which they are standard normal, and rows diagonal.

    Attributes
    ----------
    sd : ndarray of shape (P,)
        Prior standard deviations.
    values : ndarray of shape (r,)
    vectors : ndarray of shape (r, P)
        Singular values and right vectors of the weighted rows times sd. Weights across
        them stay as they were a priori.
    """

    sd: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, factor: RowFactor, sd: np.ndarray) -> Whitening:
        """Rotate so that directions come apart."""
        _, values, vectors = np.linalg.svd(factor.design * sd, full_matrices=False)
        return cls(sd, values, vectors)

    def rows(self, design: np.ndarray) -> np.ndarray:
        """Rows (N, P) in these coordinates (N, r)."""
        return (design * self.sd) @ self.vectors.T


@dataclass
class LogisticProblem:
    """Labelled rows under a normal prior whose precisions may move.

    Parameters
    ----------
    design : ndarray of shape (N, P)
    codes, weight : ndarray of shape (N,)
        Labels, and likelihood exponents.
    n_outputs : int
        Logits K.
    sd : ndarray of shape (P,)
        Prior standard deviations at precision 1.
    groups : ndarray of int of shape (P,)
        Weights of one group share a precision.
    fit_intercept : bool
        Whether the first weight is an intercept, of a group of its own.
    engine : callable
        Makes the normal approximation.
    tol : float
        Nats to which it is worked out.
    max_iter : int
        Its most steps.
    precision_prior : tuple of float
        Shape and rate of the precisions' Gamma prior; (0, 0) for none.
    """

    design: np.ndarray
    codes: np.ndarray
    weight: np.ndarray
    n_outputs: int
    sd: np.ndarray
    groups: np.ndarray
    fit_intercept: bool
    engine: Engine
    tol: float
    max_iter: int
    precision_prior: tuple[float, float] = (0.0, 0.0)
    _last: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.factor = RowFactor(self.design.shape[1], 0)
        self.factor.absorb(self.design, np.empty((len(self.design), 0)), self.weight)

    def fit(self, theta: np.ndarray) -> tuple[Whitening, NormalFit]:
        """The approximation at log precisions (n_groups,)."""
        return self._fit(theta, self.tol, self.max_iter)

    def _fit(self, theta: np.ndarray, tol: float, max_iter: int) -> tuple[Whitening, NormalFit]:
        white = Whitening.of(self.factor, self.sd * np.exp(-0.5 * theta[self.groups]))
        data = LabelledRows(white.rows(self.design), self.codes, self.weight, self.n_outputs)
        start = Start(np.zeros((self.n_outputs, len(white.values))), None)
        if self._last is not None:
            start = Start((self._last[0] / white.sd) @ white.vectors.T, self._last[1])
        fit = self.engine(data, start, tol, max_iter)
        self._last = fit.mean @ white.vectors * white.sd, fit.curvature
        return white, fit

    def objective(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log evidence, with the precisions' prior, and its gradient (n_groups,)."""
        white, fit = self.fit(theta)
        shape, pull = self.precision_prior[0], self._pull(theta)
        determined, size = self._balance(white, fit)
        slope = 0.5 * (determined - size + self._moved(white, fit))
        return self._with_prior(fit, theta), slope + shape - pull

    def _with_prior(self, fit: NormalFit, theta: np.ndarray) -> float:
        return fit.log_evidence + float((self.precision_prior[0] * theta - self._pull(theta)).sum())

    def _pull(self, theta: np.ndarray) -> np.ndarray:
        """The precisions (n_groups,) times the rate of their prior."""
        return self.precision_prior[1] * np.exp(theta) if self.precision_prior[1] else 0 * theta

    def _balance(self, white: Whitening, fit: NormalFit) -> tuple[np.ndarray, np.ndarray]:
        """Weights that the data determine, and their squares, by group; equal at the best."""
        n_outputs, n_columns = fit.mean.shape
        vectors, u = white.vectors, fit.mean @ white.vectors
        blocks = fit.covariance.reshape(n_outputs, n_columns, n_outputs, n_columns)
        own = np.einsum("kikj->ij", blocks)
        determined = n_outputs * (vectors**2).sum(axis=0) - (vectors * (own @ vectors)).sum(axis=0)
        sums = (np.bincount(self.groups, each) for each in (determined, (u**2).sum(axis=0)))
        return next(sums), next(sums)

    def _moved(self, white: Whitening, fit: NormalFit) -> np.ndarray:
        """What the mode's move adds to the gradient, twice (n_groups,)."""
        moved = (fit.covariance @ fit.volume_slope.ravel()).reshape(fit.mean.shape)
        each = ((moved @ white.vectors) * (fit.mean @ white.vectors)).sum(axis=0)
        return np.bincount(self.groups, each)

    def _centre(self) -> np.ndarray:
        """Log precisions (n_groups,) at which a typical row's logit has a variance of one."""
        centre = log_centres(self.factor.design, self.sd, self.groups, self.fit_intercept)
        return centre - np.log(self.factor.weight)

    def maximise(self, max_iter: int) -> tuple[np.ndarray, int, bool]:
        """Log precisions (n_groups,) of the largest objective, steps, and whether it settled."""
        centre = self._centre()
        best = max(GRID, key=lambda offset: self.objective(centre + offset)[0])
        search = minimize(
            lambda theta: tuple(-x for x in self.objective(theta)),
            centre + best,
            jac=True,
            method="L-BFGS-B",
            bounds=[(c - FAR, c + FAR) for c in centre],
            options={"maxiter": max_iter, "ftol": 1e-13, "gtol": 1e-6},
        )
        return search.x, int(search.nit), search.status != 1


class _Secant:
    """Steps of a fixed-point iteration, lengthened where moves hardly change.

    Each coordinate takes the secant method's step, between a quarter of the move and
    ``reach`` times it. A precision on its way to infinity moves by the same again and
    again: its reach doubles, up to 16, for as long as steps succeed.
    """

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self.reach = 1.0

    def __call__(self, theta: np.ndarray, move: np.ndarray) -> np.ndarray:
        slope = np.ones_like(move)
        if self._last is not None:
            went = theta - self._last[0]
            far = np.abs(went) > 1e-12
            slope[far] = np.clip((self._last[1] - move)[far] / went[far], 1 / self.reach, 4)
        self._last = theta, move
        self.reach = min(16.0, 2 * self.reach)
        return np.clip(move / slope, -LONGEST, LONGEST)


class VariationalProblem(LogisticProblem):
    """The best normal and the precisions that suit it, found together.

    A precision suits a normal where the squares of its weights sum to the number of them
    that the data determine; MacKay (1992, eq. 4.9) sets it so, and the normal follows.
    Normals are worked out no finer than the next step asks for.
    """

    def maximise(self, max_iter: int) -> tuple[np.ndarray, int, bool]:
        """Log precisions (n_groups,) of the largest objective, steps, and whether it settled."""
        centre = self._centre()
        theta = self._start(centre)
        best, top, tol, secant = theta, -np.inf, ROUGH, _Secant()
        for n_iter in range(1, max_iter + 1):
            white, fit = self._fit(theta, tol, self.max_iter)
            value, error = self._with_prior(fit, theta), max(tol, fit.error)
            if value < top - error:
                theta, secant.reach = 0.5 * (best + theta), 1.0
                continue
            best, top = theta, value
            move, gain = self._step(white, fit, theta)
            if gain <= max(self.tol, fit.error):
                return best, n_iter, True
            tol = max(self.tol, min(tol, PRECISE * gain))
            theta = np.clip(theta + secant(theta, move), centre - FAR, centre + FAR)
        return best, max_iter, False

    def _start(self, centre: np.ndarray) -> np.ndarray:
        """The best of a few common precisions, from narrow priors to wide ones.

        Each normal is a start for the next, and they are harder and harder to find: the
        walk ends where the bound falls.
        """
        best, top, last = centre, -np.inf, None
        for offset in GRID[::-1]:
            _, fit = self._fit(centre + offset, ROUGH, self.max_iter)
            value = self._with_prior(fit, centre + offset)
            if value < top:
                break
            best, top, last = centre + offset, value, self._last
        self._last = last
        return best

    def _step(
        self, white: Whitening, fit: NormalFit, theta: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Step (n_groups,) of the log precisions, and the nats that it promises."""
        determined, size = self._balance(white, fit)
        up = np.maximum(determined, 0.0) + 2 * self.precision_prior[0]
        down = size + 2 * self._pull(theta)
        move = np.clip(np.log((up + 1e-300) / (down + 1e-300)), -LONGEST, LONGEST)
        return move, float(0.5 * (up - down) @ move)
