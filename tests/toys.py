"""The toys that everybody draws first, each with its rows, its noise and a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import make_friedman1, make_moons

#: Held-out rows of every toy.
N_TEST = 500


@dataclass(frozen=True)
class Toy:
    """Rows to fit and rows to score, these without noise where they are numbers."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    #: Rows where no data are, and the function there: for coverage.
    X_gap: np.ndarray | None = None
    f_gap: np.ndarray | None = None

    @property
    def is_classes(self) -> bool:
        """Whether the targets are labels."""
        return self.y.dtype.kind == "i"


def curve(
    function: Callable[[np.ndarray], np.ndarray],
    n_rows: int,
    noise: float,
    gap: tuple[float, float] | None = None,
) -> Callable[[int], Toy]:
    """A function on [-3, 3] under normal noise, perhaps without rows in ``gap``."""

    def make(seed: int) -> Toy:
        rng = np.random.default_rng(seed)
        x, x_test = rng.uniform(-3, 3, 2 * n_rows), rng.uniform(-3, 3, 2 * N_TEST)
        of_gap = [
            np.zeros(len(v), bool) if gap is None else (v > gap[0]) & (v < gap[1])
            for v in (x, x_test)
        ]
        x, x_gap, x_test = x[~of_gap[0]][:n_rows], x_test[of_gap[1]], x_test[~of_gap[1]][:N_TEST]
        y = function(x) + noise * rng.normal(size=len(x))
        hidden = (x_gap[:, None], function(x_gap)) if gap else (None, None)
        return Toy(x[:, None], y, x_test[:, None], function(x_test), *hidden)

    return make


def sine(periods: int) -> Callable[[np.ndarray], np.ndarray]:
    """So many periods of a sine on [-3, 3]."""
    return lambda x: np.sin(2 * np.pi * periods * x / 6)


def product(n_rows: int = 300) -> Callable[[int], Toy]:
    """sin(4a) cos(4b) without noise, on the square from -1 to 1."""

    def make(seed: int) -> Toy:
        rng = np.random.default_rng(seed)
        X, X_test = rng.uniform(-1, 1, (n_rows, 2)), rng.uniform(-1, 1, (N_TEST, 2))
        y, y_test = (np.sin(4 * A[:, 0]) * np.cos(4 * A[:, 1]) for A in (X, X_test))
        return Toy(X, y, X_test, y_test)

    return make


def friedman1(seed: int) -> Toy:
    """100 rows of ten columns, five of which matter, noise 1."""
    X, y = make_friedman1(100, noise=1.0, random_state=seed)
    X_test, y_test = make_friedman1(N_TEST, random_state=seed + 1000)
    return Toy(X, y, X_test, y_test)


def moons(seed: int) -> Toy:
    """Two moons, 200 rows, noise .2."""
    return Toy(
        *make_moons(200, noise=0.2, random_state=seed),
        *make_moons(N_TEST, noise=0.2, random_state=seed + 1000),
    )


def spiral(seed: int) -> Toy:
    """Two spirals of one and a half turns, 300 rows."""

    def rows(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        label, t = rng.integers(0, 2, n), np.sqrt(rng.uniform(0.02, 1, n)) * 3 * np.pi
        X = t[:, None] * np.c_[np.cos(t + np.pi * label), np.sin(t + np.pi * label)] / (3 * np.pi)
        return X + 0.02 * rng.normal(size=X.shape), label

    rng = np.random.default_rng(seed)
    return Toy(*rows(300, rng), *rows(N_TEST, rng))


def checkerboard(seed: int) -> Toy:
    """Four by four squares in turns, 800 rows without noise."""

    def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
        X = rng.uniform(0, 4, (n, 2))
        return X, (np.floor(X).sum(1) % 2).astype(int)

    rng = np.random.default_rng(seed)
    return Toy(*rows(800), *rows(N_TEST))


TOYS: dict[str, Callable[[int], Toy]] = {
    "one period, 40 rows": curve(sine(1), 40, 0.1),
    "one period, 60 rows, gap": curve(sine(1), 60, 0.1, (-0.5, 1.0)),
    "two periods, 60 rows": curve(sine(2), 60, 0.1),
    "two periods, 90 rows, gap": curve(sine(2), 90, 0.1, (-0.5, 1.0)),
    "three periods, 120 rows": curve(sine(3), 120, 0.1),
    "three periods, 1000 rows": curve(sine(3), 1000, 0.1),
    "sinc, 80 rows": curve(lambda x: np.sinc(2 * x), 80, 0.05),
    "step, 80 rows": curve(np.sign, 80, 0.1),
    "sin(4a) cos(4b), 300 rows": product(),
    "friedman1, 100 rows": friedman1,
    "two moons": moons,
    "spiral": spiral,
    "checkerboard": checkerboard,
}
