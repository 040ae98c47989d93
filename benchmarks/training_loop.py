"""What training through skorch costs: the private net against a plain loop over tensors.

    python -m benchmarks.training_loop

Both take the same fused Adam steps on the same objective over the same batches; the plain loop
has no schedule, history, guard or callback. A plain autograd loop over a torch module,
what one would write by hand for one network, is shown beside them.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from benchmarks._common import interleaved, limit_threads, parser, table, verdict, write
from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.inference.mode._search import ModeObjective
from skbayes.likelihoods import LIKELIHOODS
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from skbayes.training._batches import Batches
from skbayes.training._trainer import train

SIZES, N_ROWS, RATE, GOAL = (20, 50, 50, 2), 500, 0.01, 1.15


def make_problem() -> tuple[Model, Data]:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(N_ROWS, SIZES[0], generator=generator)
    y = (X[:, 0] + 0.5 * torch.randn(N_ROWS, generator=generator) > 0).long()
    network = MLPNetwork(SIZES[0], SIZES[-1], SIZES[1:-1], "relu")
    model = Model(network, Normal(1.0), LIKELIHOODS["categorical"](), 2, torch.empty(0))
    return model, Data(X, y, torch.ones(N_ROWS))


def through_skorch(model: Model, data: Data, batch_size: int | None, start, n_steps: int):
    trained, _, _ = train(
        {"params": start},
        ModeObjective(model),
        data,
        batch_size=batch_size,
        generator=torch.Generator().manual_seed(1),
        engine="benchmark",
        remedy="",
        max_iter=n_steps,
        learning_rate=RATE,
        tol=0.0,
        monitor=Monitor(),
    )
    return trained["params"]


def plain(model: Model, data: Data, batch_size: int | None, start, n_steps: int):
    objective = ModeObjective(model)
    batches, generator = Batches.over(data, batch_size), torch.Generator().manual_seed(1)
    params = nn.Parameter(start.clone())
    adam = torch.optim.Adam([params], lr=RATE, fused=True)
    for _ in range(n_steps):
        batch, scale = batches.next(data, generator)
        _, grads = objective({"params": params}, batch, scale, 0.0)
        params.grad = grads["params"]
        adam.step()
    return params


def plain_module(data: Data, batch_size: int | None, n_steps: int) -> None:
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(SIZES):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(net.parameters(), lr=RATE, weight_decay=1e-3, fused=True)
    batches, generator = Batches.over(data, batch_size), torch.Generator().manual_seed(1)
    for _ in range(n_steps):
        batch, _ = batches.next(data, generator)
        loss = nn.functional.cross_entropy(net(batch.X), batch.y)
        adam.zero_grad()
        loss.backward()
        adam.step()


def measure(n_particles: int, batch_size: int | None, n_steps: int, rounds: int) -> list:
    model, data = make_problem()
    start = model.init(n_particles, torch.Generator().manual_seed(2))
    seconds = interleaved(
        {
            "plain": lambda: plain(model, data, batch_size, start, n_steps),
            "skorch": lambda: through_skorch(model, data, batch_size, start, n_steps),
            "module": lambda: plain_module(data, batch_size, n_steps),
        },
        rounds,
    )
    step = {name: value / n_steps * 1e6 for name, value in seconds.items()}
    ratio = step["skorch"] / step["plain"]
    goal = verdict(ratio, GOAL, at_most=True)
    batch = "all 500" if batch_size is None else batch_size
    return [n_particles, batch, n_steps, step["plain"], step["skorch"], ratio, step["module"], goal]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=9)
    args = made.parse_args()
    limit_threads(args.threads)
    steps = (100,) if args.quick else (200, 1000)
    rows = [
        measure(n_particles, batch_size, n_steps, 2 if args.quick else args.rounds)
        for n_particles in (1, 8)
        for batch_size in (128, None)
        for n_steps in steps
    ]
    columns = [
        "particles",
        "batch",
        "steps",
        "plain, us/step",
        "through skorch, us/step",
        "ratio",
        "one torch module by autograd, us/step",
        "goal",
    ]
    note = (
        "Network 20-50-50-2, N=500, Adam. The whole fit is timed, set-up included; CPU time, "
        "medians of interleaved rounds."
    )
    write("training_loop", "Overhead of the training loop", [table(columns, rows), note], args)


if __name__ == "__main__":
    main()
