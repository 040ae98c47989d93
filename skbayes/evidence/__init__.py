"""Evidence estimators that engines call inside fit, where the data are."""

from skbayes.evidence._importance import corrected_evidence, importance_evidence
from skbayes.evidence._log_joint import log_joint_of_draws, log_likelihood_of_draws
from skbayes.evidence._units import exchangeable_layers

__all__ = [
    "corrected_evidence",
    "exchangeable_layers",
    "importance_evidence",
    "log_joint_of_draws",
    "log_likelihood_of_draws",
]
