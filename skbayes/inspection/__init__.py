"""Pictures of uncertainty and of codes; matplotlib is imported only when one is drawn."""

from skbayes.inspection._coverage import CoverageDisplay
from skbayes.inspection._draw_displays import (
    ReconstructionDrawsDisplay,
    ReconstructionProjectionDisplay,
)
from skbayes.inspection._interval import IntervalDisplay
from skbayes.inspection._latent_displays import LatentManifoldDisplay, LatentScatterDisplay
from skbayes.inspection._parameter_displays import (
    CoefficientDisplay,
    EvidenceDisplay,
    MixtureDisplay,
    TraceDisplay,
)
from skbayes.inspection._pictures import ReconstructionDisplay, SampleDisplay
from skbayes.inspection._uncertainty import UncertaintyDisplay

__all__ = [
    "CoefficientDisplay",
    "CoverageDisplay",
    "EvidenceDisplay",
    "IntervalDisplay",
    "LatentManifoldDisplay",
    "LatentScatterDisplay",
    "MixtureDisplay",
    "ReconstructionDisplay",
    "ReconstructionDrawsDisplay",
    "ReconstructionProjectionDisplay",
    "SampleDisplay",
    "TraceDisplay",
    "UncertaintyDisplay",
]
