"""Exact moments of a network's outputs, row by row, under its first-order expansion.

Where weights are normal and functions linear in them, the outputs of a row are normal too:
their mean is the network at the mean, their covariance J Sigma J'. Each structure of Sigma
gives it in its own way: of a Kronecker product or a diagonal, the two sides of each layer's
Jacobian are enough; of a last layer, what the layers before hand on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.networks import Network
from skbayes.posteriors._factors import DenseFactor, DiagonalFactor, Factor, LowRankFactor

#: Work that exact moments may take, over that of the draws which they save.
MOST_WORK = 10.0


class Part(NamedTuple):
    """A term B diag(D) B' of the covariance of each row's outputs.

    Attributes
    ----------
    rows : Tensor of shape (K, m, N), or (K, m) where it is the same for all rows
    diagonal : Tensor of shape (m, N), or None for ones
    """

    rows: Tensor
    diagonal: Tensor | None = None

    def variance(self) -> Tensor:
        """Diagonal (K, N)."""
        squares = self.rows.square()
        if squares.dim() == 2 and self.diagonal is not None:
            return squares @ self.diagonal
        if self.diagonal is not None:
            squares *= self.diagonal
        # Row by row: sums beside one another are rounded by their place.
        return squares.permute(2, 0, 1).contiguous().sum(2).T

    def covariance(self) -> Tensor:
        """The whole of it (N, K, K)."""
        left = self.rows.permute(2, 0, 1) if self.rows.dim() == 3 else self.rows
        right = left if self.diagonal is None else left * self.diagonal.T[:, None, :]
        return right @ left.mT


class Derivatives:
    """Derivatives of the outputs at the rows of a tile, in the forms that structures ask for."""

    def __init__(self, network: Any, weights: Tensor, X: Tensor) -> None:
        self._arguments, self._network, self.n_rows = (weights, X), network, len(X)

    @cached_property
    def jacobian(self) -> Tensor:
        """The Jacobian (N, K, P)."""
        return self._network.jacobian(*self._arguments)

    @cached_property
    def sides(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Inputs (in + 1, N) and output gradients (K, out, N) of each layer, by its start.

        Gradients that are the same for all rows, those of the outputs' own layer, are
        (K, out).
        """
        pairs = zip(self._network.layout[::2], self._network.factors(*self._arguments), strict=True)
        return {w.start: (a, g if g.stride(2) else g[..., 0]) for w, (a, g) in pairs}


class DenseRoot:
    """Root of the covariance of a run of weights: a matrix, or standard deviations."""

    def __init__(self, factor: Factor, scales: Tensor, network: Network) -> None:
        self._factor, self._at = factor, slice(factor.start, factor.start + factor.size)
        self._scales = scales[self._at]
        independent = isinstance(factor, DiagonalFactor)
        self.work = network.n_outputs * factor.size * (1 if independent else factor.size)
        self.width = factor.size
        self.numbers = 3 * network.n_outputs * network.n_weights

    @cached_property
    def _root(self) -> Tensor:
        if isinstance(self._factor, DenseFactor):
            return torch.from_numpy(self._factor.root) * self._scales[:, None]
        identity = torch.eye(self._factor.size, dtype=self._scales.dtype)
        return self._factor.multiply(identity).T * self._scales[:, None]

    def part(self, derivatives: Derivatives) -> Part:
        """Its term of the covariance."""
        jacobian = derivatives.jacobian[..., self._at]
        if isinstance(self._factor, DiagonalFactor):
            rows = jacobian * (torch.from_numpy(self._factor.sd) * self._scales)
            return Part(rows.permute(1, 2, 0))
        # Rows last, as in the network's own products: there each has the same bits wherever
        # it stands.
        return Part(self._root.T @ jacobian.permute(1, 2, 0))


