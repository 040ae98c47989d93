"""Exact checks of what displays draw: they raise AssertionError."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from skbayes.inspection import CoverageDisplay


def check_band(n: int = 37) -> None:
    """The band of chance holds nine curves of ten at every level, and no count too many."""
    from matplotlib.figure import Figure

    display = CoverageDisplay(nominal=np.array([0.5]), observed=np.array([0.5]), n_rows=n)
    (band,) = display.plot(ax=Figure().subplots()).ax_.collections
    edges = band.get_paths()[0].vertices
    for level in (0.1, 0.5, 0.83):
        low, high = np.round(n * np.sort(np.unique(edges[np.isclose(edges[:, 0], level), 1])))
        law = binom(n, level)
        # Five per cent at most lie below, and above; with one count less they would be more.
        assert law.cdf(low - 1) < 0.05 <= law.cdf(low), "lower edge"
        assert law.sf(high) <= 0.05 < law.sf(high - 1), "upper edge"
