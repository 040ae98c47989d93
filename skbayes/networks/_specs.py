"""Networks as parts of an estimator: what to build, before rows tell how wide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from torch import Tensor, nn

from skbayes.exceptions import ModuleError
from skbayes.networks._activations import ACTIVATION_MODULES, ACTIVATIONS
from skbayes.networks._base import Network
from skbayes.networks._convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from skbayes.networks._image_shapes import KERNEL, check_image_shape
from skbayes.networks._mlp import MLPNetwork
from skbayes.networks._module import build, module_network
from skbayes.networks._sizes import layer_sizes
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import Interval, StrOptions

SIZES = ["array-like", Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})]


class NetworkSpec(Parametrised):
    """Base of networks as parts: what to build, once rows tell how wide."""

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy that leaves nothing to be decided.

        Parameters
        ----------
        part : str
            The estimator's parameter, for messages.
        default : dict
            What "auto" stands for; ``row_shape``, that of a row of X which came with one.
        n_features : int
            Columns of a row, which an image must fill.

        Returns
        -------
        spec : NetworkSpec
        """
        return clone(self)

    def column_groups(self, n_features: int) -> np.ndarray:
        """Which columns of a row are of one kind (n_features,), and are scaled as one."""
        return np.arange(n_features)

    def network(self, n_inputs: int, n_outputs: int, target_shape: Sequence[int] = ()) -> Network:
        """Make the network from rows to what a likelihood takes.

        Of pixels or steps, outputs are those of a class for all places, class by class.
        """
        return self.encoder(n_inputs, n_outputs)

    def trained_weights(self, network: Network) -> Tensor | None:
        """Weights (P,) of a network that comes trained; None of others."""
        return None

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from rows, with ``n_context`` columns beside them."""
        raise NotImplementedError(f"{type(self).__name__} must define encoder")

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents, with ``n_context`` columns beside them."""
        raise ModuleError(
            f"{type(self).__name__} knows no way back from latents; use decoder='mlp' or 'cnn'"
        )

    def mirrored(self) -> NetworkSpec:
        """Return the decoder that goes with an encoder, where none is given."""
        return MLP()


class DenseLayers(NetworkSpec):
    """Base of networks with fully connected layers."""

    hidden_layer_sizes: Any
    activation: str

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy with sizes and activation in place of "auto"."""
        own = clone(self)
        own.activation = default["activation"] if self.activation == "auto" else self.activation
        own.hidden_layer_sizes = self._sizes("hidden_layer_sizes", part, default)
        return own

    def _sizes(self, name: str, part: str, default: Mapping[str, Any]) -> list[int]:
        value = getattr(self, name)
        is_auto = isinstance(value, str) and value == "auto"
        return layer_sizes(f"{part}__{name}", default[name] if is_auto else value)


class MLP(DenseLayers):
    """Fully connected layers.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Units of each hidden layer, from the first to the last; ``()`` makes the network
        linear. "auto" takes the estimator's default in an encoder, and in a decoder the
        encoder's sizes in reverse.
    activation : {"tanh", "relu", "logistic", "softplus", "auto"}, default="auto"
        Activation of the hidden units. "auto" takes the estimator's default in an encoder,
        and the encoder's in a decoder.

    See Also
    --------
    CNN : The same behind convolutions, for images.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.networks import MLP
    >>> from skbayes.training import Training
    >>> vae = VAETransformer(2, encoder=MLP((20,), "tanh"), training=Training(max_iter=50))
    >>> vae.fit_transform(load_iris().data).shape
    (150, 2)
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": SIZES,
        "activation": [StrOptions({"auto", *ACTIVATIONS})],
    }

    def __init__(self, hidden_layer_sizes: Any = "auto", activation: str = "auto") -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation

    def mirrored(self) -> NetworkSpec:
        """Return layers in reverse."""
        return type(self)()

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from rows."""
        return MLPNetwork(n_inputs, n_outputs, self.hidden_layer_sizes, self.activation, n_context)

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents."""
        return self.encoder(n_inputs, n_outputs, n_context)


def image_shape_of(
    spec: Any, part: str, default: Mapping[str, Any], n_features: int
) -> tuple[int, int, int]:
    """Channels, height and width of a network's images: its own, or those of X."""
    shape = spec.image_shape
    if shape is None:
        shape = default.get("image_shape") or default.get("row_shape")
    if shape is None:
        raise ValueError(
            f"{part}={spec!r} does not know the shape of an image; give {part}="
            f"{type(spec).__name__}(image_shape=(channels, height, width)), whose product is the "
            f"number of columns of X, {n_features}"
        )
    # Pictures in grey may come without an axis of channels.
    return check_image_shape((1, *shape) if len(shape) == 2 else shape, n_features)


