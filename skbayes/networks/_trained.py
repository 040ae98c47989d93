"""Networks that come trained: modules of torch, nets of skorch, perceptrons of scikit-learn."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from skbayes.exceptions import ModuleError
from skbayes.networks._base import Network
from skbayes.networks._module import ModuleNetwork, module_network
from skbayes.networks._ready import Module


class Trained(Module):
    """A module with the weights that it was trained to.

    ``from_trained`` of the module estimators makes it.

    Parameters
    ----------
    factory, params, input_shape
        As in `Module`.
    weights : dict of ndarray
        The module's parameters, by name.
    buffers : dict of ndarray or None, default=None
        What else it holds, such as the statistics of batch normalisation.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skbayes import BayesianModuleClassifier
    >>> mlp = MLPClassifier((5,), max_iter=5000, random_state=0).fit(*load_iris(return_X_y=True))
    >>> sorted(BayesianModuleClassifier.from_trained(mlp).network.weights)
    ['0.bias', '0.weight', '2.bias', '2.weight']
    """

    _parameter_constraints: dict = {
        **Module._parameter_constraints,
        "weights": [dict],
        "buffers": [dict, None],
    }

    def __init__(
        self,
        factory: Callable[..., nn.Module],
        params: dict[str, Any] | None = None,
        input_shape: Any = None,
        weights: dict[str, np.ndarray] | None = None,
        buffers: dict[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__(factory, params, input_shape)
        self.weights = weights
        self.buffers = buffers

    def takes(self, name: str) -> bool:
        """Nothing: the module is what it was."""
        return False

    def _of(self, module: nn.Module, n_outputs: int | None) -> ModuleNetwork:
        held = {name: torch.from_numpy(b) for name, b in (self.buffers or {}).items()}
        return module_network(module, self.input_shape, n_outputs, held)

    def trained_weights(self, network: Network) -> Tensor | None:
        """The weights (P,)."""
        return network.pack({n: torch.from_numpy(w) for n, w in (self.weights or {}).items()})

    @classmethod
    def of(cls, module: nn.Module, like: Module) -> Self:
        """The network of a trained module that another one says how to make."""
        weights = {name: _array(p) for name, p in module.named_parameters()}
        buffers = {name: _array(b) for name, b in module.named_buffers()}
        return cls(like.factory, like.params, like.input_shape, weights, buffers or None)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()


ACTIVATIONS = {"identity": nn.Identity, "tanh": nn.Tanh, "relu": nn.ReLU, "logistic": nn.Sigmoid}


def perceptron(sizes: Sequence[int], activation: str) -> nn.Module:
    """Dense layers of these widths, as scikit-learn's perceptrons have them."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def sequential(layers: Sequence[Any]) -> nn.Module:
    """Layers of torch.nn one after the other: their names, kinds and what these are called with."""
    made: dict[str, nn.Module] = {}
    for name, kind_name, options in layers:
        kind = getattr(nn, kind_name)
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise ModuleError(f"torch.nn.{kind_name} is no module")
        nested = kind_name == "Sequential"
        made[name] = sequential(options["layers"]) if nested else kind(**options)
    return nn.Sequential(OrderedDict(made))


def trained_network(source: Any, network: Module | None = None) -> Trained:
    """Read the weights of a trained network, and how to make one like it.

    Parameters
    ----------
    source : nn.Module, skorch net, MLPClassifier or MLPRegressor
        Trained.
    network : Module, optional
        How to make a module like it.

    Returns
    -------
    network : Trained
    """
    if hasattr(source, "coefs_") and hasattr(source, "intercepts_"):
        return _of_scikit_learn(source)
    if hasattr(source, "module_"):
        return Trained.of(source.module_, network or _of_skorch(source))
    if not isinstance(source, nn.Module):
        raise ModuleError(
            f"from_trained takes a torch.nn.Module, a fitted net of skorch or a fitted "
            f"MLPClassifier or MLPRegressor, got {type(source).__name__}"
        )
    return Trained.of(source, network or _like(source))


def _of_scikit_learn(mlp: Any) -> Trained:
    if mlp.out_activation_ not in ("identity", "logistic", "softmax"):
        raise ModuleError(
            f"{type(mlp).__name__}(loss={mlp.loss!r}) has outputs through {mlp.out_activation_}, "
            "which no likelihood here takes; train it with loss='squared_error'"
        )
    sizes = [len(mlp.coefs_[0]), *(len(b) for b in mlp.intercepts_)]
    weights: dict[str, np.ndarray] = {}
    for number, (W, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
        weights[f"{2 * number}.weight"] = np.ascontiguousarray(W.T)
        weights[f"{2 * number}.bias"] = b.copy()
    params = {"sizes": sizes, "activation": mlp.activation}
    return Trained(perceptron, params, [sizes[0]], weights)


def _of_skorch(net: Any) -> Module:
    """The class of a net's module, and what skorch calls it with."""
    criterion = getattr(net, "criterion", None)
    if isinstance(criterion, type) and issubclass(criterion, nn.NLLLoss):
        raise ModuleError(
            "a net with criterion=NLLLoss has a module that gives probabilities, and logits are "
            "needed: train it without its softmax, with criterion=nn.CrossEntropyLoss"
        )
    prefix = "module__"
    given = {n.removeprefix(prefix): v for n, v in net.get_params().items() if n.startswith(prefix)}
    if isinstance(net.module, nn.Module):
        return _like(net.module)
    return Module(net.module, given or None)


def _like(module: nn.Module) -> Module:
    """How to make a module like this one, from its class or its layers."""
    if type(module) is nn.Sequential:
        return Module(sequential, {"layers": _described(module)})
    takes = [name for name in inspect.signature(type(module).__init__).parameters if name != "self"]
    if takes:
        raise ModuleError(
            f"how to make another {type(module).__name__} is not known: give "
            f"network=Module({type(module).__name__}, params={{...}}) beside it"
        )
    return Module(type(module))


def _described(module: nn.Sequential) -> list[tuple[str, str, dict[str, Any]]]:
    """Layers by name, with the arguments of their constructors."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    for name, layer in module._modules.items():
        kind = type(layer).__name__
        if getattr(nn, kind, None) is not type(layer):
            raise ModuleError(
                f"{kind} is no layer of torch.nn: give network=Module(factory, params), which "
                "makes the whole module, beside it"
            )
        if isinstance(layer, nn.Sequential):
            found.append((name, kind, {"layers": _described(layer)}))
            continue
        known = inspect.signature(type(layer).__init__).parameters
        options = {o: getattr(layer, o) for o in known if hasattr(layer, o)}
        if "bias" in options:
            options["bias"] = options["bias"] is not None
        found.append((name, kind, options))
    return found
