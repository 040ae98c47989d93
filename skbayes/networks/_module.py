"""Any module of torch as a pure function of flat weights, batched over particles.

Three ways lead to the outputs of all particles, and nobody above knows which is taken:
stacked, where all layers are known (`_stacked`); torch's `vmap`, for other modules that it can
batch; and a loop. Large convolutions go in a loop whatever the module is: one at a time they
fill a processor's cache best.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from skbayes.exceptions import ModuleError
from skbayes.networks._base import Block, Network, Pullback, Weights
from skbayes.networks._stacked import Value, apply, is_known

#: Multiply-adds of the heaviest convolution over a batch beyond which particles go one by one.
HEAVY = 15e6
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d)
#: Rows of a Jacobian at once.
JACOBIAN_ROWS = 32
#: What normalises: its weights are one where nothing is known of them.
_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._BatchNorm)
_BUILDING = threading.Lock()
#: What was found of modules, by what they are: see `ModuleNetwork._ways`.
_WAYS: dict[Any, tuple[bool, bool, bool]] = {}


def build(factory: Callable[..., nn.Module], params: dict[str, Any]) -> nn.Module:
    """Make a module, without drawing from torch's global generator.

    On the device "meta", which has no numbers; again with numbers where it has buffers, or can
    be made in no other way.
    """
    try:
        with torch.device("meta"):
            module = factory(**params)
        if isinstance(module, nn.Module) and not _holds_numbers(module):
            return module.eval()
    except (NotImplementedError, RuntimeError):
        pass
    with _BUILDING:
        state = torch.get_rng_state()
        try:
            module = factory(**params)
        finally:
            torch.set_rng_state(state)
    if not isinstance(module, nn.Module):
        raise ModuleError(
            f"the network's factory made {type(module).__name__}, which is no torch.nn.Module; "
            "return a module that maps rows (n_rows, *input_shape) to (n_rows, n_outputs)"
        )
    made: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, own in list(part.named_parameters(recurse=False)):
            # Their numbers are of no use.
            setattr(part, name, made.setdefault(id(own), nn.Parameter(own.detach().to("meta"))))
    return module.eval()


def _holds_numbers(module: nn.Module) -> bool:
    """Whether a module has buffers, or tensors as plain attributes."""
    plain = (value for part in module.modules() for value in vars(part).values())
    return any(True for _ in module.buffers()) or any(torch.is_tensor(v) for v in plain)


class ModuleNetwork(Network):
    """A module as a network.

    Parameters
    ----------
    module : nn.Module
        Maps rows ``(N, *input_shape)`` to outputs (N, ...) of ``n_outputs`` numbers.
    input_shape : sequence of int
        Of a row, which comes flat.
    n_outputs : int or None
        Numbers that the likelihood takes for a row; None for as many as there are.
    buffers : dict of Tensor, optional
        What the module holds beside its parameters, in place of its own.

    Raises
    ------
    ModuleError
        If the module is no function of its weights and rows, or of other widths.
    """

    def __init__(
        self,
        module: nn.Module,
        input_shape: Sequence[int],
        n_outputs: int | None,
        buffers: dict[str, Tensor] | None = None,
    ) -> None:
        self.module, self.input_shape = module, tuple(input_shape)
        self.n_inputs = math.prod(input_shape)
        self._buffers = {**dict(module.named_buffers()), **(buffers or {})}
        _check_norms(module, bool(buffers))
        parts = list(module.modules())
        self._convolves = any(isinstance(part, _CONVOLUTIONS) for part in parts)
        self._recurs = any(isinstance(part, nn.RNNBase) for part in parts)
        self.trial = _Trial(module)
        self.n_outputs = self._checked_outputs(self._tried(), n_outputs)
        self.layout = tuple(_blocks(module, self.trial))
        self._names = [block.name for block in self.layout]
        norms = {name for name, part in module.named_modules() if isinstance(part, _NORMS)}
        #: Places of weights that are held as what they are above one.
        self._around_one = [
            number
            for number, name in enumerate(self._names)
            if name.rpartition(".")[2] == "weight" and name.rpartition(".")[0] in norms
        ]
        self._stacks = self._batches = False
        self._stacks, self._batches, self.has_factors = self._ways()

    def _tried(self) -> Any:
        """Outputs of two rows at weights of common size; refuse what is no function of a row."""
        generator = torch.Generator().manual_seed(0)
        named = {
            name: (torch.rand(p.shape, generator=generator) - 0.5)
            / math.sqrt(p.numel() / p.shape[0] if p.ndim else 1.0)
            for name, p in self.module.named_parameters()
        }
        name = type(self.module).__name__
        if not named:
            raise ModuleError(f"{name} has no parameters, and nothing can be inferred of it")
        rows = torch.rand(2, self.n_inputs, generator=generator)
        state = torch.get_rng_state()
        own = {name: p.requires_grad_() for name, p in named.items()}
        try:
            with torch.inference_mode(False), torch.enable_grad(), self.trial:
                outputs = self._one(own, rows)
            with torch.no_grad():
                again, apart = self._one(named, rows), self._one(named, rows[:1])
        except Exception as error:
            raise ModuleError(
                f"{name} cannot take rows of shape {self.input_shape}: {error}. Give "
                "input_shape, the shape of one row as the module takes it"
            ) from error
        if not torch.is_tensor(outputs) or not outputs.is_floating_point():
            return outputs
        if not torch.equal(outputs, again) and outputs.isfinite().all():
            torch.set_rng_state(state)
            raise ModuleError(
                f"{name}.forward draws random numbers, so that it is no function of its weights; "
                "leave them out (dropout belongs in nn.Dropout, which rests here)"
            )
        alone = len(outputs) != 2 or torch.allclose(outputs[:1], apart, 1e-3, 1e-5)
        if not alone and outputs.isfinite().all():
            raise ModuleError(
                f"{name} gives a row another answer beside other rows; each must stand alone: "
                "recurrent layers take batch_first=True, and nothing averages over rows"
            )
        self._check_used(outputs, own)
        return outputs.detach()

    def _check_used(self, outputs: Tensor, named: dict[str, Tensor]) -> None:
        """Refuse parameters that no output depends on."""
        if not outputs.requires_grad:
            return
        slopes = torch.autograd.grad(outputs.sum(), list(named.values()), allow_unused=True)
        unused = [name for name, slope in zip(named, slopes, strict=True) if slope is None]
        if unused:
            raise ModuleError(
                f"{type(self.module).__name__}.forward does not use {unused[0]!r}, which nothing "
                "can tell then; leave it out"
            )

    def _checked_outputs(self, outputs: Any, n_outputs: int | None) -> int:
        """Count outputs of a row; refuse what no likelihood takes."""
        name = type(self.module).__name__
        if not torch.is_tensor(outputs) or not outputs.is_floating_point():
            kind = outputs.dtype if torch.is_tensor(outputs) else type(outputs).__name__
            raise ModuleError(
                f"{name} gives {kind}; return the outputs alone, as floating-point numbers: "
                "logits of classes, not the classes themselves"
            )
        rows = outputs.ndim > 1 and len(outputs) == 2
        if not rows or n_outputs not in (None, outputs[0].numel()):
            wanted = "" if n_outputs is None else f" {n_outputs}"
            raise ModuleError(
                f"{name} maps 2 rows to outputs of shape {tuple(outputs.shape)}, but the "
                f"likelihood takes{wanted} numbers for each row; let the factory take "
                "n_outputs and make its last layer so wide"
            )
        if not torch.isfinite(outputs).all():
            raise ModuleError(f"{name} gives NaN or infinite outputs on rows between 0 and 1")
        return outputs[0].numel()

    def _ways(self) -> tuple[bool, bool, bool]:
        """Whether layers are known, torch batches the module, and it has Kronecker factors.

        Each is tried, against one particle after the other, once for modules alike.
        """
        key = type(self.module), repr(self.module), self.input_shape, self.n_outputs
        found = _WAYS.get(key)
        if found is None:
            stacks = is_known(self.module) and self._agrees(self._by_stack)
            batches = not stacks and not self._recurs and self._can_vmap()
            found = stacks, batches and self._agrees(self._by_vmap), self._can_factor()
            _WAYS[key] = found
        return found

    def _agrees(self, way: Callable[[Sequence[Tensor], Tensor], Tensor]) -> bool:
        """Whether a way gives two particles what each has by itself."""
        blocks = self.blocks(self.init(2, torch.Generator().manual_seed(0)))
        X = torch.rand(3, self.n_inputs, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            try:
                return torch.allclose(way(blocks, X), self._one_by_one(blocks, X), 1e-3, 1e-4)
            except (KeyError, IndexError, RuntimeError, ValueError):
                return False

    def _can_factor(self) -> bool:
        """Whether `factors` tells the Jacobian."""
        owners = [block.name.rpartition(".")[0] for block in self.layout]
        layers = [self.module.get_submodule(name) for name in owners[::2]]
        paired = owners[::2] == owners[1::2] and len(set(owners[::2])) == len(layers)
        once = all(self.trial.times.get(name) == 1 for name in owners)
        if not (paired and once and all(_is_factored(layer) for layer in layers)):
            return False
        weights = self.init(1, torch.Generator().manual_seed(0))[0]
        X = torch.rand(2, self.n_inputs, generator=torch.Generator().manual_seed(1))
        factored = copy(self)
        factored.__class__ = FactoredModuleNetwork
        try:
            told = factored.jacobian(weights, X)
        except RuntimeError:
            return False
        return torch.allclose(told, self.jacobian(weights, X), 1e-3, 1e-4)

    def _can_vmap(self) -> bool:
        """Whether torch batches the module, forwards and backwards, without a word."""
        weights = self.init(2, torch.Generator().manual_seed(0)).requires_grad_()
        try:
            with warnings.catch_warnings(), torch.enable_grad():
                warnings.simplefilter("error")
                outputs = self._by_vmap(self.blocks(weights), torch.zeros(2, self.n_inputs))
                torch.autograd.grad(outputs.sum(), weights)
        except Exception:  # whatever torch finds
            return False
        return True

    @property
    def widest(self) -> int:
        """Most numbers that a layer hands on for one row."""
        return max(self.n_inputs, self.trial.widest)

    @property
    def row_work(self) -> float:
        """Multiply-adds of one row."""
        return max(self.trial.work, float(self.n_weights))

    # --- the ways --------------------------------------------------------------------

    def forward(self, weights: Weights, X: Tensor, context: Tensor | None = None) -> Tensor:
        """Map weights (S, P) and rows (N, D), or (S, N, D), to outputs (S, N, K)."""
        if context is not None:
            raise ModuleError(f"{type(self.module).__name__} takes no context beside the rows")
        blocks = self.blocks(weights)
        if blocks[0].ndim == len(self.layout[0].shape):
            blocks = [block[None] for block in blocks]
        n_particles, n_rows = len(blocks[0]), X.shape[-2]
        if n_particles > 1 and n_rows * self.trial.heaviest <= HEAVY:
            if self._stacks:
                return self._by_stack(blocks, X)
            if self._batches:
                return self._by_vmap(blocks, X)
        return self._one_by_one(blocks, X)

    def _one_by_one(self, blocks: Sequence[Tensor], X: Tensor) -> Tensor:
        # All particles' weights apart at once: one by one, each gradient would fill the stack.
        parts = [block.unbind(0) for block in blocks]
        outputs = [
            self._one(self._named([p[s] for p in parts]), X if X.ndim == 2 else X[s])
            for s in range(len(blocks[0]))
        ]
        return torch.stack(outputs).flatten(2)

    def forward_with_pullback(self, weights: Tensor, X: Tensor) -> tuple[Tensor, Pullback]:
        """Outputs (S, N, K) and the map from their gradient to that of the weights (S, P)."""
        together = (self._stacks or self._batches) and len(X) * self.trial.heaviest <= HEAVY
        if len(weights) == 1 or together:
            return super().forward_with_pullback(weights, X)
        # A graph for each particle, of which one alone is walked at a time.
        with torch.enable_grad():
            own = [one.detach().clone().requires_grad_() for one in weights]
            outputs = [self._one(self._of_one(one), X).flatten(1) for one in own]

        def pullback(grad_outputs: Tensor) -> Tensor:
            pairs = zip(outputs, own, grad_outputs, strict=True)
            return torch.stack([torch.autograd.grad(o, w, g)[0] for o, w, g in pairs])

        return torch.stack([o.detach() for o in outputs]), pullback

    def _named(self, blocks: Sequence[Tensor]) -> dict[str, Tensor]:
        """Parameters by their names in the module, of one particle or of several."""
        own = list(blocks)
        for number in self._around_one:
            own[number] = own[number] + 1
        return dict(zip(self._names, own, strict=True))

    def pack(self, named: Mapping[str, Tensor]) -> Tensor:
        """Join the module's parameters, as weights (P,) of this network."""
        around = {self._names[number] for number in self._around_one}
        return super().pack({name: p - 1 if name in around else p for name, p in named.items()})

    def _of_one(self, weights: Tensor) -> dict[str, Tensor]:
        """Parameters by their names at one weight vector (P,)."""
        return self._named([block[0] for block in self.blocks(weights[None])])

    def _held(self, like: Tensor) -> dict[str, Tensor]:
        """Buffers, of a tensor's type and device where they are real numbers."""
        return {
            name: b.to(like) if b.is_floating_point() else b.to(like.device)
            for name, b in self._buffers.items()
        }

    def _one(self, named: dict[str, Tensor], X: Tensor) -> Tensor:
        """Outputs (N, ...) of one particle."""
        rows = X.reshape(-1, *self.input_shape)
        if self._convolves:
            rows = _channels_last(rows)
            named = {name: _channels_last(p) for name, p in named.items()}
        # cuDNN takes no gradient of a recurrence in evaluation mode.
        quiet = self._recurs and rows.is_cuda
        with torch.backends.cudnn.flags(enabled=False) if quiet else nullcontext():
            return functional_call(self.module, {**self._held(X), **named}, (rows,))

    def _by_vmap(self, blocks: Sequence[Tensor], X: Tensor) -> Tensor:
        held = self._held(X)

        def one(named: dict[str, Tensor], rows: Tensor) -> Tensor:
            rows = rows.reshape(-1, *self.input_shape)
            return functional_call(self.module, {**held, **named}, (rows,)).flatten(1)

        return vmap(one, in_dims=(0, 0 if X.ndim == 3 else None))(self._named(blocks), X)

    def _by_stack(self, blocks: Sequence[Tensor], X: Tensor) -> Tensor:
        named, n = {**self._held(X), **self._named(blocks)}, len(blocks[0])
        rows = X.reshape(*X.shape[:-1], *self.input_shape)
        value = Value(rows if X.ndim == 3 else rows[None], len(rows) if X.ndim == 3 else 1, False)
        return apply(self.module, named, value, n).of(n).stacked.flatten(2)

    # --- derivatives -----------------------------------------------------------------

    @property
    def last_layer(self) -> str | None:
        """Name of the linear layer whose values are the outputs, if there is one."""
        name = self.layout[-1].name.rpartition(".")[0]
        roles = [block.role for block in self.layout if block.layer == self.n_layers - 1]
        once = self.trial.times.get(name) == 1 and roles == ["weight", "bias"]
        return name if once and self.trial.ends_in == name else None

    def bind_features(self, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """The function from rows (N, D) to what the last layer is given, (1, units, N)."""
        own, name = self._of_one(weights[0]), self.last_layer

        def features(X: Tensor) -> Tensor:
            found: dict[str, tuple[Tensor, Tensor]] = {}
            with torch.no_grad(), noting(self.module, [name], found):
                self._one(own, X)
            return found[str(name)][0].T[None]

        return features

    def jacobian(self, weights: Tensor, X: Tensor) -> Tensor:
        """Jacobian (N, K, P) of the outputs at one weight vector (P,)."""
        # Each row by a particle of its own, which any module has.
        with torch.inference_mode(False), torch.enable_grad():
            copies = weights.expand(len(X), -1).clone().requires_grad_()
            outputs = self.forward(copies, X.clone()[:, None])[:, 0]
            rows = [
                torch.autograd.grad(of_output.sum(), copies, retain_graph=True)[0]
                for of_output in outputs.unbind(1)
            ]
        return torch.stack(rows, 1)

    def jvp(self, weights: Tensor, tangents: Tensor, X: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, K) at ``weights`` (P,) and their derivatives (S, N, K) along (S, P)."""
        if not any(isinstance(part, nn.LSTM) for part in self.module.modules()):
            return self.jvp_by_pullbacks(weights, tangents, X)
        # It has no second derivative.
        blocks = [self.jacobian(weights, rows) @ tangents.T for rows in X.split(JACOBIAN_ROWS)]
        return self.forward(weights[None], X)[0], torch.cat(blocks).permute(2, 0, 1)


class FactoredModuleNetwork(ModuleNetwork):
    """A module whose parameters are those of linear and convolutional layers with a bias.

    Each layer is called once, which `factors` builds on.
    """

    has_places = True

    def factors(self, weights: Tensor, X: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Per layer, inputs with a trailing one (in + 1, N T) and output gradients (K, out, N T).

        T are the places of a row at which the layer is applied, beside one another: the pixels
        of a convolution, 1 for a dense layer. Sums over places of outer products are the
        Jacobian's blocks at one weight vector (P,).
        """
        names = [name.rpartition(".")[0] for name in self._names[::2]]
        found: dict[str, tuple[Tensor, Tensor]] = {}
        with torch.inference_mode(False), torch.enable_grad(), noting(self.module, names, found):
            # Weights that ask for gradients make the graph.
            own = self._of_one(weights.detach().clone().requires_grad_())
            outputs = self._one(own, X.clone()).flatten(1)
            given = [found[name][1] for name in names]
            grads = [
                torch.autograd.grad(outputs[:, k].sum(), given, retain_graph=True)
                for k in range(self.n_outputs)
            ]
        pairs = []
        for number, name in enumerate(names):
            layer, of_layer = (
                self.module.get_submodule(name),
                torch.stack([g[number] for g in grads]),
            )
            pairs.append((_places(layer, found[name][0].detach()), _of_places(layer, of_layer)))
        return pairs

    def jacobian(self, weights: Tensor, X: Tensor) -> Tensor:
        """Jacobian (N, K, P) of the outputs at one weight vector (P,)."""
        n = len(X)
        jacobian = X.new_empty(n, self.n_outputs, self.n_weights)
        blocks = iter(self.layout)
        for inputs, grads in self.factors(weights, X):
            W, b = next(blocks), next(blocks)
            sides = grads.unflatten(2, (n, -1)), inputs.unflatten(1, (n, -1))
            per_row = torch.einsum("kont,int->nkoi", *sides)
            jacobian[..., W.slice] = per_row[..., :-1].flatten(2)
            jacobian[..., b.slice] = per_row[..., -1]
        return jacobian


def module_network(
    module: nn.Module,
    input_shape: Sequence[int],
    n_outputs: int | None,
    buffers: dict[str, Tensor] | None = None,
) -> ModuleNetwork:
    """Make the network of a module, with Kronecker factors where it has them."""
    network = ModuleNetwork(module, input_shape, n_outputs, buffers)
    if network.has_factors:
        network.__class__ = FactoredModuleNetwork
    return network


def _is_factored(layer: Any) -> bool:
    if type(layer) is nn.Linear:
        return True
    if type(layer) not in (nn.Conv1d, nn.Conv2d):
        return False
    even = layer.padding == "same" and any(k % 2 == 0 for k in layer.kernel_size)
    return layer.groups == 1 and layer.padding_mode == "zeros" and not even


def _places(layer: Any, value: Tensor) -> Tensor:
    """What a layer's weights are multiplied by (in + 1, N T), a trailing one for its bias."""
    if type(layer) is nn.Linear:
        inputs = value.reshape(-1, value.shape[-1]).T
    else:
        options = [layer.dilation, _padding(layer), layer.stride]
        kernel = layer.kernel_size
        if type(layer) is nn.Conv1d:
            value, kernel = value[:, :, None], (1, *kernel)
            options = [(around, *own) for around, own in zip((1, 0, 1), options, strict=True)]
        inputs = F.unfold(value, kernel, *options).transpose(0, 1).flatten(1)
    return torch.cat([inputs, inputs.new_ones(1, inputs.shape[1])])


def _padding(layer: Any) -> tuple[int, ...]:
    """Margins of a convolution, which may be given by name."""
    if layer.padding == "valid":
        return (0,) * len(layer.kernel_size)
    if layer.padding == "same":
        pairs = zip(layer.dilation, layer.kernel_size, strict=True)
        return tuple(d * (k - 1) // 2 for d, k in pairs)
    return tuple(layer.padding)


def _of_places(layer: Any, grads: Tensor) -> Tensor:
    """Gradients (K, out, N T) of a layer's values (K, N, ...)."""
    if type(layer) is nn.Linear:
        return grads.flatten(1, -2).transpose(1, 2)
    return grads.flatten(3).transpose(1, 2).flatten(2)


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _check_norms(module: nn.Module, trained: bool) -> None:
    """Refuse batch normalisation whose statistics nobody has learned."""
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and not trained:
            raise ModuleError(
                f"{name or 'the module'} is a {type(part).__name__}, whose statistics go by the "
                "batch, and a posterior of its weights has no batch; use nn.GroupNorm in its "
                "place, or train the module first and give it to from_trained, which holds them"
            )


def _blocks(module: nn.Module, trial: _Trial) -> list[Block]:
    """Blocks of the parameters, a layer a submodule that owns some, in the order of calls."""
    owners: dict[str, list[tuple[str, Tensor]]] = {}
    for name, parameter in module.named_parameters():
        owners.setdefault(name.rpartition(".")[0], []).append((name, parameter))
    order = list(trial.times)

    def place(owner: str) -> int:
        """When a submodule is called, or the nearest one around it that is."""
        while owner not in order:
            owner = owner.rpartition(".")[0]
        return order.index(owner)

    blocks: list[Block] = []
    for layer, owner in enumerate(sorted(owners, key=place)):
        part = module.get_submodule(owner)
        for name, value in owners[owner]:
            is_weight = value.ndim > 1
            start = blocks[-1].start + blocks[-1].size if blocks else 0
            fan_in = _fan_in(part, value) if is_weight else 1
            role: Any = "weight" if is_weight else "bias"
            blocks.append(Block(name, layer, role, tuple(value.shape), fan_in, start))
    return blocks


def _fan_in(part: nn.Module, value: Tensor) -> int:
    """Numbers that each value of a layer is a sum over."""
    if isinstance(part, nn.Embedding):
        return 1
    if isinstance(part, nn.ConvTranspose1d | nn.ConvTranspose2d):
        return int(value[:, 0].numel())
    return int(value[0].numel())


@contextmanager
def noting(module: nn.Module, names: Sequence[Any], found: dict) -> Iterator[None]:
    """Note what submodules are given first, and what they give, by their names."""
    handles = []
    for name in names:

        def note(_: nn.Module, given: tuple, value: Tensor, name: Any = name) -> Tensor:
            # A copy: what comes next may work in place.
            found[name] = given[0], value
            return value.clone()

        handles.append(module.get_submodule(name).register_forward_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Trial:
    """What one pass forwards shows of a module.

    Attributes
    ----------
    times : dict of int
        How often each submodule is called, in the order of first calls.
    widest : int
        Most numbers that a submodule hands on for a row.
    work, heaviest : float
        Multiply-adds of one row, all together and in the heaviest convolution.
    ends_in : str or None
        The linear layer whose values are the outputs.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.times: dict[str, int] = {}
        self.widest, self.work, self.heaviest = 1, 0.0, 0.0
        self.ends_in: str | None = None
        self._last: tuple[str, Tensor, int] | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> None:
        for name, part in self.module.named_modules():

            def begin(part: nn.Module, _: tuple, name: str = name) -> None:
                self.times[name] = self.times.get(name, 0) + 1

            def end(part: nn.Module, _: tuple, value: Any, name: str = name) -> None:
                self._count(part, value[0] if isinstance(value, tuple) else value)
                if type(part) is nn.Linear:
                    self._last = name, value, value._version
                elif name == "" and self._last and value is self._last[1] and value.ndim == 2:
                    unchanged = value._version == self._last[2]
                    self.ends_in = self._last[0] if unchanged else None

            self._handles += [
                part.register_forward_pre_hook(begin),
                part.register_forward_hook(end),
            ]

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._last, self._handles = None, []

    def _count(self, part: nn.Module, value: Any) -> None:
        if not torch.is_tensor(value) or value.ndim < 2:
            return
        of_row = value.numel() // len(value)
        self.widest = max(self.widest, of_row)
        own = float(sum(p.numel() for p in part.parameters(recurse=False) if p.ndim > 1))
        if isinstance(part, _CONVOLUTIONS):
            work = own * of_row / value.shape[1]
            self.heaviest = max(self.heaviest, work)
        else:
            work = own * max(1, math.prod(value.shape[1:-1]))
        self.work += work
