"""Networks: pure functions of flat weights, batched over particles."""

from skbayes.networks._activations import ACTIVATIONS
from skbayes.networks._base import Block, Network
from skbayes.networks._convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from skbayes.networks._encoder_decoder import EncoderDecoder, MLPEncoderDecoder, encoder_decoder
from skbayes.networks._mlp import MLPNetwork
from skbayes.networks._specs import CNN, MLP, NETWORKS, NetworkSpec

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (*NETWORKS.values(),)

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "MLP",
    "NETWORKS",
    "Block",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "EncoderDecoder",
    "MLPEncoderDecoder",
    "MLPNetwork",
    "Network",
    "NetworkSpec",
    "encoder_decoder",
]
