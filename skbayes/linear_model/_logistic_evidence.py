"""Prior precisions of a logistic model by the evidence of a normal approximation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from skbayes.linear_model._centre import column_sizes, log_centres
from skbayes.linear_model._conjugate import coordinates, decompose
from skbayes.linear_model._normal_fits import NormalFit, Start, laplace, log_joint
from skbayes.linear_model._softmax import LabelledRows
from skbayes.linear_model._weighted_rows import RowFactor

Engine = Callable[[LabelledRows, Start, float, int], NormalFit]
#: The walk over common precisions, in e-folds around the columns' mean squares: where it
#: begins, and its steps; it ends so far beyond the smallest column, or where the data
#: determine this share of the weights and wider priors cost.
NARROWEST, STRIDE, WIDEST, DETERMINED = 6.0, 3.0, -9.0, 0.9
#: Nats to which modes are found on the walk, and the farthest that an intercept goes there.
COARSE, FARTHEST = 0.1, 12.0
#: Log precisions stay within so many e-folds of the start: beyond, nothing changes.
FAR = 30.0
#: Nats to which a normal is worked out at first, and as a share of the next step's gain.
ROUGH, PRECISE = 1.0, 0.01
#: Longest step of a log precision, in e-folds.
LONGEST = 4.0
#: A climb is given up that would need so many times what its next step promises.
PROMISES = 20.0
#: Moves of a fixed-point iteration before a quasi-Newton method takes over.
MOVES = 12


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
    origin : ndarray of shape (r,) or None
        The mean row, from which columns are measured where there is an intercept.
    """

    sd: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    origin: np.ndarray | None

    @classmethod
    def of(cls, factor: RowFactor, sd: np.ndarray) -> Whitening:
        """Rotate so that directions come apart."""
        left, values, vectors = (part[0] for part in decompose((factor.design * sd)[None]))
        origin = left[0] * values / factor.design[0, 0] if factor.fit_intercept else None
        return cls(sd, values, vectors, origin)

    def rows(self, design: np.ndarray) -> np.ndarray:
        """Rows (N, P) in these coordinates (N, r)."""
        return coordinates(design, self.sd, self.vectors, self.origin)[0]


class Stop(NamedTuple):
    """A place on the walk: log precisions (n_groups,), log evidence, and a start there."""

    theta: np.ndarray
    value: float
    last: tuple[np.ndarray, np.ndarray] | None


