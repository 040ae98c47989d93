"""Normal distributions of latents, one a row: what an encoder says of its rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skbayes.utils._logs import LOG_2PI

#: Smallest standard deviation of a latent, in units of the standard normal prior.
LEAST_STD = 1e-4


@dataclass(frozen=True)
class NormalLatents:
    """A normal distribution of the latent of each of N rows.

    Attributes
    ----------
    mean : Tensor of shape (N, q)
    root : Tensor of shape (N, q) or (N, q, q)
        Standard deviations, or lower Cholesky factors of the covariances.
    """

    mean: Tensor
    root: Tensor

    @property
    def is_diagonal(self) -> bool:
        """Whether latents of a row are independent."""
        return self.root.ndim == self.mean.ndim

    @property
    def std(self) -> Tensor:
        """Standard deviation (N, q) of each latent."""
        return self.root if self.is_diagonal else torch.linalg.vector_norm(self.root, dim=-1)

    @property
    def log_det_root(self) -> Tensor:
        """Log determinant (N,) of the root of the covariance."""
        diagonal = self.root if self.is_diagonal else self.root.diagonal(dim1=-2, dim2=-1)
        return diagonal.log().sum(-1)

    def draw(self, noise: Tensor) -> Tensor:
        """Latents (..., N, q) that standard normal noise of this shape stands for."""
        if self.is_diagonal:
            return self.mean + self.root * noise
        return self.mean + torch.einsum("nij,...nj->...ni", self.root, noise)

    def log_prob_of(self, noise: Tensor) -> Tensor:
        """Log density (..., N) of ``draw(noise)``."""
        half_q_log_2pi = 0.5 * LOG_2PI * noise.shape[-1]
        return -0.5 * noise.square().sum(-1) - self.log_det_root - half_q_log_2pi

    def log_prob(self, latents: Tensor) -> Tensor:
        """Log density (..., N) of latents (..., N, q)."""
        gap = latents - self.mean
        if self.is_diagonal:
            return self.log_prob_of(gap / self.root)
        noise = torch.linalg.solve_triangular(self.root, gap[..., None], upper=False)
        return self.log_prob_of(noise[..., 0])

    def kl_to_standard(self) -> Tensor:
        """Divergence from the standard normal by latent (N, q), in nats; rows sum to the whole.

        For dependent latents the shares of single latents are those of the chain rule along
        the Cholesky factor.
        """
        if self.is_diagonal:
            scale, log_scale = self.root.square(), self.root.log()
        else:
            scale = self.root.square().sum(-1)
            log_scale = self.root.diagonal(dim1=-2, dim2=-1).log()
        return 0.5 * (self.mean.square() + scale - 1) - log_scale

    def widened(self, factor: float) -> NormalLatents:
        """The same means under roots times a factor."""
        return NormalLatents(self.mean, self.root * factor)
