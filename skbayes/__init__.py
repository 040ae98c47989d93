"""Bayesian deep learning as scikit-learn estimators."""
