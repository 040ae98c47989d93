"""Latent priors that are mixtures: of posteriors, learned, or fitted to the latents afterwards."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from skbayes.latent._latent_mixture import LatentMixture
from skbayes.latent._normal_latents import LEAST_STD
from skbayes.latent._priors import (
    Encode,
    LatentDensity,
    LatentPrior,
    StandardNormal,
    Tensors,
)
from skbayes.mixture import VariationalGMM
from skbayes.utils._sklearn import Interval


class Vamp(LatentPrior):
    """Mixture of the encoder's posteriors at learned pseudo-inputs.

    Tomczak and Welling (2018), eq. 9: the mixture that comes nearest to the latents of all
    rows, at the price of one encoding of the pseudo-inputs a step. They start at rows of
    the training data.

    Parameters
    ----------
    n_components : int, default=50
        Number of pseudo-inputs.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.latent import Vamp
    >>> from skbayes.training import Training
    >>> prior, short = Vamp(n_components=5), Training(max_iter=50)
    >>> vae = VAETransformer(2, latent_prior=prior, training=short, random_state=0)
    >>> vae.fit(load_iris().data).sample(3).shape
    (3, 4)
    """

    _parameter_constraints: dict = {"n_components": [Interval(Integral, 1, None, closed="left")]}
    encodes = True

    def __init__(self, n_components: int = 50) -> None:
        self.n_components = n_components

    def init(self, rows: Tensor, generator: torch.Generator) -> Tensors:
        """Pseudo-inputs (n_components, n_inputs): different rows, while there are enough."""
        n, device = len(rows), generator.device
        n_rounds = -(-self.n_components // n)
        order = [torch.randperm(n, generator=generator, device=device) for _ in range(n_rounds)]
        return {"pseudo_inputs": rows[torch.cat(order)[: self.n_components]].clone()}

    def bind(self, weights: Tensors, encode: Encode) -> LatentDensity:
        """The mixture of posteriors at these pseudo-inputs."""
        latents = encode(weights["pseudo_inputs"])
        return LatentMixture(latents.mean.new_zeros(len(latents.mean)), latents.mean, latents.root)


class GaussianMixture(LatentPrior):
    """Mixture of normal densities of independent latents, learned along with the networks.

    Parameters
    ----------
    n_components : int, default=10
        Number of components.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.latent import GaussianMixture
    >>> from skbayes.training import Training
    >>> prior, short = GaussianMixture(n_components=5), Training(max_iter=50)
    >>> vae = VAETransformer(2, latent_prior=prior, training=short, random_state=0)
    >>> vae.fit(load_iris().data).sample(3).shape
    (3, 4)
    """

    _parameter_constraints: dict = {"n_components": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_components: int = 10) -> None:
        self.n_components = n_components

    def init(self, rows: Tensor, generator: torch.Generator) -> Tensors:
        """Equal weights, unit scales, locations drawn from the standard normal."""
        shape = (self.n_components, self.n_latents)
        loc = torch.randn(shape, generator=generator, device=generator.device)
        # softplus(0.5413) = 1.
        return {
            "log_weight": loc.new_zeros(self.n_components),
            "loc": loc,
            "raw_scale": torch.full_like(loc, float(np.log(np.expm1(1.0)))),
        }

    def bind(self, weights: Tensors, encode: Encode) -> LatentDensity:
        """The mixture at these values."""
        scale = softplus(weights["raw_scale"]) + LEAST_STD
        return LatentMixture(weights["log_weight"], weights["loc"], scale)


class VariationalMixture(StandardNormal):
    """Standard normal in training, then the Bayesian mixture that the latents have.

    `skbayes.VariationalGMM` is fitted once to the latents of the training rows, one draw of
    each posterior; the prior is its posterior predictive, a mixture of Student-t densities
    (Bishop, 2006, eq. 10.81), with as many live components as the latents support.

    Parameters
    ----------
    n_components : int, default=10
        Largest number of components.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.latent import VariationalMixture
    >>> from skbayes.training import Training
    >>> prior, short = VariationalMixture(n_components=5), Training(max_iter=50)
    >>> vae = VAETransformer(2, latent_prior=prior, training=short, random_state=0)
    >>> vae.fit(load_iris().data).sample(3).shape
    (3, 4)
    """

    _parameter_constraints: dict = {"n_components": [Interval(Integral, 1, None, closed="left")]}
    # Not once it is a mixture.
    by_latent = False
    refits = True

    def __init__(self, n_components: int = 10) -> None:
        self.n_components = n_components

    def bind(self, weights: Tensors, encode: Encode) -> LatentDensity:
        """The standard normal, or the mixture once `refit` has found one."""
        return LatentMixture(**weights) if weights else super().bind(weights, encode)

    def refit(self, latents: Tensor, weight: Tensor, generator: torch.Generator) -> Tensors | None:
        """The mixture's parameters, from draws of the training rows' latents (N, q)."""
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))
        gmm = VariationalGMM(self.n_components, random_state=seed)
        gmm.fit(latents.double().cpu().numpy(), sample_weight=weight.double().cpu().numpy())
        return {name: latents.new_tensor(value) for name, value in predictive_mixture(gmm).items()}


def predictive_mixture(gmm: VariationalGMM) -> dict[str, np.ndarray]:
    """Parameters of a `LatentMixture` with the density of ``gmm.score_samples``.

    Parameters
    ----------
    gmm : VariationalGMM
        Fitted, with ``covariance_type="full"``.
    """
    df = gmm.degrees_of_freedom_ + 1 - gmm.means_.shape[1]
    grown = gmm.degrees_of_freedom_ / df * (1 + 1 / gmm.mean_precision_)
    return {
        "log_weight": np.log(gmm.weights_),
        "loc": gmm.means_,
        "root": np.linalg.cholesky(gmm.covariances_ * grown[:, None, None]),
        "df": df,
    }


LATENT_PRIORS: dict[str, type[LatentPrior]] = {
    "normal": StandardNormal,
    "vamp": Vamp,
    "gaussian_mixture": GaussianMixture,
    "variational_mixture": VariationalMixture,
}
