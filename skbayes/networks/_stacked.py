"""Layers of torch.nn for all particles at once.

The layers that are known here run as one batched operation over particles, in one of two
layouts: stacked, (S, N, ...), in which dense layers are batched products; or folded,
(N, S * channels, ...), in which convolutions are grouped ones and all that goes channel by
channel (pooling, padding, normalisation by groups) is what it is for one particle. Grouped
convolutions are fast where channels come last in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skbayes.networks._activations import Tanh, tanh

#: Stacked parameters of a module, by their names in it.
Parameters = Mapping[str, Tensor]


class Value:
    """What a layer hands on, of ``n`` particles: 1 where it is the same for all.

    Parameters
    ----------
    tensor : Tensor of shape (N, n * channels, ...) or (n, N, ...)
        Folded, or stacked.
    n : int
        Particles.
    is_folded : bool
        Which of the two.
    """

    def __init__(self, tensor: Tensor, n: int, is_folded: bool) -> None:
        self.tensor, self.n, self.is_folded = tensor, n, is_folded

    @property
    def folded(self) -> Tensor:
        """The values (N, n * channels, ...)."""
        return self.tensor if self.is_folded else self.tensor.transpose(0, 1).flatten(1, 2)

    @property
    def stacked(self) -> Tensor:
        """The values (n, N, channels, ...)."""
        if not self.is_folded:
            return self.tensor
        return self.tensor.unflatten(1, (self.n, -1)).transpose(0, 1)

    def map(self, function: Callable[[Tensor], Tensor]) -> Value:
        """Apply a function of single numbers."""
        return Value(function(self.tensor), self.n, self.is_folded)

    def of(self, n: int) -> Value:
        """The same for so many particles, where it was common to all."""
        if self.n == n:
            return self
        return Value(self.stacked.expand(n, *[-1] * (self.stacked.ndim - 1)), n, False)


Layer = Callable[[Any, Parameters, Value, int], Value]


def _elementwise(layer: nn.Module, own: Parameters, value: Value, n: int) -> Value:
    return value.map(layer)


def _tanh(layer: nn.Tanh, own: Parameters, value: Value, n: int) -> Value:
    return value.map(tanh)


def _unchanged(layer: nn.Module, own: Parameters, value: Value, n: int) -> Value:
    return value


def _by_channel(layer: nn.Module, own: Parameters, value: Value, n: int) -> Value:
    """Pooling, padding and resizing."""
    return Value(layer(value.folded), value.n, True)


def _dense(layer: nn.Linear, own: Parameters, value: Value, n: int) -> Value:
    W, b = own["weight"], own.get("bias")
    if value.n == 1 and value.stacked.ndim == 3:
        # Of common rows one matrix product.
        of_all = F.linear(value.stacked[0], W.flatten(0, 1), None if b is None else b.flatten())
        return Value(of_all, n, True)
    x = value.of(n).stacked
    flat = x.flatten(1, -2)
    out = flat @ W.mT if b is None else torch.baddbmm(b[:, None], flat, W.mT)
    return Value(out.unflatten(1, x.shape[1:-1]) if x.ndim > 3 else out, n, False)


def _last_channels(tensor: Tensor) -> Tensor:
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _convolution(layer: Any, own: Parameters, value: Value, n: int) -> Value:
    W, b = own["weight"], own.get("bias")
    if layer.groups > 1:
        value = value.of(n)
    convolve = F.conv2d if W.ndim == 5 else F.conv1d
    out = convolve(
        _last_channels(value.folded),
        _last_channels(W.flatten(0, 1)),
        None if b is None else b.flatten(),
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups * value.n,
    )
    return Value(out, n, True)


def _transposed(layer: Any, own: Parameters, value: Value, n: int) -> Value:
    W, b = own["weight"], own.get("bias")
    common = value.n == 1
    # Of a common picture, the particles' kernels are more channels of one.
    kernel = W.transpose(0, 1).flatten(1, 2) if common else W.flatten(0, 1)
    out = F.conv_transpose2d(
        _last_channels(value.folded),
        _last_channels(kernel),
        None if b is None else b.flatten(),
        layer.stride,
        layer.padding,
        layer.output_padding,
        value.n,
        layer.dilation,
    )
    return Value(out, n, True)


def _group_norm(layer: Any, own: Parameters, value: Value, n: int) -> Value:
    value = value.of(n) if own else value
    weight, bias = (own[k].flatten() if own else None for k in ("weight", "bias"))
    out = F.group_norm(value.folded, value.n * layer.num_groups, weight, bias, layer.eps)
    return Value(out, value.n, True)


def _layer_norm(layer: nn.LayerNorm, own: Parameters, value: Value, n: int) -> Value:
    out = F.layer_norm(value.stacked, layer.normalized_shape, eps=layer.eps)
    for name, combine in (("weight", torch.mul), ("bias", torch.add)):
        if name in own:
            shape = (n, *[1] * (out.ndim - own[name].ndim), *own[name].shape[1:])
            out = combine(out, own[name].view(shape))
    return Value(out, len(out), False)


def _batch_norm(layer: Any, own: Parameters, value: Value, n: int) -> Value:
    """With statistics that are held."""
    value = value.of(n) if "weight" in own else value
    mean, variance = (own[f"running_{k}"].repeat(value.n) for k in ("mean", "var"))
    weight, bias = (own[k].flatten() if k in own else None for k in ("weight", "bias"))
    out = F.batch_norm(value.folded, mean, variance, weight, bias, False, 0.0, layer.eps)
    return Value(out, value.n, True)


def _flatten(layer: nn.Flatten, own: Parameters, value: Value, n: int) -> Value:
    if value.is_folded and (layer.start_dim, layer.end_dim) == (1, -1):
        return Value(value.tensor.flatten(1), value.n, True)
    start, end = (dim + (dim >= 0) for dim in (layer.start_dim, layer.end_dim))
    return Value(value.stacked.flatten(start, end), value.n, False)


def _unflatten(layer: nn.Unflatten, own: Parameters, value: Value, n: int) -> Value:
    dim: Any = layer.dim
    out = value.stacked.unflatten(dim + (dim >= 0), layer.unflattened_size)
    return Value(out, value.n, False)


def _sequence(layer: nn.Sequential, own: Parameters, value: Value, n: int) -> Value:
    for name, child in layer._modules.items():  # a layer that stands there twice too
        value = apply(child, _inside(own, name), value, n)  # type: ignore[arg-type]
    return value


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Add what the body makes of a value to it."""
        return x + self.body(x)


