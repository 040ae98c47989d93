"""Modules of torch for all particles at once: against a loop, and against laplace-torch.

    python -m benchmarks.modules

Forward and backward of eight particles, against eight modules of torch that take turns, as
they are and with channels last in memory. Where laplace-torch can be imported (the environment
of benchmarks/requirements-laplace.txt), its Kronecker factors of a convolutional network are
compared with ours in float64, and the seconds of a post-hoc fit and of predictions.
"""

from __future__ import annotations

import itertools
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks._common import interleaved, limit_threads, parser, table, verdict, write
from skbayes import BayesianModuleClassifier
from skbayes.inference import Laplace
from skbayes.inference.mode._curvature import layer_sides
from skbayes.networks._module import module_network
from skbayes.networks._ready import as_perceptron
from skbayes.networks._stacked import Recurrent
from skbayes.priors import Normal
from skbayes.utils._memory import keep_freed_memory

N_PARTICLES = 8


def dense(*sizes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def convolutional(first: int, second: int, kernel: int, side: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(1, first, kernel), nn.Tanh(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(first, second, kernel), nn.Tanh(), nn.Flatten()]
    n_units = nn.Sequential(*layers)(torch.zeros(1, 1, side, side)).shape[1]
    return nn.Sequential(*layers, nn.Linear(n_units, 10))


def recurrent(kind: type) -> nn.Module:
    layer = Recurrent(kind(28, 32, batch_first=True), False)
    return nn.Sequential(layer, nn.Linear(32, 10))


#: A module, the shape of its rows, rows of a batch, and nine tenths of what a probe reached
#: against modules as they are.
CASES = {
    "dense 13-50-50-10": (lambda: dense(13, 50, 50, 10), (13,), 32, 3.3),
    "dense 64-100-100-10": (lambda: dense(64, 100, 100, 10), (64,), 100, 1.7),
    "dense 784-400-400-10": (lambda: dense(784, 400, 400, 10), (784,), 128, 0.9),
    "8-16 kernels of 3, 8 x 8": (lambda: convolutional(8, 16, 3, 8), (1, 8, 8), 64, 3.06),
    "16-32 kernels of 3, 8 x 8": (lambda: convolutional(16, 32, 3, 8), (1, 8, 8), 64, 2.34),
    "8-16 kernels of 3, 28 x 28": (lambda: convolutional(8, 16, 3, 28), (1, 28, 28), 64, 1.62),
    "32-32 kernels of 5, 28 x 28": (lambda: convolutional(32, 32, 5, 28), (1, 28, 28), 100, 1.26),
    "GRU 32, 28 steps": (lambda: recurrent(nn.GRU), (28, 28), 64, 1.8),
    "LSTM 32, 28 steps": (lambda: recurrent(nn.LSTM), (28, 28), 64, 0.9),
}


def ratios(name: str, rounds: int) -> list:
    make, shape, n_rows, goal = CASES[name]
    network = as_perceptron(make(), shape, 10) or module_network(make(), shape, 10)
    weights = 0.1 * torch.randn(N_PARTICLES, network.n_weights)
    X, slopes = torch.randn(n_rows, network.n_inputs), torch.randn(N_PARTICLES, n_rows, 10)
    plain = [make() for _ in range(N_PARTICLES)]
    pictures = len(shape) == 3
    last: list[Any] = [make() for _ in range(N_PARTICLES)]
    last = [m.to(memory_format=torch.channels_last) if pictures else m for m in last]

    def loop(modules: list[nn.Module], rows: torch.Tensor) -> None:
        for module, slope in zip(modules, slopes, strict=True):
            module.zero_grad()
            module(rows).backward(slope)

    def ours() -> None:
        _, pullback = network.forward_with_pullback(weights, X)
        pullback(slopes)

    rows = X.view(n_rows, *shape)
    channels_last = rows.to(memory_format=torch.channels_last) if pictures else rows
    seconds = interleaved(
        {
            "plain": lambda: loop(plain, rows),
            "last": lambda: loop(last, channels_last),
            "ours": ours,
        },
        rounds,
    )
    to_plain, to_last = (seconds[loop] / seconds["ours"] for loop in ("plain", "last"))
    verdicts = [verdict(to_plain, goal), verdict(min(to_plain, to_last), 0.95)]
    return [name, n_rows, 1e3 * seconds["plain"], to_plain, to_last, *verdicts]


def trained_digits(dtype: torch.dtype) -> tuple[nn.Module, Any, Any]:
    """A small convolutional network, trained for a few steps."""
    X, y = load_digits(return_X_y=True)
    rows, labels = torch.from_numpy(X[:600] / 16).to(dtype), torch.from_numpy(y[:600])
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.Tanh(), nn.Conv2d(8, 16, 3, stride=2), nn.Tanh(), nn.Flatten(),
        nn.Linear(64, 10),
    ).to(dtype)  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(rows.view(-1, 1, 8, 8)), labels).backward()
        optimizer.step()
    return module.eval(), rows, labels


