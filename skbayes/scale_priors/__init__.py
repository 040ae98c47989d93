"""Priors of scales, of weights and of noise: `SCALE_PRIORS` maps the names that parts accept.

A room below priors and likelihoods, since both have scales to learn.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

from skbayes.scale_priors._base import ScalePrior
from skbayes.scale_priors._gamma import Gamma, InverseGamma
from skbayes.scale_priors._half_normal import HalfNormal
from skbayes.scale_priors._half_student_t import HalfCauchy, HalfStudentT
from skbayes.scale_priors._log_normal import LogNormal
from skbayes.utils._sklearn import Interval, StrOptions

SCALE_PRIORS: dict[str, type[ScalePrior]] = {
    "half_normal": HalfNormal,
    "half_cauchy": HalfCauchy,
    "half_student_t": HalfStudentT,
    "inverse_gamma": InverseGamma,
    "gamma": Gamma,
    "log_normal": LogNormal,
}
#: Classes that may stand in a file.
STATE: tuple[type, ...] = tuple(SCALE_PRIORS.values())
#: What a parameter that holds a scale takes by name; "learned" is the half-normal.
SCALE_NAMES: dict[str, type] = {"learned": HalfNormal, **SCALE_PRIORS}
#: Constraints of such a parameter: a name, an object, or a number that fixes the scale.
SCALE_CONSTRAINTS: list = [
    StrOptions(set(SCALE_NAMES)),
    ScalePrior,
    Interval(Real, 0, None, closed="neither"),
]

__all__ = [
    "SCALE_PRIORS",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "LogNormal",
    "ScalePrior",
    "as_scale_prior",
]


def as_scale_prior(scale: Any) -> ScalePrior | None:
    """The prior of a scale given as object or by name; None where a number fixes the scale."""
    if isinstance(scale, str):
        return SCALE_NAMES[scale]()
    return scale if isinstance(scale, ScalePrior) else None
