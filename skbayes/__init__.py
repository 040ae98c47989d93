"""Bayesian deep learning as scikit-learn estimators.

Public names are loaded on first use, so that ``import skbayes`` does not import torch.
"""

from importlib import import_module as _import_module
from typing import Any as _Any

__version__ = "0.1.0"

_HOMES = {
    "BayesianLinearRegression": "skbayes.linear_model",
    "BayesianLogisticRegression": "skbayes.linear_model",
    "BayesianMLPClassifier": "skbayes.neural_network",
    "BayesianMLPRegressor": "skbayes.neural_network",
    "BayesianModuleClassifier": "skbayes.neural_network",
    "BayesianModuleRegressor": "skbayes.neural_network",
    "VariationalGMM": "skbayes.mixture",
    "ConjugateDensity": "skbayes.conjugate",
    "PPCA": "skbayes.decomposition",
    "SemiSupervisedVAEClassifier": "skbayes.autoencoder",
    "AutoencoderTransformer": "skbayes.autoencoder",
    "VAETransformer": "skbayes.autoencoder",
    "BayesianAutoencoder": "skbayes.autoencoder",
    "extend": "skbayes.verbs",
    "log_predictive": "skbayes.verbs",
    "predict_interval": "skbayes.verbs",
    "predict_quantiles": "skbayes.verbs",
    "predict_std": "skbayes.verbs",
    "predict_uncertainty": "skbayes.verbs",
    "sample": "skbayes.verbs",
    "sample_posterior": "skbayes.verbs",
    "sample_y": "skbayes.verbs",
    "score_evidence": "skbayes.verbs",
    "show_versions": "skbayes.utils._versions",
    "suggest": "skbayes.verbs",
    "to_arviz": "skbayes.verbs",
}

#: Modules that come with the package's name, as in ``skbayes.io.save``.
_MODULES = ("inspection", "io", "metrics")

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> _Any:
    if name in _HOMES:
        return getattr(_import_module(_HOMES[name]), name)
    if name in _MODULES:
        return _import_module(f"skbayes.{name}")
    did_you_mean = _import_module("skbayes.utils._suggestions").did_you_mean
    meant = f"; use skbayes.io.{name}" if name in ("save", "load") else did_you_mean(name, __all__)
    raise AttributeError(f"module 'skbayes' has no attribute {name!r}{meant}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