def _residual(layer: Residual, own: Parameters, value: Value, n: int) -> Value:
    change = apply(layer.body, _inside(own, "body"), value, n)
    if change.is_folded and value.is_folded and change.n == value.n:
        return Value(value.tensor + change.tensor, change.n, True)
    return Value(value.stacked + change.stacked, max(value.n, change.n), False)


class Skip(nn.Module):
    """The channels of x, then those of body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Put what the body makes of a value beside it."""
        return torch.cat([x, self.body(x)], 1)


def _skip(layer: Skip, own: Parameters, value: Value, n: int) -> Value:
    change = apply(layer.body, _inside(own, "body"), value, n)
    beside = [value.of(change.n).stacked, change.stacked]
    return Value(torch.cat(beside, 2), change.n, False)


class Recurrent(nn.Module):
    """A recurrent layer of torch.nn that gives its last state, or those of all times.

    Parameters
    ----------
    layer : nn.GRU or nn.LSTM
        With ``batch_first=True``.
    every_step : bool
        Whether to give states (N, T, units) in place of the last one (N, units).
    """

    def __init__(self, layer: nn.RNNBase, every_step: bool) -> None:
        super().__init__()
        self.layer, self.every_step = layer, every_step

    def forward(self, x: Tensor) -> Tensor:
        """Run over sequences (N, T, features)."""
        states = self.layer(x)[0]
        return states if self.every_step else states[:, -1]


def _recurrent(layer: Recurrent, own: Parameters, value: Value, n: int) -> Value:
    own = _inside(own, "layer")
    inputs = value.of(n).stacked.transpose(1, 2)  # (S, T, N, features)
    for number in range(layer.layer.num_layers):
        inputs = _gru(inputs, *(own[f"{name}_l{number}"] for name in GRU_PARAMETERS))
    states = inputs.transpose(1, 2) if layer.every_step else inputs[:, -1]
    return Value(states, n, False)


GRU_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _gru(inputs: Tensor, W: Tensor, U: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """States (S, T, N, units) of a gated recurrent unit, as `torch.nn.GRU` defines it."""
    n, n_times, n_rows, _ = inputs.shape
    n_units = U.shape[2]
    of_inputs = torch.baddbmm(b[:, None], inputs.flatten(1, 2), W.mT)
    steps = of_inputs.view(n, n_times, n_rows, 3, n_units).unbind(1)
    state, states, back, given = inputs.new_zeros(n, n_rows, n_units), [], U.mT, c[:, None]
    for of_input in steps:
        of_state = torch.baddbmm(given, state, back).view(n, n_rows, 3, n_units)
        gates = torch.sigmoid(of_input[:, :, :2] + of_state[:, :, :2])
        reset, update = gates[:, :, 0], gates[:, :, 1]
        new = torch.tanh(torch.addcmul(of_input[:, :, 2], reset, of_state[:, :, 2]))
        state = torch.lerp(new, state, update)
        states.append(state)
    return torch.stack(states, 1)


class StepsLast(nn.Module):
    """Numbers of steps (N, T, K) as channels of a sequence (N, K, T)."""

    def forward(self, x: Tensor) -> Tensor:
        """Exchange both axes."""
        return x.transpose(1, 2)


def _steps_last(layer: StepsLast, own: Parameters, value: Value, n: int) -> Value:
    return Value(value.stacked.transpose(2, 3), value.n, False)


ELEMENTWISE = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Softsign,
    nn.Hardtanh,
    nn.ReLU6,
)
BY_CHANNEL = (
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.ZeroPad2d,
    nn.Upsample,
)
UNCHANGED = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
LAYERS: dict[type, Layer] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(BY_CHANNEL, _by_channel),
    **dict.fromkeys(UNCHANGED, _unchanged),
    nn.Tanh: _tanh,
    nn.Linear: _dense,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.Sequential: _sequence,
    Residual: _residual,
    Skip: _skip,
    Recurrent: _recurrent,
    StepsLast: _steps_last,
}


def is_known(module: nn.Module) -> bool:
    """Whether all layers of a module are known here, with the options that are."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
        grouped = isinstance(module, nn.ConvTranspose2d) and module.groups > 1
        return type(module) in LAYERS and module.padding_mode == "zeros" and not grouped
    if isinstance(module, Recurrent):
        layer = module.layer
        plain = layer.bias and layer.batch_first and not layer.bidirectional
        return type(layer) is nn.GRU and bool(plain)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
        return False
    # A subclass may do anything.
    return type(module) in LAYERS and all(is_known(child) for child in module.children())


def apply(module: nn.Module, own: Parameters, value: Value, n: int) -> Value:
    """Run a module whose layers are known, with stacked parameters (n, ...) of its own."""
    return LAYERS[type(module)](module, own, value, n)


def _inside(own: Parameters, name: str) -> Parameters:
    """Parameters of a child."""
    prefix = f"{name}."
    return {key[len(prefix) :]: p for key, p in own.items() if key.startswith(prefix)}
