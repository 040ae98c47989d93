"""Bayesian neural networks as scikit-learn predictors."""

from skbayes.neural_network._mlp import BayesianMLPClassifier, BayesianMLPRegressor

__all__ = ["BayesianMLPClassifier", "BayesianMLPRegressor"]
