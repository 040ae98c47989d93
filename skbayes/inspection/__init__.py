"""Pictures of uncertainty; matplotlib is imported only when one is drawn."""

from skbayes.inspection._coverage import CoverageDisplay
from skbayes.inspection._interval import IntervalDisplay
from skbayes.inspection._uncertainty import UncertaintyDisplay

__all__ = ["CoverageDisplay", "IntervalDisplay", "UncertaintyDisplay"]
