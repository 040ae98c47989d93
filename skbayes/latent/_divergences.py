"""Statistical distances between two samples: what may stand where the KL term stood.

Each is a function of latents (N, d), draws of the prior (M, d) and a generator, and returns a
differentiable scalar. ``weight`` (N,) weighs the latents as if a row of weight 2 were there
twice. Distances that compare all pairs cost O(NM), sliced Wasserstein O(N log N) a direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from skbayes.utils._slices import random_directions, shares, sliced_squares

Divergence = Callable[..., Tensor]

#: Multiples of the squared bandwidth whose inverse multiquadrics are averaged.
IMQ_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def _inverse_multiquadric(d2: Tensor, h2: Tensor) -> Tensor:
    return sum((s * h2 / (s * h2 + d2) for s in IMQ_SCALES), 0.0 * d2) / len(IMQ_SCALES)


#: Kernels of squared distance and squared bandwidth.
KERNELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "imq": _inverse_multiquadric,
    "rbf": lambda d2, h2: torch.exp(-0.5 * d2 / h2),
    "laplace": lambda d2, h2: torch.exp(-torch.sqrt((d2 / h2).clamp_min(1e-12))),
}


def mmd(
    latents: Tensor,
    draws: Tensor,
    generator: torch.Generator | None = None,
    weight: Tensor | None = None,
    *,
    kernel: str = "imq",
    bandwidth: str | float = "prior",
) -> Tensor:
    """Squared maximum mean discrepancy, without bias.

    The unbiased estimate of Gretton et al. (2012, eq. 3): its mean is zero for equal laws,
    so that single values may be negative.

    Parameters
    ----------
    latents : Tensor of shape (n, d)
        Draws of one law.
    draws : Tensor of shape (m, d)
        Draws of the other, the prior.
    generator : torch.Generator, optional
        Ignored; this distance draws nothing.
    weight : Tensor of shape (n,), optional
        Weights of the latents.
    kernel : {"imq", "rbf", "laplace"}, default="imq"
        sh² / (sh² + r²) averaged over seven scales s from .1 to 10, exp(-r² / 2h²) or
        exp(-r / h) of the distance r. The heavy tails of "imq" still pull latents that lie far
        away (Tolstikhin et al., 2018).
    bandwidth : {"prior", "median"} or float, default="prior"
        h: root mean square or median of the distances between draws of the prior, or a
        number.

    Returns
    -------
    distance : Tensor of shape ()

    Raises
    ------
    ValueError
        If a sample has fewer than two rows or an option is unknown.

    Examples
    --------
    >>> import torch
    >>> from skbayes.latent import mmd
    >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> y = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    >>> bool(mmd(x + 1, y) > 10 * mmd(x, y).abs())
    True
    """
    _check_pairs(latents, draws)
    if kernel not in KERNELS:
        raise ValueError(f"kernel={kernel!r} is not known; use one of {sorted(KERNELS)}")
    among_draws = _squared_distances(draws, draws)
    h2 = _squared_bandwidth(among_draws, bandwidth)
    k = KERNELS[kernel]
    within = _mean_within(k(_squared_distances(latents, latents), h2), weight)
    across = _mean_across(k(_squared_distances(latents, draws), h2), weight)
    return within + _mean_within(k(among_draws, h2), None) - 2 * across


def energy(
    latents: Tensor,
    draws: Tensor,
    generator: torch.Generator | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'|, without bias.

    Twice the square of the Radon-Sobolev distance (Turinici, 2021); it needs no bandwidth.

    Parameters
    ----------
    latents : Tensor of shape (n, d)
        Draws of one law.
    draws : Tensor of shape (m, d)
        Draws of the other, the prior.
    generator : torch.Generator, optional
        Ignored; this distance draws nothing.
    weight : Tensor of shape (n,), optional
        Weights of the latents.

    Returns
    -------
    distance : Tensor of shape ()

    Raises
    ------
    ValueError
        If a sample has fewer than two rows.

    Examples
    --------
    >>> import torch
    >>> from skbayes.latent import energy
    >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> y = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    >>> bool(energy(x + 1, y) > 10 * energy(x, y).abs())
    True
    """
    _check_pairs(latents, draws)
    within = _mean_within(_distances(latents, latents), weight)
    within = within + _mean_within(_distances(draws, draws), None)
    return 2 * _mean_across(_distances(latents, draws), weight) - within


