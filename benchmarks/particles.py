"""Particle-steps a second of SGHMC: one flat buffer against a loop over torch modules.

    python -m benchmarks.particles

Every variant takes the same step: gradient of the log joint on a mini-batch, then
momentum, noise and position. The loop keeps one module a particle and updates it tensor
by tensor.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from benchmarks._common import interleaved, limit_threads, parser, table, verdict, write
from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.likelihoods import LIKELIHOODS
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal

STEP, FRICTION, N_ROWS = 1e-4, 0.05, 500
#: Sizes, rows of a batch, particles, and the goal for the hand-written gradient.
CASES = [
    ((13, 50, 1), 32, 8, None),
    ((13, 50, 1), 32, 32, 15.0),
    ((13, 50, 50, 1), 64, 32, None),
    ((784, 400, 400, 10), 128, 4, None),
]


def make_model(sizes: tuple[int, ...], learned: bool = False) -> Model:
    """A model with all scales fixed, which is what the loop of modules fits, or learned."""
    network = MLPNetwork(sizes[0], sizes[-1], sizes[1:-1], "tanh")
    if sizes[-1] > 1:
        likelihood = LIKELIHOODS["categorical"]()
    else:
        likelihood = LIKELIHOODS["gaussian"]("learned" if learned else 1.0)
    prior = Normal("learned" if learned else 1.0)
    return Model(network, prior, likelihood, sizes[-1], torch.empty(0))


def make_data(sizes: tuple[int, ...], n_rows: int) -> Data:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(n_rows, sizes[0], generator=generator)
    if sizes[-1] > 1:
        y = torch.randint(sizes[-1], (n_rows,), generator=generator)
    else:
        y = torch.randn(n_rows, 1, generator=generator)
    return Data(X, y, torch.ones(n_rows))


def autograd(model: Model, params: torch.Tensor, data: Data, scale: float) -> torch.Tensor:
    params = params.detach().requires_grad_()
    return torch.autograd.grad(model.log_joint(params, data, scale).sum(), params)[0]


class FlatSampler:
    """SGHMC on one (S, n_params) buffer."""

    def __init__(self, model: Model, n_particles: int, gradient) -> None:
        self.model, self.gradient = model, gradient
        self.params = model.init(n_particles, torch.Generator().manual_seed(1))
        self.momentum = torch.zeros_like(self.params)

    def step(self, batch: Data, scale: float) -> None:
        grad = self.gradient(self.model, self.params, batch, scale)
        self.momentum.mul_(1 - FRICTION).add_(grad, alpha=STEP)
        self.momentum.add_(torch.randn_like(grad), alpha=(2 * FRICTION * STEP) ** 0.5)
        self.params.add_(self.momentum)


class ModuleSampler:
    """The same on a list of torch modules, tensor by tensor."""

    def __init__(self, model: Model, n_particles: int) -> None:
        self.classes = model.likelihood.target == "classes"
        weights = model.weights(model.init(n_particles, torch.Generator().manual_seed(1)))
        self.nets = [self._net(model, w) for w in weights]
        self.precisions = [b.fan_in for b in model.network.layout]
        self.momenta = [[torch.zeros_like(p) for p in n.parameters()] for n in self.nets]

    @staticmethod
    def _net(model: Model, weights: torch.Tensor) -> nn.Sequential:
        sizes = model.network.sizes  # type: ignore[attr-defined]
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.Tanh()]
        net = nn.Sequential(*layers[:-1])
        nn.utils.vector_to_parameters(weights, net.parameters())
        return net

    def loss(self, net: nn.Module, batch: Data) -> torch.Tensor:
        if self.classes:
            return nn.functional.cross_entropy(net(batch.X), batch.y, reduction="sum")
        return 0.5 * nn.functional.mse_loss(net(batch.X), batch.y, reduction="sum")

    def step(self, batch: Data, scale: float) -> None:
        for net, momenta in zip(self.nets, self.momenta, strict=True):
            params = list(net.parameters())
            grads = torch.autograd.grad(scale * self.loss(net, batch), params)
            with torch.no_grad():
                for p, g, v, c in zip(params, grads, momenta, self.precisions, strict=True):
                    v.mul_(1 - FRICTION).add_(g, alpha=-STEP).add_(p, alpha=-STEP * c)
                    v.add_(torch.randn_like(p), alpha=(2 * FRICTION * STEP) ** 0.5)
                    p.add_(v)


def check_gradients(model: Model, n_particles: int, batch: Data, scale: float) -> float:
    """Largest relative difference of the three gradients at the same weights."""
    flat, loop = (
        model.init(n_particles, torch.Generator().manual_seed(1)),
        ModuleSampler(model, n_particles),
    )
    hand = model.value_and_grad(flat, batch, scale)[1]
    slow = autograd(model, flat, batch, scale)
    factor = model.weight_scales(flat[:, model.n_weights :])[0]
    modules = []
    for net in loop.nets:
        params = list(net.parameters())
        grads = torch.autograd.grad(scale * loop.loss(net, batch), params)
        parts = [-(g + c * p) for g, c, p in zip(grads, loop.precisions, params, strict=True)]
        modules.append(torch.cat([part.detach().flatten() for part in parts]) * factor)
    largest = hand.abs().max()
    others = (slow, torch.stack(modules))
    return max(float((hand - other).abs().max() / largest) for other in others)


def measure(sizes, n_batch: int, n_particles: int, goal: float | None, rounds: int) -> list:
    model, learned = make_model(sizes), make_model(sizes, learned=True)
    batch, scale = make_data(sizes, n_batch), N_ROWS / n_batch
    difference = check_gradients(model, n_particles, batch, scale)
    assert difference < 1e-4, f"the variants' gradients differ by {difference:.2g}"

    def hand(model, params, batch, scale):
        return model.grad(params, batch, scale)

    samplers = {
        "loop": ModuleSampler(model, n_particles),
        "hand": FlatSampler(model, n_particles, hand),
        "autograd": FlatSampler(model, n_particles, autograd),
        "learned": FlatSampler(learned, n_particles, hand),
    }
    seconds = interleaved(
        {name: lambda s=s: s.step(batch, scale) for name, s in samplers.items()}, rounds
    )
    ratio = {name: seconds["loop"] / value for name, value in seconds.items()}
    shape = "-".join(map(str, sizes))
    row = [shape, n_batch, n_particles, n_particles / seconds["loop"]]
    row += [ratio[name] for name in ("hand", "autograd", "learned")]
    return [*row, verdict(ratio["hand"], goal) if goal else "none"]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=7)
    args = made.parse_args()
    limit_threads(args.threads)
    rows = [measure(*case, rounds=2 if args.quick else args.rounds) for case in CASES]
    columns = [
        "network",
        "batch",
        "particles",
        "loop, particle-steps/s",
        "flat, hand-written (x)",
        "flat, autograd (x)",
        "flat, hand-written, learned scales and noise (x)",
        "goal, hand-written",
    ]
    note = (
        "(x): particle-steps a CPU second over the loop's in the same run; medians of "
        "interleaved rounds. Gradients of the first three agree to 1e-4 of the largest. Large "
        "networks are bound by matrix products: no gain is claimed there."
    )
    write("particles", "Particles against a loop of modules", [table(columns, rows), note], args)


if __name__ == "__main__":
    main()
