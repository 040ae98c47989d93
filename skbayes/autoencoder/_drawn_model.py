"""One draw of an autoencoder's weights as a model of rows and latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skbayes.autoencoder._model import Parameters
from skbayes.autoencoder._table import Rows
from skbayes.latent._mixture import LatentMixture
from skbayes.latent._normal import NormalBottleneck, NormalLatents
from skbayes.likelihoods import Likelihood
from skbayes.networks import Autoencoder

#: Most that heavy tails may widen a component of the density of latents as a proposal.
WIDEST = 3.0


@dataclass(frozen=True)
class Targets:
    """A likelihood of all columns, as the importance sampler asks for it.

    Attributes
    ----------
    likelihood : Likelihood
    n_outputs : int
        Outputs K of the decoder.
    """

    likelihood: Likelihood
    n_outputs: int

    def log_prob(self, rows: Rows, outputs: Tensor, noise: dict[str, Tensor]) -> Tensor:
        """Log density (..., N) of standardised rows given outputs (..., N, K)."""
        stacked = outputs.reshape(-1, *outputs.shape[-2:])
        log_prob = self.likelihood.log_prob(stacked, rows.table, self._hyper(stacked, noise))
        return log_prob.view(outputs.shape[:-1])

    def whiten(
        self, moves: Tensor, rows: Rows, outputs: Tensor, noise: dict[str, Tensor]
    ) -> Tensor:
        """Moves (q, N, K) of outputs (N, K) over the deviations that the likelihood sees."""
        stacked = outputs[None]
        information = self.likelihood.fisher_diagonal(stacked, self._hyper(stacked, noise))
        return moves * information[0].sqrt()

    @staticmethod
    def _hyper(outputs: Tensor, noise: dict[str, Tensor]) -> Tensor:
        return noise["hyper"].expand(len(outputs), -1)


class DrawnModel:
    """Encoder, decoder and noise of one draw, and a density of its latents.

    It has the interface of `skbayes.autoencoder._model.Model`. Rows hold standardised
    targets in ``table``, and the same rows as the encoder takes them in ``context``.

    Parameters
    ----------
    network : Autoencoder
    likelihood : Likelihood
    density : LatentMixture
        Of the latents of this draw.
    """

    def __init__(
        self, network: Autoencoder, likelihood: Likelihood, density: LatentMixture
    ) -> None:
        self.network, self.density = network, density
        self.head = NormalBottleneck(network.n_components, "none")
        self.table = Targets(likelihood, network.n_outputs)
        self._spread = torch.linalg.cholesky(_covariance(density))

    def encode(self, parameters: Parameters, rows: Rows) -> NormalLatents:
        """The encoder's latents, with the spread of all latents: a proposal wide enough."""
        assert rows.context is not None
        mean = self.network.encode(parameters["network"]["weights"], rows.context)[0]
        return NormalLatents(mean, self._spread.to(mean).expand(len(mean), -1, -1))

    def decode(self, parameters: Parameters, z: Tensor, context: Tensor | None) -> Tensor:
        """Outputs (..., N, K) for latents (..., N, q) of rows."""
        flat = z.reshape(1, -1, z.shape[-1])
        outputs = self.network.decode(parameters["network"]["weights"], flat)
        return outputs.reshape(*z.shape[:-1], -1)

    def log_prob(self, parameters: Parameters, rows: Rows, z: Tensor) -> Tensor:
        """Log density (..., N) of standardised rows given latents (..., N, q)."""
        outputs = self.decode(parameters, z, rows.context)
        return self.table.log_prob(rows, outputs, parameters["noise"])

    def latent_density(self, parameters: Parameters) -> LatentMixture:
        """The density of latents."""
        return self.density


def _covariance(density: LatentMixture) -> Tensor:
    """Covariance (q, q) of latents, that of heavy tails cut short."""
    share, loc, root = density.log_weight.exp(), density.loc, density.root
    grown = torch.ones_like(share)
    if density.df is not None:
        grown = (density.df / (density.df - 2).clamp_min(1e-9)).clamp_max(WIDEST)
    within = torch.einsum("k,kij,klj->il", share * grown, root, root)
    gap = loc - share @ loc
    return within + torch.einsum("k,ki,kj->ij", share, gap, gap)
