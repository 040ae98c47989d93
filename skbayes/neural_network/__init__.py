"""Bayesian neural networks as scikit-learn predictors."""

from skbayes.neural_network._modules import BayesianModuleClassifier, BayesianModuleRegressor
from skbayes.neural_network._perceptrons import BayesianMLPClassifier, BayesianMLPRegressor

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    BayesianModuleClassifier,
    BayesianModuleRegressor,
)

__all__ = [
    "BayesianMLPClassifier",
    "BayesianMLPRegressor",
    "BayesianModuleClassifier",
    "BayesianModuleRegressor",
]
