"""Autoencoders: codes with a density, rows from codes."""

from skbayes.autoencoder._bayesian import BayesianAutoencoder

__all__ = ["BayesianAutoencoder"]
