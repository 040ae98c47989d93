"""A trajectory length for all chains, from how fast watched values are forgotten on paths.

On a path of Hamiltonian dynamics through the posterior, the mean squared change of a
value over a lag, halved and over the value's variance, is one less its autocorrelation
at that lag. Near a normal posterior every value is a sum of oscillations, and the
autocorrelation the mean of their cosines. A chain of trajectories of random length t
multiplies an oscillation's part by the mean c of cos(frequency t) a draw, so that the
part's autocorrelations over draws add up to (1 + c) / (1 - c). A few long paths of the
warm-up, to which a log-normal density of frequencies is fitted, thus tell how well
trajectories of every length would mix, and the one that would bring R-hat to its gates
with the fewest gradients is taken. The slow oscillations decide: a length at which a
value is mostly forgotten leaves them nearly where they were, draw after draw.

ChEES (Hoffman, Radul and Sountsov 2021, An adaptive-MCMC scheme for setting trajectory
lengths) looks at the weights' squared distance from their mean, by gradient ascent over
hundreds of steps and tens of chains; here the values are those by which convergence is
judged, and all lengths are compared at once.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from skbayes.inference.mcmc._adaptation import RunningVariance
from skbayes.inference.mcmc._chains import R_HAT, R_HAT_HYPER

#: Gradients that a trajectory's other work, its draw and its share of R-hat, are worth.
OVERHEAD = 3.0
#: Radians a leapfrog step: what accuracy leaves of the stability limit, which is pi.
FASTEST = math.pi / 2
#: Frequencies that stand for all, and spreads of their logarithms that are tried.
N_FREQUENCIES = 96
SPREADS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2])


class PathStatistics:
    """Squared changes of watched values by lag, gathered over paths and chains.

    Parameters
    ----------
    n_lags : int
        Leapfrog steps of a path.
    n_values, n_hyper : int
        Watched values, of which the last ``n_hyper`` are hyperparameters.
    """

    def __init__(self, n_lags: int, n_values: int, n_hyper: int) -> None:
        self.n_hyper, self.n_paths = n_hyper, 0
        self.squares = torch.zeros(n_lags, n_values, dtype=torch.float64)
        self.variance = RunningVariance(n_values)

    def update(self, values: Tensor) -> None:
        """Add paths (n_lags + 1, S, n_values), one of each chain."""
        if not values.shape[1]:
            return
        values = values.to(self.squares)
        lags = range(1, len(values))
        changes = [(values[lag:] - values[:-lag]).square().mean((0, 1)) for lag in lags]
        self.squares += torch.stack(changes)
        self.variance.update(values.flatten(0, 1))
        self.n_paths += 1

    def correlations(self) -> Tensor:
        """Autocorrelations (n_lags, n_values) of the values that moved."""
        variance = self.variance.squares / max(self.variance.count - 1, 1)
        return 1 - 0.5 * self.squares / max(self.n_paths, 1) / variance.clamp_min(1e-300)

    def best_length(self, slowest: float, accept: float) -> int:
        """Longest leapfrog path of the trajectories that converge with the fewest gradients.

        Parameters
        ----------
        slowest : float
            Angle in radians by which the slowest oscillation turns in a leapfrog step.
        accept : float
            Share of the trajectories that is accepted; the others leave all where it was.

        Returns
        -------
        length : int
            A trajectory takes a uniform share between a half and all of it.
        """
        found = self.correlations().numpy().T
        functions, hyper = np.split(found, [len(found) - self.n_hyper])
        values = np.vstack([np.median(functions, axis=0), hyper])
        frequencies = np.geomspace(min(slowest, FASTEST / 2), FASTEST, N_FREQUENCIES)
        longest = np.arange(1, len(self.squares) + 1)
        times = autocorrelation_times(frequencies, longest, accept)
        gates = np.r_[draws_needed(R_HAT), np.full(self.n_hyper, draws_needed(R_HAT_HYPER))]
        draws = oscillations(values, frequencies) @ times.T * gates[:, None]
        cost = (longest + longest // 2 + 1) / 2 + OVERHEAD
        return int(longest[np.argmin(draws.max(axis=0) * cost)])


def oscillations(correlations: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Shares (n_values, n_frequencies) whose cosines are nearest (n_values, n_lags).

    Log-normal, cut off at the first and last frequency, by least squares over a grid: what
    the noise of a few paths leaves to be told, and smooth towards the slow end, of which a
    short path shows little.
    """
    logs = np.log(frequencies)
    scores = (logs - logs[:, None, None]) / SPREADS[:, None]
    densities = np.exp(-0.5 * scores**2).reshape(-1, len(frequencies))
    densities /= densities.sum(1, keepdims=True)
    lags = np.arange(1, correlations.shape[1] + 1)
    errors = densities @ np.cos(np.outer(frequencies, lags)) - correlations[:, None]
    return densities[np.square(errors).sum(2).argmin(1)]


def autocorrelation_times(
    frequencies: np.ndarray, longest: np.ndarray, accept: float
) -> np.ndarray:
    """Draws (n_lengths, n_frequencies) of trajectories that are worth one of an oscillation.

    Correlations below zero count as zero: they help means and spoil variances.
    """
    cosines = np.cos(np.outer(np.arange(longest[-1] + 1), frequencies)).cumsum(0)
    before = longest // 2
    mean = (cosines[longest] - cosines[before]) / (longest - before)[:, None]
    mean = np.clip(accept * mean + 1 - accept, 0.0, 1 - 1e-9)
    return (1 + mean) / (1 - mean)


def draws_needed(r_hat: float) -> float:
    """Effective draws of each chain at which R-hat is about that: R-hat² is 1 + 1 / n."""
    return 1 / (r_hat**2 - 1)
