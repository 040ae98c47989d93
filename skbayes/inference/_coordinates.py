"""Coordinates in which a full-batch sampler moves, and the log joint in them.

Data pin down the mean and the size of the outputs far better than the output bias, the
output scale and the weights that make them up and trade off against one another. These
are the stiffest directions of the posterior, bent across all the weights. With mean and
size in the places of bias and scale each is one axis, which a diagonal mass can stretch,
and the leapfrog step doubles.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skbayes._model import Data, Model
from skbayes.posteriors._diagnostics import N_WATCHED

#: Added, squared, under the root of the outputs' mean square: it is 0 on a single row.
SMALLEST_ROOT = 1e-3


class Coordinates:
    """The model's own coordinates: the log joint with the data bound to it."""

    def __init__(self, model: Model, data: Data) -> None:
        self.model, self.data = model, data

    def from_model(self, params: Tensor) -> Tensor:
        """Points (S, n_params) of the model in these coordinates."""
        return params

    def to_model(self, points: Tensor) -> Tensor:
        """The model's parameters (S, n_params) at points in these coordinates."""
        return points

    def value_and_grad(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Log density (S,) of the points and its gradient (S, n_params)."""
        return self.evaluate(points)[:2]

    def evaluate(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same, and the model's parameters (S, n_params) at the points."""
        return *self.model.value_and_grad(points, self.data), points

    @torch.no_grad()
    def grad(self, points: Tensor) -> Tensor:
        """The gradient alone."""
        return self._graded(points)[2]

    @torch.no_grad()
    def grad_and_watched(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient, and outputs on a few rows with hyperparameters: (S, n_watched)."""
        params, outputs, grad = self._graded(points)
        watched = outputs[:, :N_WATCHED].flatten(1)
        return grad, torch.cat([watched, self.model.tail(params)], dim=1)

    def _graded(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The model's parameters, outputs (S, N, K) and gradient at the points."""
        model, data = self.model, self.data
        outputs, to_grad = model.outputs_with_pullback(points, data)
        grads = model.likelihood.grad(outputs, data.y, data.weight, model.hyper(points))
        return points, outputs, to_grad(*grads).add_(model.prior_score(points))


class OutputCoordinates(Coordinates):
    """Mean and size of the outputs stand in the places of output bias and output scale.

    Let g (N, K) be the outputs at bias 0 and output scale 1, m their weighted mean over
    the rows, c = g - m, and r the root of c's mean square (plus a small constant). The
    log scale l, where learned, gives way to v = l + log r and the whitened bias z to
    u = (z + m / unit) / r, so that the outputs are exp(v) (c / r + unit u). The volume
    grows by r for each output.
    A fixed scale stays, with r = 1.
    """

    def __init__(self, model: Model, data: Data) -> None:
        super().__init__(model, data)
        block = model.network.output_bias
        assert block is not None
        self.bias, self.scale = block.slice, model.n_weights + block.layer
        self.share = data.weight / data.weight.sum()
        scales = model.unit_scales.clone()
        row = block.layer if model.n_scales else 0
        self.unit = scales[row, self.bias].clone()
        scales[:, self.bias] = 0
        self._output_scales = scales[[row]]
        scales[row] = 0
        self._other_scales = scales

    def from_model(self, params: Tensor) -> Tensor:
        """Points (S, n_params) of the model in these coordinates."""
        root, _, mean = self._outputs(params)
        points = params.clone()
        points[:, self.bias] = (points[:, self.bias] + mean / self.unit) / root
        if self.model.n_scales:
            points[:, self.scale] += torch.log(root[:, 0])
        return points

    def to_model(self, points: Tensor) -> Tensor:
        """The model's parameters (S, n_params) at points in these coordinates."""
        root, _, mean = self._outputs(points)
        return self._to_model(points, root, mean)

    def _to_model(self, points: Tensor, root: Tensor, mean: Tensor) -> Tensor:
        params = points.clone()
        params[:, self.bias] = points[:, self.bias] * root - mean / self.unit
        if self.model.n_scales:
            params[:, self.scale] -= torch.log(root[:, 0])
        return params

    def _outputs(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Root (S, 1), centred outputs (S, N, K) and mean (S, K): see the class."""
        weights, _ = self._weights(points)
        return self._moments(self.model.network.forward(weights, self.data.X))

    def _weights(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Weights at output bias 0 and output scale 1, and what scales them."""
        z, log_scales, _ = self.model.split(points)
        scales = self._output_scales
        if self.model.n_scales:
            scales = torch.addmm(scales, torch.exp(log_scales), self._other_scales)
        return z * scales, scales

    def _moments(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = outputs.transpose(1, 2) @ self.share
        centred = outputs - mean[:, None]
        if not self.model.n_scales:
            return torch.ones_like(mean[:, :1]), centred, mean
        squares = (centred * centred).sum(2) @ self.share
        return (squares + SMALLEST_ROOT**2).sqrt()[:, None], centred, mean

    @torch.no_grad()
    def evaluate(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log density (S,), its gradient and the model's parameters (S, n_params)."""
        model, data, likelihood = self.model, self.data, self.model.likelihood
        params, root, outputs, to_grad = self._with_pullback(points)
        value, *grads = likelihood.value_and_grad(outputs, data.y, data.weight, model.hyper(points))
        value = value.double() + model.log_prior(params)
        if model.n_scales:
            value += outputs.shape[2] * torch.log(root[:, 0])
        return value, to_grad(*grads), params

    def _graded(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The model's parameters, outputs (S, N, K) and gradient at the points."""
        model, data = self.model, self.data
        params, _, outputs, to_grad = self._with_pullback(points)
        grads = model.likelihood.grad(outputs, data.y, data.weight, model.hyper(points))
        return params, outputs, to_grad(*grads)

    def _with_pullback(
        self, points: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Callable[[Tensor, Tensor], Tensor]]:
        """Model parameters, root, outputs; gradients in outputs and noise to the whole one."""
        model = self.model
        weights, scales = self._weights(points)
        outputs, pullback = model.network.forward_with_pullback(weights, self.data.X)
        root, centred, mean = self._moments(outputs)
        params = self._to_model(points, root, mean)
        bias = root * points[:, self.bias]
        outputs = centred + (self.unit * bias)[:, None]
        size = torch.exp(params[:, self.scale])[:, None, None] if model.n_scales else 1.0
        outputs *= size

        def to_grad(of_outputs: Tensor, of_noise: Tensor) -> Tensor:
            prior = model.prior_score(params)
            of_shape = of_outputs * size
            of_bias = self.unit * of_shape.sum(1) + prior[:, self.bias]
            through = -(of_bias / self.unit)[:, None]
            if model.n_scales:
                of_scale = prior[:, self.scale] + (of_outputs * outputs).sum((1, 2))
                of_log_root = (of_bias * bias).sum(1, keepdim=True) + bias.shape[1]
                of_log_root -= of_scale[:, None]
                through = through + (of_log_root / root**2)[..., None] * centred
            of_shape = torch.addcmul(of_shape, self.share[:, None], through)
            grad = model.chain(pullback(of_shape), weights, scales, of_noise).add_(prior)
            grad[:, self.bias] = of_bias * root
            if model.n_scales:
                grad[:, self.scale] = of_scale
            return grad

        return params, root, outputs, to_grad


def sampling_coordinates(model: Model, data: Data) -> Coordinates:
    """Output coordinates where the network has an output bias of prior mean 0, else its own."""
    plain = model.network.output_bias is None or model.means is not None
    return (Coordinates if plain else OutputCoordinates)(model, data)
