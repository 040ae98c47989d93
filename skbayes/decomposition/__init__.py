"""Decompositions: probabilistic principal component analysis."""

from skbayes.decomposition._ppca import PPCA

__all__ = ["PPCA"]
