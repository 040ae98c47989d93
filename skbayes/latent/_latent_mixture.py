"""Mixtures of normal or Student-t densities of latents."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skbayes.latent._normal_latents import NormalLatents
from skbayes.utils._logs import LOG_2PI

#: Most that heavy tails may widen a component in the covariance of a mixture.
WIDEST = 3.0


class LatentMixture:
    """A mixture density of latents, computed in double precision.

    Parameters
    ----------
    log_weight : Tensor of shape (K,)
        Logarithms of weights, up to a constant.
    loc : Tensor of shape (K, q)
        Locations.
    root : Tensor of shape (K, q) or (K, q, q)
        Scales of independent latents, or lower Cholesky factors of scale matrices.
    df : Tensor of shape (K,), optional
        Degrees of freedom of Student-t components; None makes them normal.

    Examples
    --------
    >>> import torch
    >>> from skbayes.latent._latent_mixture import LatentMixture
    >>> two = LatentMixture(torch.zeros(2), torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1))
    >>> round(float(two.log_prob(torch.zeros(1))), 4)
    -1.4189
    """

    def __init__(
        self, log_weight: Tensor, loc: Tensor, root: Tensor, df: Tensor | None = None
    ) -> None:
        self.dtype, self.n_latents = loc.dtype, loc.shape[1]
        self.log_weight = torch.log_softmax(log_weight.double(), 0)
        self.loc, self.root = loc.double(), root.double()
        self.df = None if df is None else df.double()
        diagonal = root if root.ndim == 2 else root.diagonal(dim1=-2, dim2=-1)
        # What does not depend on the latent: computed once for all latents of a batch.
        self._constant = self.log_weight - diagonal.double().log().sum(1) + self._log_norm()
        if root.ndim == 2:
            self._precision = self.root**-2
        else:
            identity = torch.eye(self.n_latents, dtype=torch.float64, device=root.device)
            self._whiten = torch.linalg.solve_triangular(self.root, identity, upper=False)

    def _log_norm(self) -> Tensor | float:
        """Log normaliser of a component of unit scale."""
        q = self.n_latents
        if self.df is None:
            return -0.5 * q * LOG_2PI
        grown = torch.lgamma((self.df + q) / 2) - torch.lgamma(self.df / 2)
        return grown - q / 2 * torch.log(self.df * math.pi)

    def _squared(self, z: Tensor) -> Tensor:
        """Squared distance (M, K) of latents (M, q) from the locations, in scales."""
        if self.root.ndim == 2:
            scaled = self.loc * self._precision
            squared = z.square() @ self._precision.T - 2 * z @ scaled.T
            return (squared + (scaled * self.loc).sum(1)).clamp_min(0)
        centre = torch.einsum("kij,kj->ki", self._whiten, self.loc)
        white = (z @ self._whiten.flatten(0, 1).T).unflatten(1, self.loc.shape)
        return (white - centre).square().sum(-1)

    def _log_joint(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Log of weight times density (M, K), and squared distances (M, K)."""
        squared = self._squared(z)
        if self.df is None:
            return self._constant - 0.5 * squared, squared
        power = (self.df + self.n_latents) / 2
        return self._constant - power * torch.log1p(squared / self.df), squared

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density (...) of latents (..., q), in nats."""
        joint, _ = self._log_joint(z.reshape(-1, self.n_latents).double())
        return torch.logsumexp(joint, 1).view(z.shape[:-1]).to(z.dtype)

    def kl(self, latents: NormalLatents, z: Tensor) -> Tensor:
        """Divergence (N, 1) of each row's latents, at one draw z (N, q) of them."""
        return (latents.log_prob(z) - self.log_prob(z))[..., None]

    def precision(self, z: Tensor) -> Tensor:
        """Curvature (N, q, q) at latents (N, q): the components', by their shares there.

        The spread of the components' gradients, which could make it indefinite, is left out.
        """
        joint, squared = self._log_joint(z.double())
        share = torch.softmax(joint, 1)
        if self.df is not None:
            share = share * (self.df + self.n_latents) / (self.df + squared)
        if self.root.ndim == 2:
            return torch.diag_embed(share @ self._precision).to(z.dtype)
        precision = self._whiten.mT @ self._whiten
        return torch.einsum("nk,kij->nij", share, precision).to(z.dtype)

    def covariance(self) -> Tensor:
        """Covariance (q, q) of latents, that of heavy tails cut short; of full matrices."""
        share, grown = self.log_weight.exp(), torch.ones_like(self.log_weight)
        if self.df is not None:
            grown = (self.df / (self.df - 2).clamp_min(1e-9)).clamp_max(WIDEST)
        within = torch.einsum("k,kij,klj->il", share * grown, self.root, self.root)
        gap = self.loc - share @ self.loc
        return within + torch.einsum("k,ki,kj->ij", share, gap, gap)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw latents (n, q)."""
        label = torch.multinomial(self.log_weight.exp(), n, True, generator=generator)
        noise = torch.randn(
            n, self.n_latents, dtype=torch.float64, device=self.loc.device, generator=generator
        )
        if self.df is not None:
            half = self.df[label] / 2
            gamma = torch._standard_gamma(half, generator=generator)
            noise = noise * torch.sqrt(half / gamma)[:, None]
        root = self.root[label]
        scaled = root * noise if root.ndim == 2 else torch.einsum("nij,nj->ni", root, noise)
        return (self.loc[label] + scaled).to(self.dtype)
