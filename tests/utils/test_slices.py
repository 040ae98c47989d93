"""The learned law of directions against closed forms between Gaussians that differ by a shift.

Both samples have the same noise, so that a direction's coupling is exact: its squared
distance is the squared product with the shift, and what is learned is the law alone.
"""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from skbayes.utils._random import make_generator
from skbayes.utils._slices import (
    SlicingDistribution,
    mean_cosine,
    random_directions,
    sliced_squares,
    squared_wasserstein_1d,
)

SHIFT = 2.0
#: Angles of a whole turn: sums over them converge faster than any power.
ANGLES = np.linspace(0, 2 * np.pi, 400, endpoint=False)


def shifted(n_columns, n_rows=10):
    """Rows, and the same rows at a distance of SHIFT in a direction of no axis."""
    noise = torch.randn(n_rows, n_columns, generator=make_generator(1), dtype=torch.float64)
    towards = torch.arange(1.0, n_columns + 1, dtype=torch.float64)
    return noise, noise + SHIFT * towards / towards.norm()


def learned(n_columns, penalty, n_steps, n_directions=400):
    """The law after some steps, and its rows."""
    x, y = shifted(n_columns)
    slices = SlicingDistribution(x, penalty, n_directions, make_generator(2))
    slices.learn(x, y, n_steps)
    return slices, x, y


def law_of_angles(matrix):
    """Density on ANGLES of A u / |A u|, u uniform: angular central Gaussian (Tyler, 1987)."""
    units = np.stack([np.cos(ANGLES), np.sin(ANGLES)])
    density = 1 / (units * np.linalg.solve(matrix @ matrix.T, units)).sum(0)
    return density / density.sum()


def expected(matrix, towards):
    """Exact mean squared cosine with a direction, and mean absolute cosine between two draws."""
    p = law_of_angles(matrix)
    along = np.cos(ANGLES) * towards[0] + np.sin(ANGLES) * towards[1]
    cosines = np.abs(np.cos(ANGLES[:, None] - ANGLES))
    return p @ along**2, p @ cosines @ p


def objective(matrix, towards, penalty):
    square, cosine = expected(matrix, towards)
    return SHIFT * math.sqrt(square) - penalty * cosine


@pytest.mark.parametrize("penalty", [0.5, 1.0, 2.0])
def test_learned_law_reaches_the_optimum_between_sliced_and_max_sliced(penalty):
    """In the plane the best law is known: one number, by quadrature."""
    slices, x, y = learned(2, penalty, 300)
    towards = ((y - x)[0] / SHIFT).numpy()
    across = np.array([-towards[1], towards[0]])

    def loss(log_ratio):
        matrix = np.outer(towards, towards) * np.exp(log_ratio) + np.outer(across, across)
        return -objective(matrix, towards, penalty)

    best = minimize_scalar(loss, bounds=(0, 4), method="bounded")
    uniform = -loss(0.0)
    found = slices.map.detach().numpy()
    # Near an optimum a step's noise costs its square: a percent of what was to be gained.
    gain = (objective(found, towards, penalty) - uniform) / (-best.fun - uniform)
    assert gain > 0.97, (gain, best.x)
    square = SHIFT**2 * expected(found, towards)[0]
    assert SHIFT**2 / 2 < square < SHIFT**2


def test_distance_is_that_of_the_law():
    """The estimate's mean is the closed form at the learned map."""
    slices, x, y = learned(2, 1.0, 60)
    towards = ((y - x)[0] / SHIFT).numpy()
    exact = SHIFT**2 * expected(slices.map.detach().numpy(), towards)[0]
    found = np.array([float(slices.squared_distance(x, y)) for _ in range(50)])
    assert abs(found.mean() - exact) < 5 * found.std() / math.sqrt(50)


@pytest.mark.parametrize("n_columns", [2, 10])
def test_limits_of_the_penalty(n_columns):
    """Without one, the largest distance of any direction; with a large one, the mean."""
    for penalty, exact in ((0.0, SHIFT**2), (1e3, SHIFT**2 / n_columns)):
        slices, x, y = learned(n_columns, penalty, 300)
        square = np.mean([float(slices.squared_distance(x, y)) for _ in range(20)])
        assert square == pytest.approx(exact, rel=0.05), penalty


def test_a_larger_penalty_spreads_directions():
    squares, cosines = [], []
    for penalty in (0.5, 2.0, 8.0):
        slices, x, y = learned(5, penalty, 200)
        squares.append(np.mean([float(slices.squared_distance(x, y)) for _ in range(20)]))
        cosines.append(
            np.mean([float(mean_cosine(slices.directions()).detach()) for _ in range(20)])
        )
    assert squares[0] > squares[1] > squares[2]
    assert cosines[0] > cosines[1] > cosines[2]


def test_mean_cosine_leaves_out_a_direction_with_itself():
    """In three dimensions the absolute cosine of two uniform directions is 1/2 on average."""
    like = torch.empty(0, 3, dtype=torch.float64)
    directions = random_directions(2000, like, make_generator(0))
    assert abs(float(mean_cosine(directions)) - 0.5) < 5 * math.sqrt(1 / 12 / 2000)
    # Three lines of a plane, each two of them 60 degrees apart.
    turns = torch.pi / 3 * torch.arange(3, dtype=torch.float64)
    assert float(mean_cosine(torch.stack([turns.cos(), turns.sin()], 1))) == pytest.approx(0.5)
    assert float(mean_cosine(torch.eye(3))) == 0.0
    assert float(mean_cosine(directions[:1])) == 0.0


def test_a_sample_repeated_is_the_sample():
    """The coupling of n rows with a multiple of n equals that of the rows repeated."""
    x = torch.randn(3, 5, generator=make_generator(3), dtype=torch.float64)
    y = torch.randn(3, 15, generator=make_generator(4), dtype=torch.float64)
    repeated = squared_wasserstein_1d(x.repeat(1, 3), y)
    torch.testing.assert_close(squared_wasserstein_1d(x, y), repeated)
    # The general way, by quantiles, agrees.
    ones = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(squared_wasserstein_1d(x, y, ones), repeated)


def test_rows_and_streams_stay():
    """Learning moves neither the samples nor anybody else's random numbers."""
    before = torch.get_rng_state()
    slices, x, y = learned(3, 1.0, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert x.grad is None
    made = y.clone().requires_grad_()
    slices.squared_distance(x, made).backward()
    assert made.grad is not None
    assert float(sliced_squares(x, x, slices.directions().detach())) == 0.0
