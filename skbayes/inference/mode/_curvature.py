"""Generalised Gauss-Newton curvature at a mode, in whitened coordinates.

The precision of z is H = G + diag(c) with G the weighted GGN of the log likelihood and
c the curvature of the prior, 1 for a normal. Each structure says how much of G it keeps;
all work is in float64, because log determinants are sums of many small logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.inference.mode._class_information import (
    CLASS_ELEMENTS,
    ClassInformation,
    has_many_classes,
    has_many_sites,
)
from skbayes.inference.mode._pullbacks import (
    _is_identity,
    _pullback,
    _scaled,
    curvature_along,
    output_curvature,
)
from skbayes.likelihoods import Sites
from skbayes.posteriors import DenseFactor, DiagonalFactor, KroneckerFactor
from skbayes.posteriors._factors import Factor
from skbayes.utils._random import make_generator

#: Elements of a Jacobian held at once.
JACOBIAN_ELEMENTS = 2**24
#: Floating-point operations of a full curvature up to which it is as quick as Kronecker
#: factors, whose eigenvectors take their time too.
FULL_WORK = 2e8
#: Multiply-adds of a curvature of convolutions, and rows that tell it at least.
MOST_WORK, LEAST_ROWS = 1e10, 200
#: Triangles up to this size are inverted by one solve.
TRIANGLE_ROWS = 128


class Curvature:
    """Precision of one structure; subclasses keep less and less of it.

    Attributes
    ----------
    log_det : float
        Log determinant of the precision over the entries it covers.
    variance : Tensor of shape (n_weights,)
        Diagonal of the inverse precision; 0 where an entry is held fixed.
    """

    log_det: float
    variance: Tensor

    def __init__(self, model: Model, data: Data, mode: Tensor) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define __init__")

    def factors(self) -> list[Factor]:
        """Square roots of the covariance, as NumPy."""
        raise NotImplementedError(f"{type(self).__name__} must define factors")

    def solve(self, gradient: Tensor, damping: float = 0.0) -> Tensor:
        """Newton direction: inverse precision times a gradient (n_weights,).

        ``damping`` adds so many times the prior's curvature to the precision, which turns and
        shortens the step where the curvature holds only near the mode.
        """
        raise NotImplementedError(f"{type(self).__name__} must define solve")

    def effective(self, model: Model, data: Data, mode: Tensor) -> Tensor:
        """Effective parameters (K,) of independent outputs: trace of G_k times the covariance.

        G_k is output k's term of the GGN; arguments as for the constructor.
        """
        return self.leverages(model, data, mode).sum(0)

    def leverages(self, model: Model, data: Data, mode: Tensor) -> Tensor:
        """How much of its own fit each value of independent outputs is: (N, K), in sum `effective`.

        Where a structure does not tell rows apart, their average.
        """
        effective = self.effective(model, data, mode)
        return (data.weight / data.total_weight).to(effective)[:, None] * effective


def weighted_jacobians(model: Model, data: Data, mode: Tensor, first: int = 0) -> Iterator[Tensor]:
    """Blocks (rows * K, P) whose Gram matrix is the GGN in whitened coordinates.

    Of the weights from ``first`` on alone.
    """
    network, weights = model.network, model.weights(mode)[0]
    scales = model.weight_scales(model.split(mode)[1])[0][first:]
    jacobians = _of_last_layer(network, weights) if first else None
    n_made = len(scales) if jacobians else getattr(network, "whole", network).n_weights
    rows = max(1, JACOBIAN_ELEMENTS // (network.n_outputs * n_made))
    for start in range(0, len(data), rows):
        chunk = data.rows(slice(start, start + rows))
        if jacobians is None:
            jacobian = network.jacobian(weights, chunk.X)[..., first:] * scales
        else:
            jacobian = jacobians(chunk.X) * scales
        root = likelihood_root(model, chunk, mode)
        weighted = jacobian * root[..., None] if root.dim() == 2 else root.mT @ jacobian
        yield weighted.flatten(0, 1)


def _of_last_layer(network: Any, weights: Tensor) -> Callable[[Tensor], Tensor] | None:
    """The function from rows to the last layer's Jacobian (N, K, P), by what it is given."""
    if network.last_layer is None:
        return None
    features = network.bind_features(weights[None])

    def jacobian(X: Tensor) -> Tensor:
        given = features(X)[0].T
        eye = torch.eye(network.n_outputs, dtype=given.dtype, device=given.device)
        of_weight = eye[None, :, :, None] * given[:, None, None, :]
        return torch.cat([of_weight.flatten(2), eye.expand(len(X), -1, -1)], 2)

    return jacobian


