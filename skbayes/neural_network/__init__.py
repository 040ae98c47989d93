"""Bayesian neural networks as scikit-learn predictors."""

from skbayes.neural_network._perceptrons import BayesianMLPClassifier, BayesianMLPRegressor

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (
    BayesianMLPClassifier,
    BayesianMLPRegressor,
)

__all__ = ["BayesianMLPClassifier", "BayesianMLPRegressor"]
