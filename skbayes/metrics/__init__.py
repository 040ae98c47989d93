"""How good are probabilities and error bars: calibration, coverage, proper scores.

Only what scikit-learn lacks: for log loss and Brier score see `sklearn.metrics`.
"""

from skbayes.metrics._calibration import expected_calibration_error
from skbayes.metrics._crps import crps
from skbayes.metrics._intervals import interval_coverage, interval_score, interval_width
from skbayes.metrics._scorers import (
    neg_crps_scorer,
    neg_interval_score_scorer,
    neg_log_predictive_scorer,
)

__all__ = [
    "crps",
    "expected_calibration_error",
    "interval_coverage",
    "interval_score",
    "interval_width",
    "neg_crps_scorer",
    "neg_interval_score_scorer",
    "neg_log_predictive_scorer",
]