def likelihood_root(model: Model, data: Data, mode: Tensor) -> Tensor:
    """Square root of the weighted output Fisher information: R (N, K, K) of R R'.

    Where outputs are independent, R's diagonal alone (N, K).
    """
    outputs, hyper = model.network.forward(model.weights(mode), data.X), model.hyper(mode)
    weight = data.weight[:, None]
    if isinstance(model.likelihood, Sites):  # labels that are left out tell nothing
        weight = weight * (data.y >= 0).repeat(1, model.network.n_outputs // data.y.shape[1])
    if model.likelihood.diagonal_fisher:
        return (model.likelihood.fisher_diagonal(outputs, hyper)[0] * weight).sqrt()
    root = model.likelihood.fisher_root(outputs, hyper)[0] * weight.sqrt()[..., None]
    diagonal = torch.diagonal(root, dim1=1, dim2=2)
    return diagonal if torch.equal(root, torch.diag_embed(diagonal)) else root


def cholesky(precision: Tensor) -> Tensor:
    """Cholesky factor; what rounding takes from the eigenvalues of huge entries is put back."""
    lower, failed = torch.linalg.cholesky_ex(precision)
    if not failed:
        return lower
    diagonal = torch.diagonal(precision)
    rounding = len(diagonal) * torch.finfo(precision.dtype).eps * diagonal.max()
    return torch.linalg.cholesky(precision + rounding * torch.eye(len(diagonal)).to(precision))


def triangular_inverse(lower: Tensor) -> Tensor:
    """Inverse of a lower triangle by halves: half the time of solving for all of it."""
    if len(lower) <= TRIANGLE_ROWS:
        identity = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
        return torch.linalg.solve_triangular(lower, identity, upper=False)
    half = len(lower) // 2
    first, last = triangular_inverse(lower[:half, :half]), triangular_inverse(lower[half:, half:])
    inverse = torch.zeros_like(lower)
    inverse[:half, :half], inverse[half:, half:] = first, last
    inverse[half:, :half] = -(last @ lower[half:, :half]) @ first
    return inverse


def prior_curvature(model: Model, mode: Tensor) -> Tensor:
    """Curvature (n_weights,) of the prior at the mode, float64."""
    return model.prior.curvature_base(mode[0, : model.n_weights]).double()


class FullCurvature(Curvature):
    """All of the GGN: exact for a linear model."""

    first = 0

    def __init__(self, model: Model, data: Data, mode: Tensor) -> None:
        self._prior = prior_curvature(model, mode)[self.first :]
        self._precision = precision = torch.diag(self._prior)
        for jacobian in weighted_jacobians(model, data, mode, self.first):
            # Sums of squares over little noise leave what single precision can tell from a
            # matrix with negative eigenvalues.
            block = jacobian.double()
            precision += block.T @ block
        self._cholesky = cholesky(precision)
        self.log_det = float(2 * torch.log(torch.diagonal(self._cholesky)).sum())
        # The root serves draws, which have the network's precision.
        self.inverse_root = triangular_inverse(self._cholesky.to(model.like.dtype))
        self.variance = torch.zeros(model.n_weights).to(precision)
        self.variance[self.first :] = torch.linalg.vector_norm(self.inverse_root, dim=0) ** 2

    def factors(self) -> list[Factor]:
        """Transposed inverse of the precision's Cholesky factor."""
        return [DenseFactor(self.first, np.ascontiguousarray(self.inverse_root.T.cpu()))]

    def solve(self, gradient: Tensor, damping: float = 0.0) -> Tensor:
        """Newton direction."""
        lower = self._cholesky
        if damping:
            lower = cholesky(self._precision + damping * torch.diag(self._prior))
        move = torch.zeros_like(self.variance)
        rhs = gradient.to(move)[self.first :, None]
        move[self.first :] = torch.cholesky_solve(rhs, lower)[:, 0]
        return move

    def leverages(self, model: Model, data: Data, mode: Tensor) -> Tensor:
        """Diagonal (N, K) of J H^-1 J'."""
        blocks = [
            ((jacobian @ self.inverse_root.T) ** 2).sum(1)
            for jacobian in weighted_jacobians(model, data, mode, self.first)
        ]
        return torch.cat(blocks).to(self.variance).view(-1, model.network.n_outputs)


class DualCurvature(Curvature):
    """All of the GGN through the Gram matrix of the rows: quick where they are few.

    With J the weighted Jacobian over the roots of the prior's curvature c, H = c^½ (I + J'J) c^½
    has the determinant of I + JJ' times that of c, and the inverse that Woodbury's identity
    gives. It has no root of the covariance from which draws could be made.
    """

    def __init__(self, model: Model, data: Data, mode: Tensor) -> None:
        self._prior = prior_curvature(model, mode)
        rows = torch.cat([j.double() for j in weighted_jacobians(model, data, mode)])
        self._rows = rows / self._prior.sqrt()
        self._gram = self._rows @ self._rows.T
        self._gram.diagonal().add_(1)
        self._cholesky = cholesky(self._gram)
        self.log_det = float(2 * torch.log(torch.diagonal(self._cholesky)).sum())
        self.log_det += float(torch.log(self._prior).sum())
        known = torch.linalg.solve_triangular(self._cholesky, self._rows, upper=False)
        self.variance = (1 - (known**2).sum(0)) / self._prior

    def solve(self, gradient: Tensor, damping: float = 0.0) -> Tensor:
        """Newton direction."""
        lower, root = self._cholesky, self._prior.sqrt()
        if damping:
            lower = cholesky(self._gram + damping * torch.eye(len(self._gram)).to(root))
        whitened = gradient.to(root) / root
        known = torch.cholesky_solve((self._rows @ whitened)[:, None], lower)[:, 0]
        return (whitened - known @ self._rows) / (root * (1 + damping))

    def leverages(self, model: Model, data: Data, mode: Tensor) -> Tensor:
        """Diagonal (N, K) of JJ' (I + JJ')^-1."""
        inverse = torch.cholesky_inverse(self._cholesky)
        return (1 - torch.diagonal(inverse)).view(-1, model.network.n_outputs)


class LastLayerCurvature(FullCurvature):
    """The last layer's block; weights below are held at the mode."""

    def __init__(self, model: Model, data: Data, mode: Tensor) -> None:
        last = model.network.n_layers - 1
        self.first = min(b.start for b in model.network.layout if b.layer == last)
        super().__init__(model, data, mode)


def _drawn_gradients(model: Model, data: Data, mode: Tensor) -> Iterator[Tensor]:
    """Blocks (rows, P) of weighted rows' gradients at labels drawn from the model itself.

    The average of their outer products is the Fisher information, which is the GGN.
    """
    generator = make_generator(0, data.X.device)
    per_block = max(1, JACOBIAN_ELEMENTS // (model.n_weights + model.network.widest))
    for start in range(0, len(data), per_block):
        chunk = data.rows(slice(start, start + per_block))
        # Each row by a particle of its own.
        params = mode.expand(len(chunk), -1).clone()
        with torch.enable_grad():
            z = params.requires_grad_()
            outputs = model.network.forward(model.weights(z), chunk.X[:, None])
            hyper = model.hyper(z.detach())
            y = model.likelihood.sample(outputs.detach(), hyper, generator)[:, 0]
            y = torch.where(chunk.y < 0, chunk.y, y)
            by_row = outputs.transpose(0, 1)
            log_prob = model.likelihood.log_prob(by_row, y, hyper[:1])[0]
            (grad,) = torch.autograd.grad(log_prob.sum(), z)
        yield grad[:, : model.n_weights] * chunk.weight.sqrt()[:, None]


class DiagonalCurvature(Curvature):
    """The diagonal of the GGN; where rows have many sites, estimated from drawn labels."""

    def __init__(self, model: Model, data: Data, mode: Tensor) -> None:
        self._prior = prior_curvature(model, mode)
        precision = self._prior.clone()
        rows = _drawn_gradients if has_many_sites(model) else weighted_jacobians
        for jacobian in rows(model, data, mode):
            precision += (jacobian**2).sum(0).double()
        self.log_det = float(torch.log(precision).sum())
        self.variance = 1 / precision
        self._dtype = model.like.dtype

    def factors(self) -> list[Factor]:
        """Standard deviations."""
        return [DiagonalFactor(0, self.variance.sqrt().to(self._dtype).cpu().numpy())]

    def solve(self, gradient: Tensor, damping: float = 0.0) -> Tensor:
        """Newton direction."""
        return gradient.to(self.variance) / (1 / self.variance + damping * self._prior)

    def leverages(self, model: Model, data: Data, mode: Tensor) -> Tensor:
        """Diagonal (N, K) of J H^-1 J'."""
        blocks = [j.double() ** 2 @ self.variance for j in weighted_jacobians(model, data, mode)]
        return torch.cat(blocks).view(-1, model.network.n_outputs)


class _Layer(NamedTuple):
    """One layer's precision: eigenbases of both sides, and what stands on their diagonal.

    Inputs that outnumber the rows have a basis (in + 1, r) of what the rows reach; across it
    stands the prior's curvature.
    """

    start: int
    basis_b: Tensor
    basis_a: Tensor
    values_a: Tensor
    precision: Tensor
    prior: Tensor

    @property
    def size(self) -> int:
        """Number of weights."""
        return len(self.basis_b) * len(self.basis_a)

    def whole(self) -> tuple[Tensor, Tensor]:
        """All of the inputs' basis (in + 1, in + 1), and the precision in it."""
        n_missing = len(self.basis_a) - self.basis_a.shape[1]
        if not n_missing:
            return self.basis_a, self.precision
        across = torch.linalg.qr(self.basis_a, mode="complete")[0][:, -n_missing:]
        rest = self.prior.expand(len(self.basis_b), n_missing)
        return torch.cat([self.basis_a, across], 1), torch.cat([self.precision, rest], 1)


class KroneckerCurvature(Curvature):
    """One Kronecker product a layer: inputs' second moment times outputs' curvature.

    The prior's curvature is added exactly, in the eigenbasis, as its layer mean.

    References
    ----------
    Martens and Grosse (2015), Optimizing neural networks with Kronecker-factored
    approximate curvature, section 3.
    """

    def __init__(self, model: Model, data: Data, mode: Tensor) -> None:
        self._dtype = model.like.dtype
        self._prior = prior_curvature(model, mode)
        self._layers: list[_Layer] = []
        self.variance = torch.empty_like(self._prior)
        self.log_det = 0.0
        for start, (a, b) in layer_sides(model, data, mode).items():
            self._add(start, a, b)

    def _add(self, start: int, a: Tensor, b: Tensor) -> None:
        values_a, basis_a = input_basis(a)
        values_b, basis_b = signed_eigh(b)
        size = len(a) * len(b)
        prior = self._prior[start : start + size].mean()
        precision = values_b.clamp_min(0)[:, None] * values_a.clamp_min(0) + prior
        across = len(a) - len(values_a)
        self.log_det += float(torch.log(precision).sum() + len(b) * across * torch.log(prior))
        self._layers.append(_Layer(start, basis_b, basis_a, values_a, precision, prior))
        variance = basis_b**2 @ (1 / precision) @ (basis_a**2).T
        if across:
            variance += (1 - (basis_a**2).sum(1)).clamp_min(0) / prior
        self.variance[start : start + size] = torch.cat(
            [variance[:, :-1].flatten(), variance[:, -1]]
        )

    def factors(self) -> list[Factor]:
        """One Kronecker-factored covariance a layer."""
        parts: list[Factor] = []
        for layer in self._layers:
            basis_a, precision = layer.whole()
            arrays = (layer.basis_b, basis_a, precision.rsqrt())
            numbers = (t.to(self._dtype).cpu().numpy() for t in arrays)
            parts.append(KroneckerFactor(layer.start, *numbers))
        return parts

    def solve(self, gradient: Tensor, damping: float = 0.0) -> Tensor:
        """Newton direction, layer by layer."""
        gradient, moves = gradient.to(self.variance), []
        for layer in self._layers:
            basis_b, basis_a, prior = layer.basis_b, layer.basis_a, layer.prior
            n_out, n_in = len(basis_b), len(basis_a)
            part = gradient[layer.start : layer.start + layer.size]
            weight = part[: n_out * (n_in - 1)].view(n_out, n_in - 1)
            matrix = torch.cat([weight, part[n_out * (n_in - 1) :, None]], 1)
            along = matrix @ basis_a
            rotated = basis_b.T @ along / (layer.precision + damping * prior)
            across = matrix - along @ basis_a.T if len(basis_a.T) < n_in else 0.0
            matrix = basis_b @ rotated @ basis_a.T + across / ((1 + damping) * prior)
            moves += [matrix[:, :-1].flatten(), matrix[:, -1]]
        return torch.cat(moves)

    def effective(self, model: Model, data: Data, mode: Tensor) -> Tensor:
        """Effective parameters (K,) of each output."""
        total = self.variance.new_zeros(model.network.n_outputs)
        layers = {layer.start: layer for layer in self._layers}
        for start, _, pullback in layer_factors(model, data, mode):
            layer = layers[start]
            of_outputs = curvature_along(pullback, layer.basis_b)
            total += of_outputs @ (1 / layer.precision) @ layer.values_a
        return total


def affordable_curvature(model: Model, data: Data) -> type[Curvature] | None:
    """The most complete structure that takes no longer than Kronecker factors.

    All of the curvature where that is a small matrix, else Kronecker factors where the network
    gives them, else None.
    """
    if has_many_sites(model):
        return None
    n_weights, n_values = float(model.n_weights), float(len(data) * model.network.n_outputs)
    if n_values < n_weights and n_values**2 * n_weights <= FULL_WORK:
        return DualCurvature
    if (n_values + n_weights) * n_weights**2 <= FULL_WORK:
        return FullCurvature
    return KroneckerCurvature if hasattr(model.network, "factors") else None


def signed_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors whose largest entries are positive.

    The sign is free, and rounding chooses it; draws should not change with it.
    """
    values, vectors = torch.linalg.eigh(matrix)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return values, vectors * torch.sign(largest)


def input_basis(side: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (r,) and eigenvectors (n, r) of a layer's inputs' second moment.

    It comes as such (n, n), or as a root (n, r) of fewer columns, which takes r² n operations
    in place of n³.
    """
    if side.shape[0] == side.shape[1]:
        return signed_eigh(side)
    turned = side @ torch.linalg.eigh(side.T @ side)[1].flip(1)
    # Its columns are orthogonal up to the rounding of squares, which this takes away.
    basis, root = torch.linalg.qr(turned)
    largest = basis.gather(0, basis.abs().argmax(0, keepdim=True))
    return torch.diagonal(root) ** 2, basis * torch.sign(largest)


def layer_sides(model: Model, data: Data, mode: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
    """Both sides of each layer's Kronecker product, by its first weight.

    The inputs' is a root, as `input_basis` takes it, where the inputs outnumber the rows.
    """
    sides: dict[int, tuple[Tensor, Tensor]] = {}
    for start, a, pullback in layer_factors(model, data, mode):
        b = output_curvature(pullback)
        if start in sides:
            before, b = sides[start][0], b + sides[start][1]
            a = a + before if len(a) == len(a.T) else torch.cat([before, a], 1)
        sides[start] = a, b
    return sides


def layer_factors(
    model: Model, data: Data, mode: Tensor
) -> Iterator[tuple[int, Tensor, Tensor | ClassInformation]]:
    """For each layer its first weight and both sides of its Kronecker product, rows in blocks.

    The sides of all blocks add up: the inputs' second moment (in + 1, in + 1), whitened (or its
    root (in + 1, n), to be put side by side, where the inputs outnumber all rows), and the
    outputs' curvature, as the pullback (out, K, n) of the likelihood's root whose Gram matrix it
    is; where that is diagonal, as its diagonal (K, n), and of many classes as what it is of.
    """
    network: Any = model.network  # `Inference.check` has seen that it defines factors
    data = curvature_rows(model, data)
    layers, total = _layer_scales(model, mode), data.weight.sum().double()
    weights = model.weights(mode)[0]
    *hidden, (_, of_outputs) = network.factors(weights, data.X[:1])
    laid_out = [grads[0].numel() for _, grads in hidden]
    many = has_many_classes(model)
    if not ((model.likelihood.diagonal_fisher or many) and _is_identity(of_outputs)):
        laid_out.append(of_outputs[0].numel())
    elements = CLASS_ELEMENTS if many else JACOBIAN_ELEMENTS
    n_rows = max(1, elements // (network.n_outputs * max(laid_out, default=1)))
    for start in range(0, len(data), n_rows):
        chunk = data.rows(slice(start, start + n_rows))
        root = (ClassInformation.at if many else likelihood_root)(model, chunk, mode)
        factors = network.factors(weights, chunk.X)
        for (first, row, column), (inputs, grads) in zip(layers, factors, strict=True):
            # Row weights enter the output side through the root, the input side as an average,
            # over rows and the places of a row at which the layer is applied.
            n_places = inputs.shape[1] // len(chunk)
            weight, of_layer = chunk.weight, root
            if n_places > 1:
                weight = (chunk.weight / n_places).repeat_interleave(n_places)
                of_layer = _repeated(root, n_places)
            if len(data) * n_places < len(inputs):
                a = inputs.double() * (weight / total).sqrt() * column[:, None]
            else:
                a = ((inputs * weight) @ inputs.T).double() / total
                a = a * column * column[:, None]
            pullback = _pullback(grads, of_layer)
            yield first, a, _scaled(pullback, row)


def curvature_rows(model: Model, data: Data) -> Data:
    """Rows that tell a curvature, which stand for all: as many as `MOST_WORK` allows.

    The first ones of the canonical order, which is as good as shuffled.
    """
    network = model.network
    affordable = int(MOST_WORK / (network.n_outputs * network.row_work))
    if not network.has_places or len(data) <= max(affordable, LEAST_ROWS):
        return data
    some = data.rows(slice(max(affordable, LEAST_ROWS)))
    return replace(some, weight=some.weight * (data.total_weight / some.total_weight))


def _repeated(root: Tensor | ClassInformation, n_places: int) -> Tensor | ClassInformation:
    """The rows' root for each of their places."""
    if isinstance(root, ClassInformation):
        weight = root.weight.repeat_interleave(n_places)
        return replace(root, p=root.p.repeat_interleave(n_places, 1), weight=weight)
    return root.repeat_interleave(n_places, 0)


def _layer_scales(model: Model, mode: Tensor) -> list[tuple[int, Tensor, Tensor]]:
    """First weight of each layer, and its rows' and columns' factors of the prior scales."""
    scales = model.weight_scales(model.split(mode)[1])[0].double()
    pairs = zip(model.network.layout[::2], model.network.layout[1::2], strict=True)
    own = [
        (
            weight.start,
            scales[weight.slice].view(len(scales[bias.slice]), -1),
            scales[bias.slice, None],
        )
        for weight, bias in pairs
    ]
    return [(start, *_separated(torch.cat([w, b], dim=1))) for start, w, b in own]


def _separated(scales: Tensor) -> tuple[Tensor, Tensor]:
    """Rows' and columns' factors of prior scales (out, in + 1): their geometric means.

    Exact where a layer has one scale for its weights and one for its biases, and where it
    has one output; a product cannot follow scales that differ from weight to weight further.
    """
    if (scales == scales[:1]).all():
        return torch.ones_like(scales[:, 0]), scales[0]
    logs = scales.log()
    return torch.exp(logs.mean(1) - logs.mean()), torch.exp(logs.mean(0))


CURVATURES: dict[str, type[Curvature]] = {
    "full": FullCurvature,
    "kron": KroneckerCurvature,
    "diag": DiagonalCurvature,
    "last_layer": LastLayerCurvature,
}
