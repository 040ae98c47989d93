"""Networks: pure functions of flat weights, batched over particles."""

from skbayes.networks._activations import ACTIVATIONS
from skbayes.networks._autoencoder import Autoencoder
from skbayes.networks._base import Block, Network
from skbayes.networks._convolutional import ConvolutionalAutoencoder
from skbayes.networks._mlp import MLPNetwork
from skbayes.networks._specs import CNN, MLP, NETWORKS, NetworkSpec

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (*NETWORKS.values(),)

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "MLP",
    "NETWORKS",
    "Autoencoder",
    "Block",
    "ConvolutionalAutoencoder",
    "MLPNetwork",
    "Network",
    "NetworkSpec",
]
