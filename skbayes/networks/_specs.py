"""Networks as parts of an estimator: what to build, before rows tell how wide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self

from sklearn.base import clone

from skbayes.networks._activations import ACTIVATIONS
from skbayes.networks._base import Network
from skbayes.networks._convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from skbayes.networks._image_shapes import check_image_shape
from skbayes.networks._mlp import MLPNetwork
from skbayes.networks._sizes import layer_sizes
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import Interval, StrOptions

_SIZES = ["array-like", Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})]


class NetworkSpec(Parametrised):
    """Base of networks as parts: what to build, once rows tell how wide."""

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy that leaves nothing to be decided.

        Parameters
        ----------
        part : str
            The estimator's parameter, for messages.
        default : dict
            What "auto" stands for.
        n_features : int
            Columns of a row, which an image must fill.

        Returns
        -------
        spec : NetworkSpec
        """
        return clone(self)

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from rows, with ``n_context`` columns beside them."""
        raise NotImplementedError(f"{type(self).__name__} must define encoder")

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents, with ``n_context`` columns beside them."""
        raise NotImplementedError(f"{type(self).__name__} must define decoder")


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
        "hidden_layer_sizes": _SIZES,
        "activation": [StrOptions({"auto", *ACTIVATIONS})],
    }

    def __init__(self, hidden_layer_sizes: Any = "auto", activation: str = "auto") -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from rows."""
        return MLPNetwork(n_inputs, n_outputs, self.hidden_layer_sizes, self.activation, n_context)

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents."""
        return self.encoder(n_inputs, n_outputs, n_context)


class CNN(DenseLayers):
    """Convolutions of stride 2, then fully connected layers; in a decoder the way back.

    Parameters
    ----------
    image_shape : (channels, height, width) or None, default=None
        Shape of a row, which is flat, channel by channel. An encoder needs one; a decoder
        takes the encoder's for None.
    channels : array-like of int, int or "auto", default="auto"
        Channels of the images between convolutions, in the order of the data's way: from
        the largest image in an encoder, from the smallest in a decoder. "auto" takes the
        estimator's default in an encoder, and in a decoder the encoder's in reverse.
    hidden_layer_sizes : array-like of int, int or "auto", default="auto"
        Units of each fully connected hidden layer, between the smallest image and the
        latents; "auto" as in `MLP`.
    activation : {"tanh", "relu", "logistic", "softplus", "auto"}, default="auto"
        Activation of pixels and hidden units; "auto" as in `MLP`.

    See Also
    --------
    MLP : Fully connected layers alone.

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
        "channels": _SIZES,
    }

    def __init__(
        self,
        image_shape: Any = None,
        channels: Any = "auto",
        hidden_layer_sizes: Any = "auto",
        activation: str = "auto",
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation

    def resolved(self, part: str, default: Mapping[str, Any], n_features: int) -> Self:
        """Return a copy that knows its image, which has ``n_features`` numbers."""
        shape = default.get("image_shape") if self.image_shape is None else self.image_shape
        if shape is None:
            raise ValueError(
                f"{part}={self!r} does not know the shape of an image; give {part}="
                f"CNN(image_shape=(channels, height, width)), whose product is the number of "
                f"columns of X, {n_features}"
            )
        own = super().resolved(part, default, n_features)
        own.image_shape = check_image_shape(shape, n_features)
        own.channels = self._sizes("channels", part, default)
        return own

    def encoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from rows."""
        # Where values are missing is a second image beside the first.
        sides = self.image_shape[1:]
        seen = (n_inputs // math.prod(sides), *sides)
        dense = (self.hidden_layer_sizes, self.activation, n_context)
        return ConvolutionalEncoder(seen, n_outputs, self.channels, *dense)

    def decoder(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> Network:
        """Make the network from latents."""
        dense = (self.hidden_layer_sizes, self.activation, n_context)
        return ConvolutionalDecoder(self.image_shape, n_inputs, n_outputs, self.channels, *dense)


#: Networks by the names that autoencoders accept.
NETWORKS: dict[str, type[NetworkSpec]] = {"mlp": MLP, "cnn": CNN}


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
    own = type(encoder)() if decoder is None else decoder
    return up, own.resolved("decoder", mirror, n_features)