class LayerRoot:
    """One layer's weights, independent in bases of its two sides.

    Parameters
    ----------
    start : int
        First weight of the layer.
    variance : Tensor of shape (out, in + 1)
        Variances in the bases.
    bases : (Tensor of shape (out, out), Tensor of shape (in + 1, in + 1)) or None
        In columns, their rows in the network's own units; None for the identity.
    network : Network
    """

    def __init__(
        self, start: int, variance: Tensor, bases: tuple[Tensor, Tensor] | None, network: Network
    ) -> None:
        self._start, self._variance, self._bases = start, variance, bases
        n_out, n_in = variance.shape
        turned = n_in**2 + network.n_outputs * n_out**2 if bases else 0
        self.work, self.width = turned + variance.numel(), n_out
        units = sum(block.shape[0] for block in network.layout[::2])
        self.numbers = 2 * network.n_outputs * units + 2 * n_in
        if network.has_places:
            self.work = network.n_outputs * (int(network.row_work) + turned + variance.numel())
            self.numbers = network.n_outputs * (2 * network.n_weights + network.widest)
            self.width = variance.numel()

    def part(self, derivatives: Derivatives) -> Part:
        """Its term of the covariance."""
        inputs, grads = derivatives.sides[self._start]
        if self._bases:
            of_outputs, of_inputs = self._bases
            inputs = of_inputs.T @ inputs
            grads = of_outputs.T @ grads if grads.dim() == 3 else grads @ of_outputs
        n_places = inputs.shape[1] // derivatives.n_rows
        if n_places == 1:
            return Part(grads, self._variance @ inputs**2)
        # A weight that acts at several places moves the outputs by the sum over them.
        sides = grads.unflatten(2, (-1, n_places)), inputs.unflatten(1, (-1, n_places))
        moves = torch.einsum("kont,int->koin", *sides) * self._variance.sqrt()[..., None]
        return Part(moves.flatten(1, 2))


def layer_roots(factor: Factor, scales: Tensor, network: Network) -> list[LayerRoot] | None:
    """A factor layer by layer, from the two sides of each; None where they do not do.

    Scales of single weights that are no products of one of the output and one of the input
    do not go with a Kronecker product.
    """
    if isinstance(factor, DenseFactor | LowRankFactor) or not hasattr(network, "factors"):
        return None
    if isinstance(factor, DiagonalFactor):
        sd = torch.zeros_like(scales)
        sd[factor.start : factor.start + factor.size] = torch.from_numpy(factor.sd)
        tables = _tables(sd * scales, network)
        return [LayerRoot(start, table**2, None, network) for start, table in tables.items()]
    table = _tables(scales, network)[factor.start]
    row, column = table[:, :1] / table[:1, :1], table[0]
    if not torch.allclose(row * column, table, rtol=16 * torch.finfo(table.dtype).eps, atol=0):
        return None
    bases = (
        torch.from_numpy(factor.outputs) * row,
        torch.from_numpy(factor.inputs) * column[:, None],
    )
    return [LayerRoot(factor.start, torch.from_numpy(factor.sd) ** 2, bases, network)]


def _tables(values: Tensor, network: Network) -> dict[int, Tensor]:
    """Values (P,) of the weights as one table (out, in + 1) a layer, by its start."""
    pairs = zip(network.layout[::2], network.layout[1::2], strict=True)
    return {
        w.start: torch.cat([values[w.slice].view(w.shape[0], -1), values[b.slice, None]], 1)
        for w, b in pairs
    }


class NormalOutputs:
    """Normal outputs at the rows of a tile; their spread is worked out when it is asked for.

    Parameters
    ----------
    mean : Tensor of shape (N, K)
    roots : sequence
        Of the weights' covariance: their ``part`` is asked for the `Part` of each.
    derivatives : object
        What ``part`` is given.
    """

    def __init__(self, mean: Tensor, roots: Sequence[Any], derivatives: Any) -> None:
        self.mean, self._roots, self._derivatives = mean.double(), roots, derivatives

    @cached_property
    def _parts(self) -> list[Part]:
        return [root.part(self._derivatives) for root in self._roots]

    @cached_property
    def variance(self) -> Tensor:
        """Variance (N, K) of each output."""
        return _total([part.variance().T for part in self._parts])

    @cached_property
    def covariance(self) -> Tensor:
        """Covariance (N, K, K) of the outputs at each row."""
        if self.mean.shape[1] == 1:
            return self.variance[:, :, None]
        return _total([part.covariance() for part in self._parts])


