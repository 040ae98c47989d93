"""How the step size runs through the sampling phase, and which steps give draws."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One step's place in a schedule.

    Parameters
    ----------
    step : float
        Step size relative to the largest.
    temperature : float
        1 where the step samples, 0 where it only descends.
    sampling : bool
        Whether draws are kept here.
    """

    step: float
    temperature: float
    sampling: bool


class Constant:
    """The same step throughout."""

    def __init__(self, n_samples: int, thinning: int, n_cycles: int) -> None:
        self.n_steps = n_samples * thinning

    def stage(self, index: int) -> Stage:
        """The stage of a step."""
        return Stage(1.0, 1.0, True)


class Cyclical:
    """Cosine cycles: the first half of each descends without noise, the second samples.

    References
    ----------
    Zhang et al. (2020), Cyclical stochastic gradient MCMC, eq. 1 and algorithm 1.
    """

    #: The cosine ends at nothing; draws of a chain that stands still are worth nothing.
    LEAST = 0.05

    def __init__(self, n_samples: int, thinning: int, n_cycles: int) -> None:
        self.length = 2 * thinning * math.ceil(n_samples / n_cycles)
        self.n_steps = n_cycles * self.length

    def stage(self, index: int) -> Stage:
        """The stage of a step."""
        share = (index % self.length) / self.length
        step = max(0.5 * (1 + math.cos(math.pi * share)), self.LEAST)
        sampling = share >= 0.5
        return Stage(step, float(sampling), sampling)


SCHEDULES: dict[str, type[Constant | Cyclical]] = {"constant": Constant, "cyclical": Cyclical}