class CNN(DenseLayers):
    """Convolutions, each of which makes images smaller, then fully connected layers.

    In a decoder the way back.

    Parameters
    ----------
    image_shape : (channels, height, width) or None, default=None
        Shape of a row, which is flat, channel by channel. None takes that of X, where this has
        more than two dimensions; a decoder takes the encoder's.
    channels : array-like of int, int or "auto", default="auto"
        Channels of the images between convolutions, in the order of the data's way: from
        the largest image in an encoder, from the smallest in a decoder. "auto" takes the
        estimator's default in an encoder, and in a decoder the encoder's in reverse.
    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Units of each fully connected hidden layer, between the smallest image and the
        latents or outputs; "auto" as in `MLP`.
    activation : {"tanh", "relu", "logistic", "softplus", "auto"}, default="auto"
        Activation of pixels and hidden units; "auto" as in `MLP`.
    kernel_size : int, default=3
        Side of the convolutions' kernels, odd with ``padding="same"``. Decoders have 3.
    pooling : {"stride", "max", "average"}, default="stride"
        What halves an image: the convolution itself, in steps of two, or the largest or
        average of four pixels after it. Decoders have steps of two.
    padding : {"same", "valid"}, default="same"
        Whether margins of zeros keep a convolution from making images smaller by itself.

    See Also
    --------
    MLP : Fully connected layers alone.
    ResNet : Residual blocks.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbayes import VAETransformer
    >>> from skbayes.networks import CNN
    >>> from skbayes.training import Training
    >>> cnn = CNN(image_shape=(1, 8, 8), channels=(4, 8), hidden_layer_sizes=(20,))
    >>> vae = VAETransformer(2, encoder=cnn, training=Training(max_iter=20))
    >>> vae.fit(load_digits().data).sample(3).shape
    (3, 64)
    """

    _parameter_constraints: dict = {
        **MLP._parameter_constraints,
        "image_shape": ["array-like", None],
        "channels": SIZES,
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "pooling": [StrOptions({"stride", "max", "average"})],
        "padding": [StrOptions({"same", "valid"})],
    }

    def __init__(
        self,
        image_shape: Any = None,
        channels: Any = "auto",
        hidden_layer_sizes: Any = "auto",
        activation: str = "auto",
        kernel_size: int = KERNEL,
        pooling: str = "stride",
        padding: str = "same",
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.kernel_size = kernel_size
        self.pooling = pooling
        self.padding = padding

    @property
    def _is_plain(self) -> bool:
        """Whether its convolutions are those of decoders too."""
        return (self.kernel_size, self.pooling, self.padding) == (KERNEL, "stride", "same")

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy that knows its image, which has ``n_features`` numbers."""
        shape = image_shape_of(self, part, default, n_features)
        own = super().resolved(part, default, n_features)
        own.image_shape, own.channels = shape, self._sizes("channels", part, default)
        return own

    def column_groups(self, n_features: int) -> np.ndarray:
        """Which columns are one channel."""
        return np.repeat(np.arange(self.image_shape[0]), math.prod(self.image_shape[1:]))

    def network(self, n_inputs: int, n_outputs: int, target_shape: Sequence[int] = ()) -> Network:
        """Make the network from images."""
        pool = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}.get(self.pooling)
        margin = self.kernel_size // 2 if self.padding == "same" else 0
        if self.padding == "same" and self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size={self.kernel_size} has no middle for padding='same'; take an odd "
                "one, or padding='valid'"
            )

        def make() -> nn.Module:
            layers, activation = list[nn.Module](), ACTIVATION_MODULES[self.activation]
            before, *sides = self.image_shape
            for n in self.channels:
                stride = 1 if pool else 2
                sides = [(s + 2 * margin - self.kernel_size) // stride + 1 for s in sides]
                if pool:
                    sides = [s // 2 for s in sides]
                if min(sides) < 1:
                    raise ModuleError(
                        f"network={self!r} leaves no pixel of an image of "
                        f"{tuple(self.image_shape[1:])}; take fewer channels, a smaller "
                        "kernel_size or padding='same'"
                    )
                layers.append(nn.Conv2d(before, n, self.kernel_size, stride, margin))
                layers += [activation(), *([pool(2)] if pool else [])]
                before = n
            widths = [before * math.prod(sides), *self.hidden_layer_sizes]
            layers.append(nn.Flatten())
            for n_in, n_out in pairwise(widths):
                layers += [nn.Linear(n_in, n_out), activation()]
            return nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

        return module_network(build(make, {}), self.image_shape, n_outputs)

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from rows."""
        # Where values are missing is a second image beside the first.
        sides = self.image_shape[1:]
        seen = (n_inputs // math.prod(sides), *sides)
        if not self._is_plain:
            if n_context:
                raise ModuleError(
                    f"{self!r} takes no context beside the rows; leave kernel_size, pooling and "
                    "padding at their defaults"
                )
            own = clone(self)
            own.image_shape = seen
            return own.network(n_inputs, n_outputs)
        dense = (self.hidden_layer_sizes, self.activation, n_context)
        return ConvolutionalEncoder(seen, n_outputs, self.channels, *dense)

    def mirrored(self) -> NetworkSpec:
        """Return convolutions on the way back."""
        return CNN()

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents."""
        if not self._is_plain:
            raise ModuleError(
                f"decoder={self!r}: a decoder's convolutions have kernel_size={KERNEL}, "
                "pooling='stride' and padding='same'"
            )
        dense = (self.hidden_layer_sizes, self.activation, n_context)
        return ConvolutionalDecoder(self.image_shape, n_inputs, n_outputs, self.channels, *dense)


def resolve_networks(
    encoder: NetworkSpec, decoder: NetworkSpec | None, default: Mapping[str, Any], n_features: int
) -> tuple[NetworkSpec, NetworkSpec]:
    """Resolve both networks of an autoencoder.

    Parameters
    ----------
    encoder : NetworkSpec
        The way to the latents.
    decoder : NetworkSpec or None
        None mirrors the encoder.
    default : dict
        What "auto" stands for in the encoder; the decoder's is the encoder in reverse.
    n_features : int
        Columns of a row.

    Returns
    -------
    encoder, decoder : NetworkSpec
        As `NetworkSpec.resolved` returns them.
    """
    up = encoder.resolved("encoder", default, n_features)
    found = {**default, **up.get_params(deep=False)}
    mirror = {name: v[::-1] if isinstance(v, list) else v for name, v in found.items()}
    own = encoder.mirrored() if decoder is None else decoder
    return up, own.resolved("decoder", mirror, n_features)
