"""What all chains at once cost, beside one torch module a chain in a loop."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks._common import interleaved, load, table, verdict
from skbayes import BayesianAutoencoder
from skbayes._model import Model
from skbayes.data._scaling import Standardizer
from skbayes.data._tensors import Data, by_columns
from skbayes.inference import SGHMC
from skbayes.likelihoods import SharedGaussian
from skbayes.networks import MLP, MLPEncoderDecoder, encoder_decoder
from skbayes.priors import Normal
from skbayes.utils._memory import keep_freed_memory

N_CHAINS, STEP, FRICTION = 4, 1e-4, 0.05
N_FACES = 500


def faces() -> np.ndarray:
    """500 faces in the order of a seeded shuffle."""
    pictures = load("yale_faces_28")["X"]
    order = np.random.default_rng(0).permutation(len(pictures))[:N_FACES]
    return pictures[order].reshape(N_FACES, -1).astype(np.float32)


#: Name -> rows, hidden layers of the encoder, codes, rows of a batch, least ratio.
CASES: dict[str, tuple[Any, tuple[int, ...], int, int | None, float]] = {
    "digits, 64-50-8, batches of 64": (lambda: load_digits().data, (50,), 8, 64, 3.0),
    "digits, 64-100-20, batches of 64": (lambda: load_digits().data, (100,), 20, 64, 3.0),
    "digits, 64-100-20, all 1797 rows": (lambda: load_digits().data, (100,), 20, None, 3.0),
    "faces, 784-200-50, batches of 64": (faces, (200,), 50, 64, 1.0),
    "faces, 784-200-50, all 500 rows": (faces, (200,), 50, None, 1.0),
}


class Batched:
    """Momentum, noise and position of all chains in one buffer."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.params = model.init(N_CHAINS, torch.Generator().manual_seed(1))
        self.momentum = torch.zeros_like(self.params)

    def step(self, batch: Data, scale: float) -> None:
        grad = self.model.grad(self.params, batch, scale)
        self.momentum.mul_(1 - FRICTION).add_(grad, alpha=STEP)
        self.momentum.add_(torch.randn_like(grad), alpha=(2 * FRICTION * STEP) ** 0.5)
        self.params.add_(self.momentum)


class Loop:
    """The same on a module a chain, tensor by tensor, gradients by autograd."""

    def __init__(self, model: Model) -> None:
        weights = model.weights(model.init(N_CHAINS, torch.Generator().manual_seed(1)))
        self.nets = [self._net(model.network, w) for w in weights]  # type: ignore[arg-type]
        self.precisions = [block.fan_in for block in model.network.layout]
        self.momenta = [[torch.zeros_like(p) for p in net.parameters()] for net in self.nets]

    @staticmethod
    def _net(network: MLPEncoderDecoder, weights: torch.Tensor) -> nn.Sequential:
        layers: list[nn.Module] = []
        for layer, (n_in, n_out) in enumerate(zip(network.sizes, network.sizes[1:], strict=False)):
            layers.append(nn.Linear(n_in, n_out))
            if layer not in (len(network.encoder.sizes) - 2, len(network.sizes) - 2):
                layers.append(nn.Tanh())
        net = nn.Sequential(*layers)
        nn.utils.vector_to_parameters(weights, net.parameters())
        return net

    def gradients(self, net: nn.Module, batch: Data, scale: float) -> list[torch.Tensor]:
        loss = 0.5 * nn.functional.mse_loss(net(batch.X), batch.X, reduction="sum")
        return list(torch.autograd.grad(scale * loss, list(net.parameters())))

    def step(self, batch: Data, scale: float) -> None:
        for net, momenta in zip(self.nets, self.momenta, strict=True):
            grads = self.gradients(net, batch, scale)
            with torch.no_grad():
                parts = zip(net.parameters(), grads, momenta, self.precisions, strict=True)
                for p, g, v, c in parts:
                    v.mul_(1 - FRICTION).add_(g, alpha=-STEP).add_(p, alpha=-STEP * c)
                    v.add_(torch.randn_like(p), alpha=(2 * FRICTION * STEP) ** 0.5)
                    p.add_(v)


def difference(model: Model, batch: Data, scale: float) -> float:
    """Largest difference of the two gradients at the same weights, over the largest."""
    batched, loop = Batched(model), Loop(model)
    ours = model.grad(batched.params, batch, scale)
    factor = model.weight_scales(batched.params)[0]
    rows = []
    for net in loop.nets:
        grads = loop.gradients(net, batch, scale)
        parts = zip(net.parameters(), grads, loop.precisions, strict=True)
        rows.append(torch.cat([-(g + c * p).detach().flatten() for p, g, c in parts]) * factor)
    return float((ours - torch.stack(rows)).abs().max() / ours.abs().max())


def measure(name: str, rounds: int) -> list[Any]:
    """Steps a CPU second of both, in turns."""
    load_rows, hidden, n_codes, n_batch, goal = CASES[name]
    rows = load_rows()
    X = torch.from_numpy(Standardizer("global").fit(rows, np.ones(len(rows))).transform(rows))
    X, scale = X.float()[:n_batch], len(rows) / (n_batch or len(rows))
    network = encoder_decoder(X.shape[1], X.shape[1], n_codes, hidden, hidden[::-1])
    model = Model(network, Normal(1.0), SharedGaussian(1.0), X.shape[1], X)
    batch = Data(X, by_columns(X), torch.ones(len(X)))
    apart = difference(model, batch, scale)
    assert apart < 1e-4, f"gradients differ by {apart:.2g}"
    movers = {"loop": Loop(model), "batched": Batched(model)}
    seconds = interleaved(
        {key: lambda m=mover: m.step(batch, scale) for key, mover in movers.items()}, rounds
    )
    ratio = seconds["loop"] / seconds["batched"]
    each = [N_CHAINS / seconds[key] for key in ("loop", "batched")]
    return [name, *each, ratio, verdict(ratio, goal)]


def whole_fit(quick: bool) -> list[Any]:
    """CPU minutes of 4 chains x 32 draws on 500 faces, defaults otherwise."""
    settings = {"n_chains": N_CHAINS, "n_samples": 32, "max_extensions": 0}
    engine = SGHMC(**settings, **({"warmup": 20, "thinning": 1} if quick else {}))
    bae = BayesianAutoencoder(
        50, encoder=MLP((200,)), inference=engine, scale_inputs="global", random_state=0
    )
    start = time.process_time()
    bae.fit(faces())
    minutes = (time.process_time() - start) / 60
    report = bae.diagnostics_
    return [
        "4 x 32 draws",
        bae.n_iter_,
        minutes,
        report["kinetic_temperature"],
        report["r_hat"],
        verdict(minutes, 15.0, at_most=True),
    ]


def speed_section(args: Any) -> list[str]:
    """Steps beside the loop's, and a whole fit."""
    # As every fit does before its first step; both ways of stepping gain by it.
    keep_freed_memory()
    rows = [measure(name, 2 if args.quick else 7) for name in CASES]
    columns = ["4 chains", "loop, chain-steps/s", "batched, chain-steps/s", "ratio", "goal"]
    note = (
        "Chain-steps a CPU second of one thread, medians of interleaved rounds: gradient of "
        "the log joint, then momentum, noise and position; gradients agree to 1e-4 of the "
        "largest."
    )
    fit = ["500 faces, 784-200-50", "steps", "CPU minutes", "temperature", "R-hat", "goal"]
    return ["## Steps", table(columns, rows), note, "## A fit", table(fit, [whole_fit(args.quick)])]