@dataclass
class LogisticProblem:
    """Labelled rows under a normal prior whose precisions may move.

    Parameters
    ----------
    factor : RowFactor
        Of the weighted rows.
    design : ndarray of shape (N, P)
        The rows, measured from their means where there is an intercept.
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
    heard : callable
        Is told of the normal at each step of the search; True ends it.
    """

    factor: RowFactor
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
    heard: Callable[[tuple[Whitening, NormalFit]], bool] = lambda state: False
    _last: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False)

    @property
    def _n_contrasts(self) -> int:
        """Logits that the labels can tell of: a softmax leaves their sum alone."""
        return max(1, self.n_outputs - 1)

    def fit(self, theta: np.ndarray) -> tuple[Whitening, NormalFit]:
        """The approximation at log precisions (n_groups,)."""
        return self._fit(theta, self.tol, self.engine)

    def _fit(self, theta: np.ndarray, tol: float, engine: Engine) -> tuple[Whitening, NormalFit]:
        white = Whitening.of(self.factor, self.sd * np.exp(-0.5 * theta[self.groups]))
        data = LabelledRows(white.rows(self.design), self.codes, self.weight, self.n_outputs)
        start = Start(np.zeros((self.n_outputs, len(white.values))), None)
        if self._last is not None:
            mean = (self._last[0] / white.sd) @ white.vectors.T
            # Weights that another prior allowed may be farther off than none.
            if log_joint(data, mean) > log_joint(data, start.mean):
                start = Start(mean, self._last[1])
        # Where a prior is so wide that squares of logits overflow, factors say so.
        with np.errstate(over="ignore", invalid="ignore"):
            fit = engine(data, start, tol, self.max_iter)
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
        prior = float((self.precision_prior[0] * theta - self._pull(theta)).sum())
        if not np.isfinite(prior):
            raise np.linalg.LinAlgError("precisions leave the range of their prior")
        return fit.log_evidence + prior

    def _pull(self, theta: np.ndarray) -> np.ndarray:
        """The precisions (n_groups,) times the rate of their prior."""
        if not self.precision_prior[1]:
            return 0 * theta
        with np.errstate(over="ignore"):
            return self.precision_prior[1] * np.exp(theta)

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

    def _reach(self) -> float:
        """E-folds from the largest column to the smallest of a group."""
        size, _ = column_sizes(self.factor.design * self.sd, self.fit_intercept)
        real = size > 0
        real[: int(self.fit_intercept)] = False
        each, own = 2 * np.log(size[real]), self.groups[real]
        return max((np.ptp(each[own == group]) for group in set(own)), default=0.0)

    def _rank(self) -> int:
        """Weights of one logit that the rows can tell of, whatever their columns' units."""
        size, _ = column_sizes(self.factor.design, self.fit_intercept)
        own = int(self.fit_intercept)
        varying = self.factor.design[own:, own:] / np.where(size > 0, size, 1.0)[own:]
        return own + int(np.linalg.matrix_rank(varying))

    def _starts(self) -> list[Stop]:
        """Where the evidence has its peaks along common precisions, the highest first.

        From narrow priors to wide ones. Weights of zero are one of the peaks as soon as
        columns are far from zero or few rows say little, so that no climb from a single
        place will do. Peaks are looked for with normals at the mode, which cost little.
        """
        centre, offset = self._centre(), NARROWEST
        stops = [self._profile(self._nothing())[0]]
        end = WIDEST - self._reach()
        all_of_them = self._n_contrasts * self._rank()
        while offset >= end:
            try:
                stop, determined = self._profile(self._balanced(centre, offset))
            except np.linalg.LinAlgError:  # a mode out of range, as farther ones will be
                break
            stops.append(stop)
            if determined > DETERMINED * all_of_them and stop.value < stops[-2].value:
                break
            offset -= STRIDE
        values = np.array([-np.inf, *(stop.value for stop in stops), -np.inf])
        peaks = (values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:])
        return sorted(
            (stop for stop, peak in zip(stops, peaks, strict=True) if peak),
            key=lambda stop: -stop.value,
        )

    def _nothing(self) -> np.ndarray:
        """Weights of zero for all that the data can tell, and an intercept."""
        theta = log_centres(self.factor.design, self.sd, self.groups, False) + NARROWEST
        if self.fit_intercept:
            theta[0] = 0.0
        return theta

    def _balanced(self, centre: np.ndarray, offset: float) -> np.ndarray:
        """Weights ``offset`` from the centre, and the intercept that balances them."""
        theta = centre + offset
        if self.fit_intercept:
            # At the centre its variance is one and what the columns' means add.
            theta[0] = -np.log1p(max(0.0, np.expm1(-centre[0])) * np.exp(-offset))
        return theta

    def _profile(self, theta: np.ndarray) -> tuple[Stop, float]:
        """The better of two intercepts' precisions, and how many weights the data determine.

        Given the others, one weight's evidence has a single peak in its precision; where
        its likelihood is a normal, the second precision is at the peak.
        """
        white, fit = self._fit(theta, COARSE, laplace)
        determined, size = self._balance(white, fit)
        stop = Stop(theta, self._with_prior(fit, theta), self._last)
        if self.fit_intercept:
            share = np.clip(determined[0] / self._n_contrasts, 1e-9, 1.0)
            ratio = (size[0] / self._n_contrasts - share * (1 - share)) / share**2
            other = theta.copy()
            other[0] -= np.log(np.clip(ratio, np.exp(-FARTHEST), np.exp(FARTHEST)))
            _, fit = self._fit(other, COARSE, laplace)
            value = self._with_prior(fit, other)
            if value > stop.value:
                stop = Stop(other, value, self._last)
        return stop, float(determined.sum())

    def maximise(self, max_iter: int) -> tuple[np.ndarray, int, bool]:
        """Log precisions (n_groups,) of the largest objective, steps, and whether it settled."""
        climbs: list[tuple[float, np.ndarray, int, bool]] = []
        lasts = []
        for start in self._starts():
            theta, self._last = start.theta, start.last
            if self.engine is not laplace:
                theta = self._modes_climb(theta)
            best = max((climb[0] for climb in climbs), default=-np.inf)
            climbs.append(self._climb(self.engine, theta, best, max_iter, self.tol))
            lasts.append(self._last)
        highest = int(np.argmax([climb[0] for climb in climbs]))
        self._last = lasts[highest]
        return climbs[highest][1:]

    def _modes_climb(self, start: np.ndarray) -> np.ndarray:
        """A first part of the climb by normals at the mode, where those stay in range."""
        last = self._last
        try:
            return self._climb(laplace, start, -np.inf, MOVES, COARSE)[1]
        except np.linalg.LinAlgError:
            self._last = last
            return start

    def _climb(
        self, engine: Engine, start: np.ndarray, best: float, max_iter: int, least: float
    ) -> tuple[float, np.ndarray, int, bool]:
        """The peak near a start: objective, log precisions, steps, and whether it settled.

        A precision suits a normal where the squares of its weights sum to the number of
        them that the data determine; MacKay (1992, eq. 4.9) sets it so, and the normal
        follows. Normals are worked out no finer than the next step asks for. The climb
        ends where a step promises no more than ``least``, and is given up where it is
        clear that the peak is lower than ``best``.
        """
        theta, at, top, tol, secant = start, start, -np.inf, ROUGH, _Secant()
        for n_iter in range(1, min(max_iter, MOVES) + 1):
            white, fit = self._fit(theta, tol, engine)
            value, error = self._with_prior(fit, theta), max(tol, fit.error)
            if value < top - error:
                theta, secant.reach = 0.5 * (at + theta), 1.0
                continue
            at, top = theta, value
            if self.heard((white, fit)):
                return top, at, n_iter, True
            move, gain = self._step(white, fit, theta)
            if gain <= max(least, fit.error) or top + error + PROMISES * gain < best:
                return top, at, n_iter, True
            tol = max(self.tol, min(tol, PRECISE * gain))
            theta = np.clip(theta + secant(theta, move), start - FAR, start + FAR)
        if engine is self.engine and max_iter > MOVES:
            return self._finish(at, top, max_iter - MOVES)
        return top, at, max_iter, False

    def _finish(
        self, start: np.ndarray, value: float, max_iter: int
    ) -> tuple[float, np.ndarray, int, bool]:
        """The same by a quasi-Newton method, for precisions that trade places."""
        search = minimize(
            lambda theta: tuple(-x for x in self.objective(theta)),
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(x - FAR, x + FAR) for x in start],
            options={"maxiter": max_iter, "ftol": self.tol / max(1.0, abs(value)), "gtol": 1e-6},
        )
        return -float(search.fun), search.x, MOVES + int(search.nit), search.status != 1

    def _step(
        self, white: Whitening, fit: NormalFit, theta: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Step (n_groups,) of the log precisions, and the nats that it promises."""
        determined, size = self._balance(white, fit)
        up = np.maximum(determined + self._moved(white, fit), 0.0) + 2 * self.precision_prior[0]
        down = size + 2 * self._pull(theta)
        move = np.clip(np.log((up + 1e-300) / (down + 1e-300)), -LONGEST, LONGEST)
        return move, float(0.5 * (up - down) @ move)


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
