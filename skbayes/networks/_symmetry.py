"""Hidden units that may change places, and signs: images of weights with the same function.

A layer of H units has H! orders; where the activation is odd, each unit may also change the
signs of all that comes in and all that goes out. A posterior whose prior tells units apart
as little as the network does has so many equal parts (Bishop, 2006, section 5.1.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

#: Elements of the arrays that compare units with units at once.
BLOCK_ELEMENTS = 2**22

#: Weights beyond which they are taken in units of the largest.
LARGEST = 1e70


class HiddenLayer(NamedTuple):
    """Where the units of a hidden layer stand in the flat weight vector.

    Parameters
    ----------
    incoming : ndarray of int of shape (H, n_incoming)
        Each unit's own weights and bias.
    outgoing : ndarray of int of shape (H, n_outgoing)
        What its value is multiplied by, in the same order for all units.
    odd : bool
        Whether f(-x) = -f(x) for the activation.
    """

    incoming: np.ndarray
    outgoing: np.ndarray
    odd: bool


def log_n_images(layers: Sequence[HiddenLayer]) -> float:
    """Log of the number of images: log H! a layer, and H log 2 where the activation is odd."""
    return sum(
        math.lgamma(len(layer.incoming) + 1) + len(layer.incoming) * math.log(2) * layer.odd
        for layer in layers
    )


def nearest_image(
    layers: Sequence[HiddenLayer], weights: np.ndarray, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Images of weights (S, P) nearest to a centre (P,), and which are their own (S,).

    Of a single hidden layer these are the nearest ones. Of several, units are matched layer
    by layer, each by what the layers above leave as it is: of all images of a point one and
    the same is chosen, which is what counting each point once asks for.
    """
    weights, own = weights.copy(), np.ones(len(weights), dtype=bool)
    for number, layer in enumerate(layers):
        above = [later.incoming.ravel() for later in layers[number + 1 :]]
        fixed = ~np.isin(layer.outgoing[0], np.concatenate(above)) if above else slice(None)
        features = np.concatenate([layer.incoming, layer.outgoing[:, fixed]], axis=1)
        places = np.concatenate([layer.incoming, layer.outgoing], axis=1)
        n_block = max(1, BLOCK_ELEMENTS // (len(features) * max(features.shape)))
        for start in range(0, len(weights), n_block):
            block = weights[start : start + n_block]
            product = centre[features] @ block[:, features].swapaxes(1, 2)
            order = _best_order(np.abs(product) if layer.odd else product)
            chosen = np.take_along_axis(product, order[:, :, None], axis=2)[..., 0]
            sign = np.where((chosen < 0) & layer.odd, -1, 1)
            own[start : start + n_block] &= (order == np.arange(len(features))).all(axis=1)
            own[start : start + n_block] &= (sign > 0).all(axis=1)
            draw = np.arange(len(block))[:, None, None]
            block[:, places] = sign[:, :, None] * block[draw, places[order]]
    return weights, own


def reversed_image(layers: Sequence[HiddenLayer], weights: np.ndarray) -> np.ndarray:
    """The image of weights (S, P) with all units in reverse order and all signs changed."""
    weights = weights.copy()
    for layer in layers:
        places = np.concatenate([layer.incoming, layer.outgoing], axis=1)
        weights[:, places] = (-1) ** layer.odd * weights[:, places[::-1]]
    return weights


def log_n_separate_images(
    layers: Sequence[HiddenLayer], mean: np.ndarray, variance: np.ndarray
) -> float:
    """Log of the number of images of a normal that lie apart from one another.

    A unit that does nothing is its own mirror image, and two units that do the same have one
    order, so that with room to spare far fewer images than `log_n_images` are parts of a
    posterior that the normal leaves out. How far a unit and its mirror image, or two units,
    are one is twice the chance that a draw lies nearer to the other mean. This is exact where
    all are wholly apart or wholly one, and near |G| P(a draw lies nearest to its own mean of
    |G| images) between, which can only be counted for few units.

    Parameters
    ----------
    layers : sequence of HiddenLayer
        Hidden layers of the network.
    mean, variance : ndarray of shape (n_weights,)
        Of the normal, weight by weight.
    """
    return sum(_log_n_separate(layer, mean, variance) for layer in layers)


def _log_n_separate(layer: HiddenLayer, mean: np.ndarray, variance: np.ndarray) -> float:
    places = np.concatenate([layer.incoming, layer.outgoing], axis=1)
    m, v = mean[places], variance[places]
    size = max(np.abs(m).max(initial=0.0), np.sqrt(v.max(initial=0.0)))
    if size > LARGEST:
        # Overlaps have no unit, and fourth powers would overflow.
        m, v = m / size, v / size**2
    squares, own = (m**2).sum(1), (m**2 * v).sum(1)
    overlap = np.zeros((len(m), len(m)))
    for sign in (1, -1)[: 1 + layer.odd]:
        # |m_j - m_k|^2, and the sum of (m_j - m_k)^2 (v_j + v_k).
        distance = squares[:, None] + squares - 2 * sign * m @ m.T
        half = m**2 @ v.T - 2 * sign * m @ (m * v).T + own
        overlap = np.maximum(overlap, _overlap(distance, half + half.T))
    order = np.argsort(-(m**2).sum(1), kind="stable")
    behind = np.triu(overlap[np.ix_(order, order)], 1).sum(1)
    log_n = math.lgamma(len(m) + 1) - float(np.log1p(behind).sum())
    if layer.odd:
        mirrored = _overlap(2 * squares, 4 * own)
        log_n += len(m) * math.log(2) - float(np.log1p(mirrored).sum())
    return log_n


def _best_order(score: np.ndarray) -> np.ndarray:
    """For each draw the units (S, H) that fill the places of the largest total score."""
    order = score.argmax(axis=2)
    places = np.arange(score.shape[1])
    for draw in np.flatnonzero((np.sort(order, axis=1) != places).any(axis=1)):
        order[draw] = linear_sum_assignment(score[draw], maximize=True)[1]
    return order


def _overlap(distance: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Twice the chance that a normal passes ``distance``; 1 where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = distance / np.sqrt(variance)
    return 2 * norm.sf(np.where(distance > 0, ratio, 0.0))
