"""Networks of torch modules: those of users, and a few that are ready for use."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from torch import nn

from skbayes.exceptions import ModuleError
from skbayes.networks._activations import ACTIVATION_MODULES
from skbayes.networks._base import Network
from skbayes.networks._mlp import MLPNetwork
from skbayes.networks._module import ModuleNetwork, build, module_network
from skbayes.networks._sizes import layer_sizes
from skbayes.networks._specs import SIZES, NetworkSpec, image_shape_of
from skbayes.networks._stacked import Recurrent, Residual, Skip, StepsLast
from skbayes.utils._sklearn import Interval, StrOptions

_POSITIVE = Interval(Integral, 1, None, closed="left")
#: Channels of a group of a GroupNorm, if so many divide them.
GROUP = 8


class Module(NetworkSpec):
    """A network of one's own: a class of `torch.nn.Module`, or a function that makes one.

    Its parameters are names of a grid too, ``network__params__width``. The module maps rows
    ``(n_rows, *input_shape)`` to (n_rows, n_outputs): to numbers, to one logit for two classes or
    one a class, and for labels of pixels or steps to ``(n_rows, n_classes, *target_shape)``. A
    two-class problem takes a module with two outputs too. It is run in evaluation mode; its
    initialisation is not used, since the prior says where weights are.

    Parameters
    ----------
    factory : type or callable
        Makes the module. Of what it takes, ``n_outputs``, ``n_inputs``, ``input_shape`` and
        ``target_shape`` are given to it, unless ``params`` says otherwise. One that can be
        imported by name can be saved.
    params : dict or None, default=None
        What else it is called with.
    input_shape : sequence of int or None, default=None
        Shape of a row: (channels, height, width), (steps, features) or a number of columns.
        Rows may come flat, as from a Pipeline. None takes the shape of X.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import BayesianModuleClassifier
    >>> from skbayes.networks import Module
    >>> def make(n_inputs, n_outputs, width=10):
    ...     return nn.Sequential(nn.Linear(n_inputs, width), nn.SiLU(), nn.Linear(width, n_outputs))
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BayesianModuleClassifier(Module(make, {"width": 5}), inference="map", random_state=0)
    >>> clf.fit(X, y).predict_proba(X).shape
    (150, 3)
    """

    _parameter_constraints: dict = {
        "factory": [callable],
        "params": [dict, None],
        "input_shape": ["array-like", Integral, None],
    }

    def __init__(
        self,
        factory: Callable[..., nn.Module],
        params: dict[str, Any] | None = None,
        input_shape: Any = None,
    ) -> None:
        self.factory = factory
        self.params = params
        self.input_shape = input_shape

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, those of the factory as ``params__name``."""
        found = super().get_params(deep=False)
        if deep:
            found |= {f"params__{name}": value for name, value in (self.params or {}).items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``params__name`` is one of the factory's."""
        own = {name: v for name, v in params.items() if not name.startswith("params__")}
        super().set_params(**own)
        nested = {n.removeprefix("params__"): v for n, v in params.items() if n not in own}
        if nested:
            self.params = {**(self.params or {}), **nested}
        return self

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy that knows the shape of a row."""
        own = clone(self)
        own.input_shape = _row_shape(self.input_shape, default, n_features)
        return own

    def column_groups(self, n_features: int) -> np.ndarray:
        """Channels of pictures, features of sequences."""
        return groups_of_columns(self.input_shape)

    def takes(self, name: str) -> bool:
        """Whether the factory takes an argument of this name."""
        return name in inspect.signature(self.factory).parameters

    def made(self, n_outputs: int, target_shape: Sequence[int] = ()) -> nn.Module:
        """Make the module."""
        offered = {
            "n_outputs": n_outputs,
            "n_inputs": math.prod(self.input_shape),
            "input_shape": tuple(self.input_shape),
            "target_shape": tuple(target_shape),
        }
        given = {name: v for name, v in offered.items() if self.takes(name)}
        given.update(self.params or {})
        try:
            inspect.signature(self.factory).bind(**given)
        except TypeError as error:
            raise ModuleError(
                f"network's factory {_name(self.factory)} cannot be called with {sorted(given)}: "
                f"{error}; give the rest in params"
            ) from error
        return build(self.factory, given)

    def fixed_outputs(self) -> int | None:
        """Outputs of a module that are not for us to say; None where the factory is told."""
        if self.takes("n_outputs") and "n_outputs" not in (self.params or {}):
            return None
        return self._of(self.made(1), None).n_outputs

    def network(self, n_inputs: int, n_outputs: int, target_shape: Sequence[int] = ()) -> Network:
        """Make the network from rows to what a likelihood takes."""
        module = self.made(n_outputs, target_shape)
        perceptron = as_perceptron(module, self.input_shape, n_outputs)
        return perceptron or self._of(module, n_outputs)

    def _of(self, module: nn.Module, n_outputs: int | None) -> ModuleNetwork:
        """The network of a module."""
        return module_network(module, self.input_shape, n_outputs)

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from rows to latents."""
        if n_context:
            raise ModuleError(
                "network=Module takes no context beside the rows; use MLP or CNN, or leave "
                "conditional out"
            )
        return self.network(n_inputs, n_outputs)

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents; their number is its ``n_inputs``."""
        of_latents = clone(self)
        of_latents.input_shape = [n_inputs]
        return of_latents.encoder(n_inputs, n_outputs, n_context)


def _name(factory: Any) -> str:
    return getattr(factory, "__name__", repr(factory))


def _row_shape(given: Any, default: Mapping[str, Any], n_features: int) -> list[int]:
    """Shape of a row: what is given, that of X, or a number of columns."""
    shape = default.get("row_shape") or (n_features,) if given is None else given
    shape = [int(side) for side in np.atleast_1d(shape)]
    if math.prod(shape) != n_features or min(shape) < 1:
        raise ValueError(
            f"input_shape={given!r} has {math.prod(shape)} numbers, but a row of X has {n_features}"
        )
    return shape


def groups_of_columns(shape: Sequence[int]) -> np.ndarray:
    """Which columns of a flat row are of one kind, (D,): of a channel, or of a feature."""
    if len(shape) == 1:
        return np.arange(shape[0])
    if len(shape) == 2:  # steps, features
        return np.tile(np.arange(shape[1]), shape[0])
    return np.repeat(np.arange(shape[0]), math.prod(shape[1:]))


_NAMES = {nn.Tanh: "tanh", nn.ReLU: "relu", nn.Sigmoid: "logistic", nn.Softplus: "softplus"}


def as_perceptron(
    module: nn.Module, input_shape: Sequence[int], n_outputs: int
) -> MLPNetwork | None:
    """The perceptron that a module is, with derivatives written by hand; None if it is none.

    Linear layers with a bias, one activation between all of them, in a `nn.Sequential`.
    """
    layers: list[Any] = list(module._modules.values()) if type(module) is nn.Sequential else []
    if layers and type(layers[0]) is nn.Flatten:
        layers = layers[1:]
    elif len(input_shape) > 1:
        return None
    linear, between = layers[::2], layers[1::2]
    kinds = {type(layer) for layer in between}
    odd = not layers or len(layers) % 2 == 0 or len(kinds) > 1 or not kinds <= set(_NAMES)
    if odd or any(type(layer) is not nn.Linear or layer.bias is None for layer in linear):
        return None
    if len({id(layer) for layer in linear}) < len(linear):
        return None  # tied
    if any(type(a) is nn.Softplus and (a.beta, a.threshold) != (1.0, 20.0) for a in between):
        return None
    widths = [linear[0].in_features, *(layer.out_features for layer in linear)]
    if widths[0] != math.prod(input_shape) or widths[-1] != n_outputs:
        return None  # the message is that of other modules
    name = _NAMES[kinds.pop()] if kinds else "tanh"
    network = MLPNetwork(widths[0], widths[-1], widths[1:-1], name)
    network.name_blocks([name for name, _ in module.named_parameters()])
    return network


class _Sequences(NetworkSpec):
    """Base of recurrent networks over rows that are sequences.

    The network sees steps (n_rows, n_steps, n_features), and a linear layer maps its last
    state, or where targets are those of steps each state, to the outputs.
    """

    _parameter_constraints: dict = {
        "units": [_POSITIVE],
        "n_layers": [_POSITIVE],
        "input_shape": ["array-like", None],
    }
    _layer: type[nn.RNNBase]

    def __init__(self, units: int = 32, n_layers: int = 1, input_shape: Any = None) -> None:
        self.units = units
        self.n_layers = n_layers
        self.input_shape = input_shape

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy that knows steps and features; flat rows have one feature a step."""
        own = clone(self)
        own.input_shape = _row_shape(self.input_shape, default, n_features)
        if len(own.input_shape) == 1:
            own.input_shape = [n_features, 1]
        if len(own.input_shape) != 2:
            raise ValueError(
                f"{part}={self!r} takes sequences, input_shape=(steps, features), but rows have "
                f"the shape {tuple(own.input_shape)}"
            )
        return own

    def column_groups(self, n_features: int) -> np.ndarray:
        """Which columns are one feature."""
        return groups_of_columns(self.input_shape)

    def network(self, n_inputs: int, n_outputs: int, target_shape: Sequence[int] = ()) -> Network:
        """Make the network from sequences."""
        n_steps, n_features = self.input_shape
        every = bool(target_shape)
        if every and target_shape[0] != n_steps:
            raise ModuleError(
                f"{type(self).__name__} gives one output a step, {n_steps} of them, but "
                f"target_shape={tuple(target_shape)}"
            )

        def make() -> nn.Module:
            layer = self._layer(n_features, self.units, self.n_layers, batch_first=True)
            n_each = n_outputs // n_steps if every else n_outputs
            # Classes come before steps, numbers of a step behind it.
            last = [StepsLast()] if len(target_shape) == 1 else []
            return nn.Sequential(Recurrent(layer, every), nn.Linear(self.units, n_each), *last)

        return module_network(build(make, {}), self.input_shape, n_outputs)

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from sequences to latents."""
        if n_context:
            raise ModuleError(f"{type(self).__name__} takes no context beside the rows; use MLP")
        return self.network(n_inputs, n_outputs)


class GRU(_Sequences):
    """Gated recurrent units over rows that are sequences, and a linear layer.

    Parameters
    ----------
    units : int, default=32
        Units of each layer.
    n_layers : int, default=1
        Recurrent layers.
    input_shape : (steps, features) or None, default=None
        Of a row; None takes the shape of X, whose flat rows have one feature a step.

    See Also
    --------
    LSTM : Units with a memory cell.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbayes import BayesianModuleClassifier
    >>> from skbayes.networks import GRU
    >>> X, y = load_digits(return_X_y=True)
    >>> gru = GRU(units=8, input_shape=(8, 8))
    >>> clf = BayesianModuleClassifier(gru, inference="map", random_state=0)
    >>> clf.set_params(inference__max_iter=20).fit(X[:200], y[:200]).predict(X[:3]).shape
    (3,)
    """

    _layer = nn.GRU


class LSTM(_Sequences):
    """Long short-term memory over rows that are sequences, and a linear layer.

    Particles go one by one: torch's own layer is faster than any batch of them. Laplace with a
    linearised prediction is not to be had, for the layer has no second derivative.

    Parameters
    ----------
    units : int, default=32
        Units of each layer.
    n_layers : int, default=1
        Recurrent layers.
    input_shape : (steps, features) or None, default=None
        Of a row; None takes the shape of X, whose flat rows have one feature a step.

    See Also
    --------
    GRU : Two thirds of the weights, and faster here.

    Examples
    --------
    >>> from skbayes.networks import LSTM
    >>> LSTM(units=16).units
    16
    """

    _layer = nn.LSTM


class _Images(NetworkSpec):
    """Base of networks over images that come flat, channel by channel."""

    image_shape: Any
    channels: Any

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy that knows its image, which has ``n_features`` numbers."""
        own = clone(self)
        own.image_shape = image_shape_of(self, part, default, n_features)
        own.channels = layer_sizes(f"{part}__channels", self.channels)
        return own

    def column_groups(self, n_features: int) -> np.ndarray:
        """Which columns are one channel."""
        return groups_of_columns(self.image_shape)

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from images to latents."""
        if n_context:
            raise ModuleError(f"{type(self).__name__} takes no context beside the rows; use CNN")
        return self.network(n_inputs, n_outputs)


def _normalised(n_channels: int, activation: str) -> list[nn.Module]:
    return [
        nn.GroupNorm(max(1, n_channels // GROUP) if n_channels % GROUP == 0 else 1, n_channels),
        ACTIVATION_MODULES[activation](),
    ]


class ResNet(_Images):
    """A small residual network over images, its units normalised by groups.

    A convolution, then stages of residual blocks, of which each but the first halves the
    image; the channels' averages over the image go to a linear layer.

    Parameters
    ----------
    image_shape : (channels, height, width) or None, default=None
        Shape of a row; None takes that of X.
    channels : array-like of int, default=(16, 32)
        Channels of each stage.
    n_blocks : int, default=1
        Residual blocks of a stage.
    activation : {"tanh", "relu", "logistic", "softplus"}, default="relu"
        Activation of the units.

    References
    ----------
    He et al. (2016), Identity mappings in deep residual networks; Wu and He (2018), Group
    normalization.

    Examples
    --------
    >>> from skbayes.networks import ResNet
    >>> ResNet(image_shape=(1, 8, 8), channels=(8, 16)).n_blocks
    1
    """

    _parameter_constraints: dict = {
        "image_shape": ["array-like", None],
        "channels": SIZES[:2],
        "n_blocks": [_POSITIVE],
        "activation": [StrOptions(set(ACTIVATION_MODULES))],
    }

    def __init__(
        self,
        image_shape: Any = None,
        channels: Any = (16, 32),
        n_blocks: int = 1,
        activation: str = "relu",
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.n_blocks = n_blocks
        self.activation = activation

    def network(self, n_inputs: int, n_outputs: int, target_shape: Sequence[int] = ()) -> Network:
        """Make the network from images."""

        def block(n: int) -> nn.Module:
            half = [*_normalised(n, self.activation), nn.Conv2d(n, n, 3, padding=1)]
            return Residual(
                nn.Sequential(
                    *half, *_normalised(n, self.activation), nn.Conv2d(n, n, 3, padding=1)
                )
            )

        def make() -> nn.Module:
            layers: list[nn.Module] = []
            before, stride = self.image_shape[0], 1
            for n in self.channels:
                layers += [
                    nn.Conv2d(before, n, 3, stride, 1),
                    *(block(n) for _ in range(self.n_blocks)),
                ]
                before, stride = n, 2
            layers += [*_normalised(before, self.activation), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            return nn.Sequential(*layers, nn.Linear(before, n_outputs))

        return module_network(build(make, {}), self.image_shape, n_outputs)


class UNet(_Images):
    """A small encoder and decoder with skips, from images to one output a pixel.

    Each level has two convolutions; between levels the image is halved on the way down, and
    widened on the way up, where what the level saw on the way down stands beside it.

    Parameters
    ----------
    image_shape : (channels, height, width) or None, default=None
        Shape of a row; None takes that of X.
    channels : array-like of int, default=(16, 32)
        Channels of each level, the widest image first.
    activation : {"tanh", "relu", "logistic", "softplus"}, default="relu"
        Activation of the units.

    References
    ----------
    Ronneberger et al. (2015), U-Net: convolutional networks for biomedical image segmentation.

    Examples
    --------
    >>> from skbayes.networks import UNet
    >>> UNet(image_shape=(1, 16, 16)).channels
    (16, 32)
    """

    _parameter_constraints: dict = {
        "image_shape": ["array-like", None],
        "channels": SIZES[:2],
        "activation": [StrOptions(set(ACTIVATION_MODULES))],
    }

    def __init__(
        self, image_shape: Any = None, channels: Any = (16, 32), activation: str = "relu"
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.activation = activation

    def network(self, n_inputs: int, n_outputs: int, target_shape: Sequence[int] = ()) -> Network:
        """Make the network from images to pixels."""
        sides = tuple(self.image_shape[1:])
        if tuple(target_shape) != sides:
            raise ModuleError(
                f"network=UNet gives one output for each pixel of {sides}, but targets have the "
                f"shape {tuple(target_shape)}; y must be (n_rows, *{sides}), or use CNN for one "
                "target a picture"
            )
        activation = ACTIVATION_MODULES[self.activation]

        def level(before: int, depth: int, height: int, width: int) -> nn.Module:
            """From ``before`` channels to those of a level, at its size."""
            n, *below = self.channels[depth:]
            down = [nn.Conv2d(before, n, 3, padding=1), activation()]
            if not below or min(height, width) < 2:
                return nn.Sequential(*down, nn.Conv2d(n, n, 3, padding=1), activation())
            inner = level(n, depth + 1, height // 2, width // 2)
            body = nn.Sequential(nn.MaxPool2d(2), inner, nn.Upsample(size=(height, width)))
            up = [nn.Conv2d(n + below[0], n, 3, padding=1), activation()]
            return nn.Sequential(*down, Skip(body), *up)

        def make() -> nn.Module:
            last = nn.Conv2d(self.channels[0], n_outputs // math.prod(sides), 1)
            return nn.Sequential(level(self.image_shape[0], 0, *sides), last)

        return module_network(build(make, {}), self.image_shape, n_outputs)