class Peer:
    """laplace-torch around the same module, whose unit prior is ours."""

    def __init__(self, module: nn.Module, rows: Any, labels: Any) -> None:
        from torch.utils.data import DataLoader, TensorDataset

        self.module = module
        data = TensorDataset(rows.view(-1, 1, 8, 8), labels)
        self.loader = DataLoader(data, batch_size=len(data))

    def fit(self) -> Any:
        from laplace import Laplace as Theirs

        fitted = Theirs(
            self.module, "classification", subset_of_weights="all", hessian_structure="kron"
        )
        fitted.fit(self.loader)
        return fitted


def ours_of(module: nn.Module, dtype: torch.dtype) -> BayesianModuleClassifier:
    name = str(dtype).removeprefix("torch.")
    engine = Laplace(structure="kron", temperature=1.0, evidence=None)
    clf = BayesianModuleClassifier.from_trained(
        module,
        prior=Normal(scale=1.0, fan_in_scaling=False),
        inference=engine,
        dtype=name,
        n_predictive_samples=100,
        random_state=0,
    )
    return clf.set_params(network__input_shape=(1, 8, 8))


def peers(rounds: int) -> tuple[list[list], float]:
    """Rows of a table of seconds, and the largest relative difference of factors."""
    module, rows, labels = trained_digits(torch.float64)
    clf = ours_of(module, torch.float64).fit(rows.numpy(), labels.numpy())
    model = clf._model()
    X, y, weight = (t.double() for t in (rows, labels, torch.ones(len(rows))))
    from skbayes.data._tensors import Data

    mode = torch.from_numpy(clf.posterior_.mean)[None]
    sides = layer_sides(model, Data(X, y.long(), weight), mode)
    theirs, differences = Peer(module, rows, labels).fit(), []
    for layer, (a, b) in enumerate(sides.values()):
        a = a if len(a) == len(a.T) else a @ a.T
        factors = [f.detach() for f in theirs.H_facs.kfacs[2 * layer]]
        exact = torch.kron(factors[0], factors[1]) * theirs._H_factor
        difference = (torch.kron(b, a[:-1, :-1]) - exact).abs().max() / exact.abs().max()
        differences.append(float(difference))
    module, rows, labels = trained_digits(torch.float32)
    peer, own = Peer(module, rows, labels), ours_of(module, torch.float32)
    X, y = rows.numpy(), labels.numpy()
    fit = interleaved({"theirs": peer.fit, "ours": lambda: own.fit(X, y)}, rounds)
    fitted = peer.fit()
    seen = rows.view(-1, 1, 8, 8)
    predict = interleaved(
        {
            "theirs": lambda: fitted(seen, pred_type="glm", link_approx="mc", n_samples=100),
            "ours": lambda: own.predict_proba(X),
        },
        rounds,
    )
    found = [
        [what, 1e3 * t["theirs"], 1e3 * t["ours"], t["theirs"] / t["ours"],
         verdict(t["theirs"] / t["ours"], 1.0)]
        for what, t in (("fit", fit), ("predict, 100 draws", predict))
    ]  # fmt: skip
    return found, max(differences)


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    keep_freed_memory()
    warnings.simplefilter("ignore")  # the peer's own deprecations
    rounds = 2 if args.quick else 7
    rows = [ratios(name, rounds) for name in CASES]
    columns = ["module", "rows", "loop, ms", "ratio to the loop", "to channels last"]
    columns += ["nine tenths of the probe", "of the best loop"]
    sections = [table(columns, rows)]
    if find_spec("laplace"):
        seconds, difference = peers(min(rounds, 3))
        sections += [
            "A convolutional network of 2,058 weights on 600 digits, around the same trained "
            "weights, Kronecker factors of each layer: largest relative difference of the "
            f"products of factors {difference:.1e} ({verdict(difference, 1e-5, at_most=True)}).",
            table(["", "laplace-torch, ms", "ours, ms", "ratio", "goal"], seconds),
        ]
    write("modules", "Modules of torch, all particles at once", sections, args, ("laplace-torch",))


if __name__ == "__main__":
    np.random.seed(0)  # noqa: NPY002  (the peer reads the global state)
    torch.manual_seed(0)
    main()
