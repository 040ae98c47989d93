"""Coordinates in which a full-batch sampler moves, and the log joint in them.

Data pin down the mean and the size of the outputs far better than the output bias, the
output scale and the weights that make them up and trade off against one another. These
are the stiffest directions of the posterior, bent across all the weights. With mean and
size in the places of bias and scale each is one axis, which a diagonal mass can stretch,
and the leapfrog step doubles.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skbayes._model import Data, Model

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
        return self.model.value_and_grad(points, self.data)

    def grad(self, points: Tensor) -> Tensor:
        """The gradient alone."""
        return self.model.grad(points, self.data)


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
        self.bias = block.slice
        self.layer = block.layer
        self.scale = model.n_weights + block.layer
        self.share = data.weight / data.weight.sum()

    def from_model(self, params: Tensor) -> Tensor:
        """Points (S, n_params) of the model in these coordinates."""
        unit, root, _, mean = self._outputs(params)
        points = params.clone()
        points[:, self.bias] += mean / unit
        points[:, self.bias] /= root
        if self.model.n_scales:
            points[:, self.scale] += torch.log(root[:, 0])
        return points

    def to_model(self, points: Tensor) -> Tensor:
        """The model's parameters (S, n_params) at points in these coordinates."""
        unit, root, _, mean = self._outputs(points)
        return self._to_model(points, unit, root, mean)

    def _to_model(self, points: Tensor, unit: Tensor, root: Tensor, mean: Tensor) -> Tensor:
        params = points.clone()
        params[:, self.bias] *= root
        params[:, self.bias] -= mean / unit
        if self.model.n_scales:
            params[:, self.scale] -= torch.log(root[:, 0])
        return params

    def _outputs(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Unit (S or 1, K), root (S, 1), centred (S, N, K), mean (S, K): see the class."""
        weights, scales = self._weights(points)
        outputs = self.model.network.forward(weights, self.data.X)
        return scales[:, self.bias], *self._moments(outputs)

    def _weights(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Weights at output bias 0 and output scale 1, and every weight's scale."""
        z, log_scales, _ = self.model.split(points)
        if self.model.n_scales:
            log_scales = log_scales.clone()
            log_scales[:, self.layer] = 0
        scales = self.model.weight_scales(log_scales)
        weights = z * scales
        weights[:, self.bias] = 0
        return weights, scales

    def _moments(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = outputs.transpose(1, 2) @ self.share
        centred = outputs - mean[:, None]
        if not self.model.n_scales:
            return torch.ones_like(mean[:, :1]), centred, mean
        squares = (centred * centred).sum(2) @ self.share
        return (squares + SMALLEST_ROOT**2).sqrt()[:, None], centred, mean

    def grad(self, points: Tensor) -> Tensor:
        """The gradient alone."""
        return self._evaluate(points)[2]

    def value_and_grad(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Log density (S,) of the points and its gradient (S, n_params)."""
        value, params, grad = self._evaluate(points)
        return value.double() + self.model.log_prior(params), grad

    @torch.no_grad()
    def _evaluate(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log likelihood and volume (S,), model parameters, gradient of the log density."""
        model, data = self.model, self.data
        weights, scales = self._weights(points)
        outputs, pullback = model.network.forward_with_pullback(weights, data.X)
        root, centred, mean = self._moments(outputs)
        unit = scales[:, self.bias]
        params = self._to_model(points, unit, root, mean)
        size = torch.exp(params[:, self.scale])[:, None, None] if model.n_scales else 1.0
        bias = root * points[:, self.bias]
        outputs = (centred + (unit * bias)[:, None]) * size
        value, of_outputs, of_noise = model.likelihood.value_and_grad(
            outputs, data.y, data.weight, model.hyper(points)
        )
        prior = model.prior_score(params)
        of_shape = of_outputs * size
        of_bias = unit * of_shape.sum(1) + prior[:, self.bias]
        of_shape -= self.share[:, None] * (of_bias / unit)[:, None]
        if model.n_scales:
            of_scale = prior[:, self.scale] + (of_outputs * outputs).sum((1, 2))
            of_log_root = (of_bias * bias).sum(1) + bias.shape[1] - of_scale
            of_shape += (of_log_root[:, None, None] / root[..., None] ** 2) * (
                self.share[:, None] * centred
            )
            value = value + bias.shape[1] * torch.log(root[:, 0])
        grad = model.chain(pullback(of_shape), weights, scales, of_noise) + prior
        grad[:, self.bias] = of_bias * root
        if model.n_scales:
            grad[:, self.scale] = of_scale
        return value, params, grad


def sampling_coordinates(model: Model, data: Data) -> Coordinates:
    """Output coordinates where the network has an output bias, else the model's own."""
    kind = Coordinates if model.network.output_bias is None else OutputCoordinates
    return kind(model, data)
