"""Evidence estimators that engines call inside fit, where the data are."""

from skbayes.evidence._importance import importance_evidence, log_mean_exp

__all__ = ["importance_evidence", "log_mean_exp"]
