"""The best normal for a logistic model's weights: the largest evidence lower bound.

The bound, mean log likelihood less divergence from the prior, is concave in the mean and
in a triangular root of the covariance (Challis and Barber 2013, section 3.1), so that a
quasi-Newton climb in both ends at the one optimum. It moves in units of a normal near by,
in which the bound is almost round; every few steps that normal is put where the climb is.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from skbayes.linear_model._logit_means import LabelMeans, label_means
from skbayes.linear_model._normal_families import FullNormal, MatrixNormal, NormalFamily
from skbayes.linear_model._normal_fits import NormalFit, Start
from skbayes.linear_model._softmax import LabelledRows

#: Weights from which on the covariance of several logits is a Kronecker product.
MANY_WEIGHTS = 200
#: Steps in the same units, and steps that the climb remembers.
SEGMENT, MEMORY = 25, 20


def variational(data: LabelledRows, start: Start, tol: float, max_iter: int) -> NormalFit:
    """Normal of the largest evidence lower bound.

    Of more than 200 weights under a softmax, a matrix normal: one covariance of classes
    times one of columns.

    Parameters
    ----------
    data : LabelledRows
        Whitened rows.
    start : Start
        Where the climb begins.
    tol : float
        Stop when a step gains less than a tenth of this, in nats.
    max_iter : int
        Most steps.
    """
    family: type[NormalFamily] = FullNormal
    if data.n_outputs > 1 and start.mean.size > MANY_WEIGHTS:
        family = MatrixNormal
    climb = _Climb(family.begin(data, start), data)
    left, converged = max_iter, False
    while left > 0 and not converged:
        n_steps, converged = climb.run(min(left, SEGMENT), tol)
        left -= max(n_steps, 1)
    q = climb.family
    slope = np.zeros_like(start.mean)
    return NormalFit(
        q.mean,
        q.covariance(),
        climb.bound,
        slope,
        max_iter - left,
        converged,
        climb.means.curvature,
        10 * q.relative_tol * abs(climb.bound),
    )


class _Climb:
    """A family of normals around the best one so far, and what was found there."""

    means: LabelMeans

    def __init__(self, family: NormalFamily, data: LabelledRows) -> None:
        self.family, self.data, self.bound = family, data, -np.inf
        self._tilt: np.ndarray | None = None

    def run(self, n_steps: int, tol: float) -> tuple[int, bool]:
        """Climb, and centre the family where that ended; steps, and whether it settled.

        A search along a line that fails has met rounding, unless steps before it gained:
        then the units did not suit.
        """
        before = self._loss(self.family.origin)[0]
        size = max(1.0, abs(before))
        search = minimize(
            self._loss,
            self.family.origin,
            jac=True,
            method="L-BFGS-B",
            options={
                "maxcor": MEMORY,
                "maxiter": n_steps,
                "ftol": max(0.1 * tol / size, self.family.relative_tol),
                "gtol": 0.0,
            },
        )
        self.family = self.family.moved(search.x)
        self._loss(self.family.origin)
        failed = search.status == 2 and before + self.bound > tol + 1e-12 * size
        return int(search.nit), search.status != 1 and not failed

    def _loss(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the bound at coordinates of the family, and its gradient."""
        q = self.family.moved(x)
        logits = self.data.rows @ q.mean.T
        self.means = label_means(self.data, logits, q.logit_covariance(), self._tilt)
        self._tilt = self.means.p
        value = float(self.data.weight @ self.means.log_likelihood) - q.divergence()
        self.bound = value
        pull = self.data.score(self.means.p).T @ self.data.rows - q.mean
        return -value, -self.family.pull_back(q, pull, self.means.curvature)
