"""From an estimator's parameters to its networks: what they may be, and what they describe."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

from skbayes.autoencoder._columns import COLUMN_KINDS
from skbayes.autoencoder._context import Context
from skbayes.autoencoder._convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from skbayes.autoencoder._model import Model
from skbayes.autoencoder._networks import Decoder, DenseNetwork, RowNetwork
from skbayes.autoencoder._objective import Corruption
from skbayes.autoencoder._table import Table
from skbayes.exceptions import IncompatiblePartsError
from skbayes.latent._mixture_priors import LATENT_PRIORS
from skbayes.latent._normal import NormalBottleneck
from skbayes.networks._activations import ACTIVATIONS
from skbayes.networks._images import check_image_shape
from skbayes.networks._sizes import layer_sizes
from skbayes.utils._sklearn import Interval, StrOptions
from skbayes.utils._warnings import warn

#: Of whole numbers from 1.
POSITIVE = Interval(Integral, 1, None, closed="left")
NETWORK_CONSTRAINTS: dict = {
    "n_components": [POSITIVE],
    "hidden_layer_sizes": ["array-like", POSITIVE],
    "decoder_hidden_layer_sizes": ["array-like", POSITIVE, None],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "prior_scale": [Interval(Real, 0, None, closed="neither"), None],
    "likelihood": [StrOptions(set(COLUMN_KINDS)), dict],
    "noise_variance": [
        StrOptions({"shared", "feature", "input"}),
        Interval(Real, 0, None, closed="neither"),
    ],
    "scale_inputs": [StrOptions({"column", "global"}), None],
    "binarize": [StrOptions({"threshold", "sample"}), None],
    "corruption": [StrOptions({"mask", "gaussian"}), None],
    "corruption_rate": [Interval(Real, 0, None, closed="neither")],
    "allow_missing": ["boolean"],
    "batch_size": [POSITIVE],
    "max_iter": [StrOptions({"auto"}), POSITIVE],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "image_shape": ["array-like", None],
    "channels": ["array-like", POSITIVE],
    "device": [str],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


class Described:
    """An estimator whose parameters describe networks and a table of columns."""

    #: Parameters of other libraries' autoencoders.
    _namesakes: ClassVar[dict[str, str]] = {
        "latent_dim": "n_components",
        "epochs": "max_iter, in steps of one batch",
        "max_epochs": "max_iter, in steps of one batch",
        "lr": "learning_rate",
        "n_samples": "n_score_samples",
    }

    n_components: int
    hidden_layer_sizes: Any
    decoder_hidden_layer_sizes: Any
    activation: str
    likelihood: Any
    image_shape: Any
    channels: Any
    allow_missing: bool
    corruption: str | None
    corruption_rate: float
    get_params: Callable[..., dict[str, Any]]

    def _describe(self, n_features: int) -> dict[str, Any]:
        """All that decides the networks, as plain values."""
        own = self.get_params(deep=False)
        divergence = own.get("divergence")
        kl = divergence == "kl"
        hidden = layer_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        down = hidden[::-1]
        if self.decoder_hidden_layer_sizes is not None:
            down = layer_sizes("decoder_hidden_layer_sizes", self.decoder_hidden_layer_sizes)
        return {
            "n_components": int(self.n_components),
            "hidden_layer_sizes": hidden,
            "decoder_hidden_layer_sizes": down,
            "activation": self.activation,
            # Widths that nothing trains are left out.
            "covariance": own.get("covariance", "none") if kl else "none",
            "latent_prior": own.get("latent_prior", "normal"),
            "n_prior_components": own.get("n_prior_components"),
            "image_shape": self._image_shape(n_features),
            "channels": layer_sizes("channels", self.channels),
            "divergence": divergence,
            "allow_missing": bool(self.allow_missing),
        }

    def _make_corruption(self) -> Corruption:
        if self.corruption == "mask" and self.corruption_rate >= 1:
            raise ValueError(
                f"corruption_rate={self.corruption_rate!r} with corruption='mask' hides every "
                "value; use a rate below 1"
            )
        return Corruption(self.corruption, self.corruption_rate)

    def _image_shape(self, n_features: int) -> tuple[int, int, int] | None:
        """The shape of a row, checked against its number of columns."""
        if self.image_shape is None:
            return None
        if not isinstance(self.likelihood, str) or self.likelihood == "categorical":
            raise IncompatiblePartsError(
                f"image_shape={self.image_shape!r} does not go with likelihood="
                f"{self.likelihood!r}; pixels have one kind, use 'gaussian' or 'bernoulli'"
            )
        return check_image_shape(self.image_shape, n_features)


def warn_if_as_wide(n_components: int, n_features: int) -> None:
    """Say of codes that nothing but their number holds back that they can copy a row."""
    if n_components >= n_features > 1:
        warn(
            f"n_components={n_components} codes can copy the {n_features} columns of X, and then "
            f"say nothing of what rows have in common; use fewer, at most {n_features - 1}",
        )


def build_model(architecture: dict[str, Any], table: Table, context: Context | None) -> Model:
    """The model that an architecture, as `fit` stored it, describes."""
    q, n_context = architecture["n_components"], 0 if context is None else context.n_columns
    head = NormalBottleneck(q, architecture["covariance"])
    encoder, decoder = _networks(architecture, table, head, n_context)
    n_components = architecture["n_prior_components"]
    return Model(
        encoder=encoder,
        head=head,
        decoder=decoder,
        table=table,
        prior=LATENT_PRIORS[architecture["latent_prior"]](q, n_components),
        sees_missing=architecture["allow_missing"],
    )


def _networks(
    architecture: dict[str, Any], table: Table, head: NormalBottleneck, n_context: int
) -> tuple[RowNetwork, Decoder]:
    """Encoder and decoder, dense or, where rows are images, convolutional."""
    q, sees_missing = architecture["n_components"], architecture["allow_missing"]
    up = (architecture["hidden_layer_sizes"], architecture["activation"], n_context)
    down = (architecture["decoder_hidden_layer_sizes"], architecture["activation"], n_context)
    shape, channels = architecture["image_shape"], architecture["channels"]
    if shape is None:
        n_inputs = table.n_encoded + (table.n_columns if sees_missing else 0)
        return (
            DenseNetwork(n_inputs, head.n_outputs, *up),
            DenseNetwork(q, table.n_outputs, *down),
        )
    # Where values are missing is a second image beside the first.
    seen = (shape[0] * (2 if sees_missing else 1), *shape[1:])
    return (
        ConvolutionalEncoder(seen, head.n_outputs, channels, *up),
        ConvolutionalDecoder(shape, q, table.n_outputs, channels[::-1], *down),
    )
