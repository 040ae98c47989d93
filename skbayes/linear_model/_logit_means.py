"""Means over the normal logits of labelled rows: log likelihood, and its derivatives.

One logit is integrated to rounding. For several the mean log partition function has a
lower-order mean, but a tight upper bound (Knowles and Minka 2011, section 3.2; here with
correlated logits): for logits of mean m and covariance V, and any vector a,

    E log sum_k exp(f_k) <= a'V a / 2 + log sum_k exp(m_k + V_kk / 2 - (V a)_k).

It is convex in a, lowest where a is the softmax on the right, and then its derivatives
are those of log sum exp at logits whose softmax is a: a in m, (diag(a) - a a') / 2 in V.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from skbayes.linear_model._softmax import LabelledRows
from skbayes.utils._logit_normal import loss_moments

#: Tilts end where they are this near to their softmax; most steps towards it.
RESIDUAL, MAX_STEPS = 1e-10, 60


class LabelMeans(NamedTuple):
    """Means over the logits of each row, or for a softmax bounds of them.

    Attributes
    ----------
    log_likelihood : ndarray of shape (N,)
        Of the labels, in nats; a lower bound for a softmax.
    p : ndarray of shape (N, K)
        Probabilities by logit: the gradient is label minus p.
    curvature : ndarray of shape (N, K, K)
        Minus twice the gradient in the covariance of the logits.
    """

    log_likelihood: np.ndarray
    p: np.ndarray
    curvature: np.ndarray


def label_means(
    data: LabelledRows, mean: np.ndarray, covariance: np.ndarray, tilt: np.ndarray | None = None
) -> LabelMeans:
    """Integrate over logits of these means (N, K) and covariances (N, K, K).

    ``tilt`` (N, K) is where the search for the best bound begins: the p of a normal near by.
    """
    if data.n_outputs == 1:
        return _one_logit(data, mean[:, 0], covariance[:, 0, 0])
    if tilt is None:
        tilt = data.probabilities(mean)
    tilt = _best_tilt(tilt, mean, covariance)
    picked = np.take_along_axis(mean, data.codes[:, None], axis=1)[:, 0]
    return LabelMeans(picked - _log_partition(tilt, mean, covariance), tilt, data.curvature(tilt))


def _one_logit(data: LabelledRows, mean: np.ndarray, variance: np.ndarray) -> LabelMeans:
    # The logit of the other label: log losses of clear rows keep their digits.
    wrong = loss_moments(np.where(data.codes == 1, -mean, mean), variance)
    p = np.where(data.codes == 1, 1 - wrong.slope, wrong.slope)
    return LabelMeans(-wrong.loss, p[:, None], wrong.curvature[:, None, None])


def _tilted(tilt: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Logits (N, K) on the right of the bound."""
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    return mean + 0.5 * variances - (covariance @ tilt[:, :, None])[:, :, 0]


def _log_partition(tilt: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The bound (N,)."""
    size = (tilt * (covariance @ tilt[:, :, None])[:, :, 0]).sum(axis=1)
    return 0.5 * size + logsumexp(_tilted(tilt, mean, covariance), axis=1)


def _best_tilt(tilt: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Tilts (N, K) of the lowest bound, by Newton's method on the rows not yet there."""
    tilt = tilt.copy()
    active = np.arange(len(tilt))
    for _ in range(MAX_STEPS):
        a, m, v = tilt[active], mean[active], covariance[active]
        logits = _tilted(a, m, v)
        p = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        away = np.abs(p - a).max(axis=1) > RESIDUAL
        if not away.any():
            break
        active, a, m, v, p = active[away], a[away], m[away], v[away], p[away]
        tilt[active] = _newton_step(a, m, v, p)
    return tilt


def _newton_step(
    tilt: np.ndarray, mean: np.ndarray, covariance: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """One step, halved in the rows where it would raise the bound."""
    spread = p[:, :, None] * (covariance - (p[:, None, :] @ covariance))
    move = np.linalg.solve(np.eye(tilt.shape[1]) + spread, (p - tilt)[:, :, None])[:, :, 0]
    before = _log_partition(tilt, mean, covariance)
    length = np.ones(len(tilt))
    for _ in range(30):
        after = _log_partition(tilt + length[:, None] * move, mean, covariance)
        worse = ~(after <= before + 1e-13 * (1 + np.abs(before)))
        if not worse.any():
            break
        length[worse] /= 2
    return tilt + length[:, None] * move
