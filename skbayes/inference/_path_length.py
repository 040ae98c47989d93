"""A trajectory length for all chains, from how fast watched values are forgotten on paths.

On a path of Hamiltonian dynamics through the posterior, the mean squared change of a
value over a lag, halved and over the value's variance, is one less its autocorrelation
at that lag. A few long paths of the warm-up thus show how well every shorter trajectory
would have mixed, and the one that would bring R-hat to its gates with the fewest
gradients is taken. ChEES (Hoffman, Radul and Sountsov 2021, An adaptive-MCMC scheme for
setting trajectory lengths) looks at the weights' squared distance from their mean, by
gradient ascent over hundreds of steps and tens of chains; here the values are those by
which convergence is judged, and all lengths are compared at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes.inference._adaptation import RunningVariance
from skbayes.inference._chains import R_HAT, R_HAT_HYPER

#: Gradients that a trajectory's other work, its draw and its share of R-hat, are worth.
OVERHEAD = 3.0


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

    def best_length(self) -> int:
        """Longest leapfrog path of the trajectories that converge with the fewest gradients.

        A trajectory takes a uniform share between a half and all of it. Correlations
        below zero count as zero: they help means and spoil variances.
        """
        n_lags = len(self.squares)
        total = torch.cat([torch.zeros(1, self.squares.shape[1]), self.correlations().cumsum(0)])
        longest = torch.arange(1, n_lags + 1)
        before = longest // 2
        n_lengths = (longest - before)[:, None]
        correlation = ((total[longest] - total[before]) / n_lengths).clamp(0.0, 1.0)
        cost = (longest + before + 1)[:, None] / 2 + OVERHEAD
        rate = (1 - correlation) / (1 + correlation) / cost
        functions, hyper = rate.tensor_split([rate.shape[1] - self.n_hyper], dim=1)
        rate = functions.median(1).values / draws_needed(R_HAT)
        if self.n_hyper:
            rate = torch.minimum(rate, hyper.min(1).values / draws_needed(R_HAT_HYPER))
        return int(longest[rate.argmax()])


def draws_needed(r_hat: float) -> float:
    """Effective draws of each chain at which R-hat is about that: R-hat² is 1 + 1 / n."""
    return 1 / (r_hat**2 - 1)