def _total(terms: list[Tensor]) -> Tensor:
    """Sum in double precision."""
    total = terms[0].double()
    for term in terms[1:]:
        total += term
    return total


class FeatureRoot:
    """Root of the covariance of the last layer's weights, on what the layer is given."""

    def __init__(self, root: Tensor, network: Network) -> None:
        """``root`` (size, size) in the network's own units."""
        n_out = network.n_outputs
        n_weights = len(root) - n_out
        weight = root[:n_weights].view(n_out, -1, len(root)).transpose(1, 2)
        self._weight = weight.flatten(0, 1).contiguous()
        self._bias = root[n_weights:].view(-1, 1)
        self.width, self.work = len(root), self._weight.numel()
        self.numbers = 2 * n_out * len(root) + network.widest

    def part(self, features: Tensor) -> Part:
        """Its term of the covariance, the only one."""
        rows = torch.addmm(self._bias, self._weight, features)
        return Part(rows.view(-1, self.width, features.shape[1]))


class Linearised:
    """The normals of a network's outputs, whose weights are normal, around their mean.

    Parameters
    ----------
    model : Model
    mean : Tensor of shape (n_params,)
        Packed vector; scales and noise are held there.
    factors : sequence of Factor
        Of the covariance of the whitened weights.
    """

    def __init__(self, model: Model, mean: Tensor, factors: Sequence[Factor]) -> None:
        packed = mean[None].to(model.like)
        self.network: Any = model.network
        self.hyper, self._weights = model.hyper(packed), model.weights(packed)
        scales = model.weight_scales(model.split(packed)[1])[0]
        self._features = self._bind_features(factors)
        if self._features:
            (factor,) = factors
            root = torch.from_numpy(factor.root) * scales[factor.start :, None]  # type: ignore[union-attr]
            self._roots: list[Any] = [FeatureRoot(root, self.network)]
            weight, bias = (self._weights[0, b.slice] for b in self.network.layout[-2:])
            self._weight, self._bias = weight.view(len(bias), -1), bias[:, None]
            return
        self._roots = []
        for factor in factors:
            self._roots += layer_roots(factor, scales, self.network) or [
                DenseRoot(factor, scales, self.network)
            ]

    def _bind_features(self, factors: Sequence[Factor]) -> Any:
        """What gives the last layer's inputs, where all other weights are held."""
        network = self.network
        if len(factors) != 1 or not isinstance(factors[0], DenseFactor):
            return None
        last = network.last_layer is not None and hasattr(network, "bind_features")
        if not last or factors[0].start != network.layout[-2].start:
            return None
        return network.bind_features(self._weights)

    def is_quicker(self, n_draws: int, joint: bool) -> bool:
        """Whether moments take at most `MOST_WORK` times the work of so many draws.

        ``joint`` asks for covariances of a row's outputs, not for their variances alone.
        """
        work = self.work
        if joint:
            n_outputs = self.network.n_outputs
            work += n_outputs**2 * (10 * n_outputs + sum(root.width for root in self._roots))
        return work <= MOST_WORK * n_draws * 2 * self.network.row_work

    @property
    def work(self) -> float:
        """Multiply-adds of the variances of one row's outputs."""
        return float(sum(root.work for root in self._roots))

    @property
    def numbers(self) -> int:
        """Numbers that the moments of one row hold at once."""
        return self.network.n_outputs**2 + max((root.numbers for root in self._roots), default=0)

    def __call__(self, X: Tensor) -> NormalOutputs:
        """Outputs at the rows (N, D) of a tile."""
        if self._features:
            features = self._features(X)[0]
            mean = torch.addmm(self._bias, self._weight, features)
            return NormalOutputs(mean.T, self._roots, features)
        mean = self.network.forward(self._weights, X)[0]
        return NormalOutputs(mean, self._roots, Derivatives(self.network, self._weights[0], X))
