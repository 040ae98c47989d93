"""Networks: pure functions of flat weights, batched over particles."""

from typing import Any

from skbayes.networks._activations import ACTIVATIONS
from skbayes.networks._base import Block, Network
from skbayes.networks._convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from skbayes.networks._encoder_decoder import EncoderDecoder, MLPEncoderDecoder, encoder_decoder
from skbayes.networks._mlp import MLPNetwork
from skbayes.networks._module import ModuleNetwork
from skbayes.networks._ready import GRU, LSTM, Module, ResNet, UNet
from skbayes.networks._specs import CNN, MLP, NetworkSpec
from skbayes.networks._trained import Trained, perceptron, sequential

#: Networks by the names that estimators accept.
NETWORKS: dict[str, type[NetworkSpec]] = {
    "mlp": MLP,
    "cnn": CNN,
    "gru": GRU,
    "lstm": LSTM,
    "resnet": ResNet,
    "unet": UNet,
}

#: Those that have a way back from latents, by the names that autoencoders accept.
WAYS_BACK: dict[str, type[NetworkSpec]] = {"mlp": MLP, "cnn": CNN}

#: Classes, and factories of modules, that may stand in a file.
STATE: tuple[Any, ...] = (*NETWORKS.values(), Module, Trained, perceptron, sequential)

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "GRU",
    "LSTM",
    "MLP",
    "NETWORKS",
    "WAYS_BACK",
    "Block",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "EncoderDecoder",
    "MLPEncoderDecoder",
    "MLPNetwork",
    "Module",
    "ModuleNetwork",
    "Network",
    "NetworkSpec",
    "ResNet",
    "Trained",
    "UNet",
    "encoder_decoder",
]
