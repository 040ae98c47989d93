"""Wasserstein distances of projections: sorting couples two samples on a line.

All directions are sorted at once, O(N log N) a direction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes.utils._adam import Adam
from skbayes.utils._random import randn

#: Step of Adam that may change the size of a slicing map by this much; an entry of it moves
#: by as much over the number of columns.
SLICING_RATE = 0.2


def random_directions(n_directions: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Unit vectors (n_directions, d), uniform over directions, for rows like these (n, d)."""
    directions = randn((n_directions, like.shape[1]), like, generator)
    return directions / directions.norm(dim=1, keepdim=True)


def squared_wasserstein_1d(x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Squared 2-Wasserstein distance (P,) of samples x (P, n), of weights (n,), and y (P, m)."""
    sorted_y = y.sort(1).values
    copies, rest = divmod(y.shape[1], x.shape[1])
    if weight is None and not rest:
        sorted_x = x.sort(1).values.repeat_interleave(copies, 1)
        return ((sorted_x - sorted_y) ** 2).mean(1)
    sorted_x, order = x.sort(1)
    ends_x = shares(weight, x)[order].cumsum(1)
    ends_y = shares(None, y).cumsum(0).expand_as(y).contiguous()
    ends = torch.cat([ends_x, ends_y], 1).sort(1).values
    # Between two neighbouring ends both quantile functions are constant.
    starts = torch.cat([ends.new_zeros(len(ends), 1), ends[:, :-1]], 1)
    middle = 0.5 * (starts + ends)
    gap = _quantile(sorted_x, ends_x, middle) - _quantile(sorted_y, ends_y, middle)
    return ((ends - starts) * gap**2).sum(1)


def shares(weight: Tensor | None, x: Tensor) -> Tensor:
    """Weights (n,) of the n columns of x that sum to one."""
    if weight is None:
        return x.new_full((x.shape[1],), 1 / x.shape[1])
    return (weight / weight.sum()).to(x)


def _quantile(values: Tensor, ends: Tensor, levels: Tensor) -> Tensor:
    """Quantiles (P, L) of sorted values (P, n), of which each holds up to its end."""
    at = torch.searchsorted(ends, levels).clamp_max(values.shape[1] - 1)
    return values.gather(1, at)


class SlicingDistribution:
    """A law of directions that learns where two samples differ.

    Directions are A u / |A u| with u uniform over directions, an angular central Gaussian
    law. A climbs the root of the mean squared distance of projections minus ``penalty``
    times the mean absolute cosine between directions, which keeps them from falling into
    one: 0 gives the max-sliced distance, a large penalty the sliced one (Nguyen et al.,
    2021, Distributional sliced-Wasserstein, eq. 6 in its dual form).

    Parameters
    ----------
    like : Tensor of shape (n, d)
        Gives columns, dtype and device.
    penalty : float
        In units of the rows.
    n_directions : int
        Directions in one estimate.
    generator : torch.Generator
        Draws them.
    """

    def __init__(
        self, like: Tensor, penalty: float, n_directions: int, generator: torch.Generator
    ) -> None:
        self.penalty, self.n_directions, self.generator = penalty, n_directions, generator
        n_columns = like.shape[1]
        self.map = torch.eye(n_columns, dtype=like.dtype, device=like.device).requires_grad_()
        self._optimizer = Adam([self.map], lr=SLICING_RATE / n_columns)

    def directions(self) -> Tensor:
        """Unit vectors (n_directions, d), a differentiable function of the map."""
        uniform = random_directions(self.n_directions, self.map, self.generator)
        mapped = uniform @ self.map.T
        return mapped / mapped.norm(dim=1, keepdim=True)

    def learn(self, x: Tensor, y: Tensor, n_steps: int) -> None:
        """Climb for some steps, with fresh directions in each."""
        x, y = x.detach(), y.detach()
        with torch.enable_grad():
            for _ in range(n_steps):
                directions = self.directions()
                alignment = mean_cosine(directions)
                distance = sliced_squares(x, y, directions).clamp_min(1e-12).sqrt()
                loss = self.penalty * alignment - distance
                (self.map.grad,) = torch.autograd.grad(loss, self.map)
                self._optimizer.step()

    def squared_distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean squared 2-Wasserstein distance of projections, differentiable in x and y."""
        return sliced_squares(x, y, self.directions().detach())


def sliced_squares(
    x: Tensor, y: Tensor, directions: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Mean over directions (P, d) of the squared distances of rows x (n, d) and y (m, d)."""
    return squared_wasserstein_1d(directions @ x.T, directions @ y.T, weight).mean()


def mean_cosine(directions: Tensor) -> Tensor:
    """Mean absolute cosine between different ones of some unit vectors (P, d)."""
    n = len(directions)
    if n < 2:
        return directions.new_zeros(())
    return ((directions @ directions.T).abs().sum() - n) / (n * (n - 1))