def sliced_wasserstein(
    latents: Tensor,
    draws: Tensor,
    generator: torch.Generator,
    weight: Tensor | None = None,
    *,
    n_projections: int = 50,
) -> Tensor:
    """Squared 2-Wasserstein distance of projections, averaged over random directions.

    Sorting couples two samples on a line; all directions are sorted at once (Kolouri et al.,
    2018, eq. 11).

    Parameters
    ----------
    latents : Tensor of shape (n, d)
        Draws of one law.
    draws : Tensor of shape (m, d)
        Draws of the other, the prior.
    generator : torch.Generator
        Draws the directions.
    weight : Tensor of shape (n,), optional
        Weights of the latents.
    n_projections : int, default=50
        Number of directions.

    Returns
    -------
    distance : Tensor of shape ()
        In squared units of the latents; of finite samples it is positive for equal laws.

    Examples
    --------
    >>> import torch
    >>> from skbayes.latent import sliced_wasserstein
    >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> g = torch.Generator().manual_seed(1)
    >>> round(float(sliced_wasserstein(x + 1, x, g, n_projections=5000)), 1)
    1.0
    """
    directions = random_directions(n_projections, latents, generator)
    return sliced_squares(latents, draws, directions, weight)


def kernel(
    latents: Tensor,
    draws: Tensor,
    generator: torch.Generator,
    weight: Tensor | None = None,
    *,
    n_projections: int = 20,
    bandwidth: str | float = "silverman",
) -> Tensor:
    """Squared L2 distance between kernel density estimates of projections.

    The Cramér-Wold distance (Knop et al., 2020): each direction's two Gaussian kernel
    density estimates are compared in closed form.

    Parameters
    ----------
    latents : Tensor of shape (n, d)
        Draws of one law.
    draws : Tensor of shape (m, d)
        Draws of the other, the prior.
    generator : torch.Generator
        Draws the directions.
    weight : Tensor of shape (n,), optional
        Weights of the latents.
    n_projections : int, default=20
        Number of directions.
    bandwidth : "silverman" or float, default="silverman"
        Standard deviation of the kernel: (4 / 3n)^(1/5) times that of the projected draws
        of the prior, or a number.

    Returns
    -------
    distance : Tensor of shape ()
        Never negative.

    Examples
    --------
    >>> import torch
    >>> from skbayes.latent import kernel
    >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> y = torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
    >>> g = torch.Generator().manual_seed(2)
    >>> bool(kernel(x + 1, y, g) > 5 * kernel(x, y, g))
    True
    """
    directions = random_directions(n_projections, latents, generator)
    x, y = directions @ latents.T, directions @ draws.T
    if bandwidth == "silverman":
        h = (4 / (3 * x.shape[1])) ** 0.2 * y.detach().std(1, correction=0)
    else:
        h = x.new_full((n_projections,), float(bandwidth))
    u = shares(weight, x)
    within_x = ((_overlap(x, x, h) @ u) * u).sum(1)
    within_y = _overlap(y, y, h).mean((1, 2))
    across = (_overlap(x, y, h).mean(2) * u).sum(1)
    return (within_x + within_y - 2 * across).mean()


DIVERGENCES: dict[str, Divergence] = {
    "mmd": mmd,
    "sliced_wasserstein": sliced_wasserstein,
    "energy": energy,
    "kernel": kernel,
}


def _overlap(x: Tensor, y: Tensor, h: Tensor) -> Tensor:
    """Integrals (P, n, m) of products of two kernels of standard deviation h (P,)."""
    variance = 2 * h[:, None, None] ** 2
    gap = x[:, :, None] - y[:, None, :]
    return torch.exp(-0.5 * gap**2 / variance) / torch.sqrt(2 * math.pi * variance)


def _check_pairs(latents: Tensor, draws: Tensor) -> None:
    if min(len(latents), len(draws)) < 2:
        raise ValueError(
            f"a distance without bias needs pairs, but there are {len(latents)} latents and "
            f"{len(draws)} draws; give at least 2 of each, or use "
            "divergence='sliced_wasserstein'"
        )


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances (n, m) by one matrix product."""
    norms = (x * x).sum(1)[:, None] + (y * y).sum(1)
    return (norms - 2 * x @ y.T).clamp_min(0)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Distances (n, m); of differences, for a root spoils what a product has rounded."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _squared_bandwidth(squared_distances: Tensor, bandwidth: str | float) -> Tensor:
    """Squared bandwidth, from the distances (m, m) between draws of the prior."""
    m = len(squared_distances)
    if bandwidth == "prior":
        return squared_distances.detach().sum() / (m * (m - 1))
    if bandwidth == "median":
        pairs = torch.triu_indices(m, m, 1, device=squared_distances.device)
        return squared_distances.detach()[pairs[0], pairs[1]].median()
    if isinstance(bandwidth, str) or not bandwidth > 0:
        raise ValueError(
            f"bandwidth={bandwidth!r} is not known; use 'prior', 'median' or a positive number"
        )
    return squared_distances.new_tensor(bandwidth**2)


def _mean_within(k: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of k (n, n) over pairs of different rows."""
    u = shares(weight, k)
    pairs = u @ k @ u - (u * u) @ k.diagonal()
    return pairs / (1 - u @ u)


def _mean_across(k: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of k (n, m) over all pairs."""
    return shares(weight, k.T) @ k.mean(1)
