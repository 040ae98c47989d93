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

from skbayes._model import Model
from skbayes.data._tensors import Data
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
        return points, outputs, to_grad(*grads, 1.0, model.prior_score(points))


class MeanCoordinates(Coordinates):
    """The mean of the outputs stands in the place of the output bias; scales are fixed.

    Let g (N, K) be the outputs at bias 0 and m their weighted mean over the rows. The
    whitened bias z gives way to u = z + m / unit, so that the outputs are g - m + unit u.
    """

    def __init__(self, model: Model, data: Data) -> None:
        super().__init__(model, data)
        block = model.network.output_bias
        assert block is not None
        self.bias = block.slice
        self.share = data.weight / data.weight.sum()
        self.unit = model.unit_scales[self.bias]
        #: What scales the weights (1, P), at bias 0 and learned scales 1.
        self.scales = model.unit_scales[None].clone()
        self.scales[:, self.bias] = 0

    def from_model(self, params: Tensor) -> Tensor:
        """Points (S, n_params) of the model in these coordinates."""
        return self._shifted(params, self._mean(self._outputs(params)))

    def to_model(self, points: Tensor) -> Tensor:
        """The model's parameters (S, n_params) at points in these coordinates."""
        return self._shifted(points, -self._mean(self._outputs(points)))

    def _outputs(self, points: Tensor) -> Tensor:
        weights, _ = self._weights(points)
        return self.model.network.forward(weights, self.data.X)

    def _weights(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (S, P) at output bias 0, and what scales them."""
        return points[:, : self.model.n_weights] * self.scales, self.scales

    def _mean(self, outputs: Tensor) -> Tensor:
        return outputs.transpose(1, 2) @ self.share

    def _shifted(self, params: Tensor, mean: Tensor) -> Tensor:
        params = params.clone()
        params[:, self.bias].add_(mean / self.unit)
        return params

    @torch.no_grad()
    def evaluate(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log density (S,), its gradient and the model's parameters (S, n_params)."""
        model, data, likelihood = self.model, self.data, self.model.likelihood
        params, log_volume, outputs, to_grad = self._with_pullback(points)
        value, *grads = likelihood.value_and_grad(outputs, data.y, data.weight, model.hyper(points))
        return value.double() + model.log_prior(params) + log_volume, to_grad(*grads), params

    def _graded(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The model's parameters, outputs (S, N, K) and gradient at the points."""
        model, data = self.model, self.data
        params, _, outputs, to_grad = self._with_pullback(points)
        grads = model.likelihood.grad(outputs, data.y, data.weight, model.hyper(points))
        return params, outputs, to_grad(*grads)

    def _with_pullback(
        self, points: Tensor
    ) -> tuple[Tensor, Tensor | float, Tensor, Callable[[Tensor, Tensor], Tensor]]:
        """Model parameters, log volume, outputs; gradients in outputs and noise to the whole."""
        model = self.model
        weights, scales = self._weights(points)
        outputs, pullback = model.network.forward_with_pullback(weights, self.data.X)
        params = self._shifted(points, -self._mean(outputs))
        outputs = outputs + (self.unit * params[:, self.bias])[:, None]

        def to_grad(of_outputs: Tensor, of_noise: Tensor) -> Tensor:
            prior = model.prior_score(params)
            of_bias = self.unit * of_outputs.sum(1) + prior[:, self.bias]
            of_mean = (of_bias / self.unit)[:, None]
            of_shape = torch.addcmul(of_outputs, self.share[:, None], of_mean, value=-1)
            grad = model.add_chain(prior, pullback(of_shape), weights, scales, of_noise)
            grad[:, self.bias] = of_bias
            return grad

        return params, 0.0, outputs, to_grad


class OutputCoordinates(MeanCoordinates):
    """Mean and size of the outputs stand in the places of output bias and learned scale.

    Let g (N, K) be the outputs at bias 0 and output scale 1, m their weighted mean over
    the rows, c = g - m, and r the root of c's mean square (plus a small constant). The
    log scale l gives way to v = l + log r and the whitened bias z to u = (z + m / unit) / r,
    so that the outputs are exp(v) (c / r + unit u). The volume grows by r for each output.
    """

    def __init__(self, model: Model, data: Data) -> None:
        super().__init__(model, data)
        group = model.output_group
        assert group is not None
        self.scale = model.n_weights + group
        # The output layer's stay as they are, the others are multiplied by learned scales.
        outputs = model.groups == group
        self._output_scales = self.scales * outputs

    def from_model(self, params: Tensor) -> Tensor:
        """Points (S, n_params) of the model in these coordinates."""
        root, _, mean = self._moments(self._outputs(params))
        points = self._shifted(params, mean)
        points[:, self.bias] /= root
        points[:, self.scale] += torch.log(root[:, 0])
        return points

    def to_model(self, points: Tensor) -> Tensor:
        """The model's parameters (S, n_params) at points in these coordinates."""
        root, _, mean = self._moments(self._outputs(points))
        return self._to_model(points, root, mean)

    def _to_model(self, points: Tensor, root: Tensor, mean: Tensor) -> Tensor:
        params = points.clone()
        params[:, self.bias] = points[:, self.bias] * root - mean / self.unit
        params[:, self.scale] -= torch.log(root[:, 0])
        return params

    def _weights(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (S, P) at output bias 0 and output scale 1, and what scales them."""
        z, log_scales, _ = self.model.split(points)
        scales = self.model.inner_spread(torch.exp(log_scales), self._output_scales)
        return z * scales, scales

    def _moments(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Root (S, 1), centred outputs (S, N, K) and mean (S, K): see the class."""
        mean = self._mean(outputs)
        centred = outputs - mean[:, None]
        squares = (centred * centred).sum(2) @ self.share
        return (squares + SMALLEST_ROOT**2).sqrt()[:, None], centred, mean

    def _with_pullback(
        self, points: Tensor
    ) -> tuple[Tensor, Tensor | float, Tensor, Callable[[Tensor, Tensor], Tensor]]:
        """Model parameters, log volume, outputs; gradients in outputs and noise to the whole."""
        model = self.model
        weights, scales = self._weights(points)
        outputs, pullback = model.network.forward_with_pullback(weights, self.data.X)
        root, centred, mean = self._moments(outputs)
        params = self._to_model(points, root, mean)
        bias = root * points[:, self.bias]
        size = torch.exp(params[:, self.scale])[:, None, None]
        outputs = (centred + (self.unit * bias)[:, None]).mul_(size)

        def to_grad(of_outputs: Tensor, of_noise: Tensor) -> Tensor:
            prior = model.prior_score(params)
            of_shape = of_outputs * size
            of_bias = self.unit * of_shape.sum(1) + prior[:, self.bias]
            of_scale = prior[:, self.scale] + (of_outputs * outputs).sum((1, 2))
            of_log_root = (of_bias * bias).sum(1, keepdim=True) + bias.shape[1]
            of_log_root -= of_scale[:, None]
            through = (of_log_root / root**2)[..., None] * centred
            through -= (of_bias / self.unit)[:, None]
            of_shape.addcmul_(self.share[:, None], through)
            grad = model.add_chain(prior, pullback(of_shape), weights, scales, of_noise)
            grad[:, self.bias] = of_bias * root
            grad[:, self.scale] = of_scale
            return grad

        return params, bias.shape[1] * torch.log(root[:, 0]), outputs, to_grad


def sampling_coordinates(model: Model, data: Data) -> Coordinates:
    """Mean, and size where the output layer has a learned scale of its own.

    The model's own without a bias of mean 0, or where the output layer shares its scale or
    has several.
    """
    if model.network.output_bias is None or model.means is not None:
        return Coordinates(model, data)
    if not model.n_scales:
        return MeanCoordinates(model, data)
    own = model.output_group is not None
    return OutputCoordinates(model, data) if own else Coordinates(model, data)
