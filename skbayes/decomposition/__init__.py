"""Decompositions: probabilistic principal component analysis."""

from skbayes.decomposition._ppca import PPCA

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (PPCA,)

__all__ = ["PPCA"]
