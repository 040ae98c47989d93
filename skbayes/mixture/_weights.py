"""Priors of the mixing weights, each with its conjugate posterior.

Everything a posterior needs are the expected counts N_k of the components, so a class here
is a prior, and its methods take counts.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma, gammaln

__all__ = ["WEIGHT_PRIORS", "DirichletProcessWeights", "DirichletWeights"]


class DirichletWeights:
    """Symmetric Dirichlet prior; posterior Dirichlet(concentration + N_k).

    Parameters
    ----------
    n_components : int
        Number K of components.
    concentration : float
        The prior's parameter, the same for every component.
    """

    #: Whether a component's place among the others means anything.
    ordered = False

    def __init__(self, n_components: int, concentration: float) -> None:
        self.n_components, self.concentration = n_components, concentration

    def parameters(self, counts: np.ndarray) -> np.ndarray:
        """Posterior concentrations (..., K)."""
        return self.concentration + counts

    def expected_log(self, counts: np.ndarray) -> np.ndarray:
        """E[log pi_k], (K,) (Bishop 2006, eq. 10.66)."""
        alpha = self.parameters(counts)
        return digamma(alpha) - digamma(alpha.sum())

    def mean(self, counts: np.ndarray) -> np.ndarray:
        """E[pi_k], (..., K)."""
        alpha = self.parameters(counts)
        return alpha / alpha.sum(-1, keepdims=True)

    def log_evidence(self, counts: np.ndarray) -> float:
        """Log probability of one allocation with these counts, weights integrated, in nats."""
        alpha, before = self.parameters(counts), self.parameters(np.zeros_like(counts))
        return float(_log_beta(alpha) - _log_beta(before))

    def sample(self, counts: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Posterior draws (n_samples, K), kept off zero."""
        return _off_zero(rng.dirichlet(self.parameters(counts), size=n_samples))


class DirichletProcessWeights:
    """Stick-breaking prior v_k ~ Beta(1, concentration), cut off by v_K = 1.

    Source: Blei and Jordan (2006), Variational inference for Dirichlet process mixtures.

    Parameters
    ----------
    n_components : int
        Level K of the truncation.
    concentration : float
        Large values break the stick into many pieces.
    """

    ordered = True

    def __init__(self, n_components: int, concentration: float) -> None:
        self.n_components, self.concentration = n_components, concentration

    def parameters(self, counts: np.ndarray) -> np.ndarray:
        """Posterior Beta parameters (2, ..., K - 1) of the sticks."""
        after = counts[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]
        return np.stack([1 + counts[..., :-1], self.concentration + after])

    def expected_log(self, counts: np.ndarray) -> np.ndarray:
        """E[log pi_k], (K,) (Blei and Jordan 2006, section 3.2)."""
        a, b = self.parameters(counts)
        total = digamma(a + b)
        return _break_logs(digamma(a) - total, digamma(b) - total)

    def mean(self, counts: np.ndarray) -> np.ndarray:
        """E[pi_k], (..., K)."""
        a, b = self.parameters(counts)
        return np.exp(_break_logs(np.log(a / (a + b)), np.log(b / (a + b))))

    def log_evidence(self, counts: np.ndarray) -> float:
        """Log probability of one allocation with these counts, sticks integrated, in nats."""
        a, b = self.parameters(counts)
        return float((betaln(a, b) - betaln(1, self.concentration)).sum())

    def sample(self, counts: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Posterior draws (n_samples, K), kept off zero."""
        a, b = self.parameters(counts)
        sticks = rng.beta(a, b, size=(n_samples, len(a)))
        with np.errstate(divide="ignore"):
            return _off_zero(np.exp(_break_logs(np.log(sticks), np.log1p(-sticks))))


def _break_logs(log_stick: np.ndarray, log_rest: np.ndarray) -> np.ndarray:
    """Log pieces (..., K) from logs of the K - 1 sticks and of what each leaves."""
    none = np.zeros((*log_stick.shape[:-1], 1))
    left = np.concatenate([none, log_rest.cumsum(-1)], axis=-1)
    return left + np.concatenate([log_stick, none], axis=-1)


def _log_beta(alpha: np.ndarray) -> float:
    return gammaln(alpha).sum() - gammaln(alpha.sum())


def _off_zero(weights: np.ndarray) -> np.ndarray:
    """Draws of tiny concentrations underflow; their logs must stay finite."""
    return np.maximum(weights, np.finfo(float).tiny)


WEIGHT_PRIORS: dict[str, type[DirichletWeights] | type[DirichletProcessWeights]] = {
    "dirichlet": DirichletWeights,
    "dirichlet_process": DirichletProcessWeights,
}
