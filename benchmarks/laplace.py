"""Laplace posteriors at one trained network: ours against laplace-torch's.

    python -m benchmarks.laplace

Needs the environment of benchmarks/requirements-laplace.txt, because laplace-torch pulls
packages that this project does without. Both get the same weights, data and fixed
hyperparameters, and both form the curvature and the posterior from them. Our posterior is
over whitened weights z with w = scale * z; it is mapped to w before it is compared.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.datasets import load_diabetes, make_classification
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks._common import interleaved, limit_threads, parser, table, verdict, write
from skbayes._model import Model
from skbayes.base._monitor import Monitor
from skbayes.data._tensors import Data
from skbayes.inference.mode._curvature import CURVATURES, layer_sides
from skbayes.inference.mode._search import ModeObjective
from skbayes.likelihoods import LIKELIHOODS
from skbayes.networks import MLPNetwork
from skbayes.posteriors import GaussianPosterior, to_numpy
from skbayes.posteriors._function_draws import Moments
from skbayes.priors import Normal
from skbayes.training._trainer import train

#: Ours, and the peer's name of it.
STRUCTURES = {"full": "full", "kron": "kron", "diag": "diag", "last_layer": "full"}
GOAL, TOLERANCE, N_PREDICTED = 15.0, 1e-5, 2000


def diabetes(dtype: torch.dtype) -> tuple[Model, Data]:
    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    network = MLPNetwork(10, 1, (50,), "tanh")
    like = torch.empty(0, dtype=dtype)
    model = Model(network, Normal(1.0), LIKELIHOODS["gaussian"](0.7), 1, like)
    rows = torch.tensor(X, dtype=dtype)
    return model, Data(rows, torch.tensor(y[:, None], dtype=dtype), torch.ones(len(y), dtype=dtype))


def three_classes(dtype: torch.dtype) -> tuple[Model, Data]:
    X, y = make_classification(1000, 20, n_informative=8, n_classes=3, random_state=0)
    X = (X - X.mean(0)) / X.std(0)
    network = MLPNetwork(20, 3, (50,), "tanh")
    like = torch.empty(0, dtype=dtype)
    model = Model(network, Normal(1.0), LIKELIHOODS["categorical"](), 3, like)
    rows = torch.tensor(X, dtype=dtype)
    return model, Data(rows, torch.tensor(y), torch.ones(len(y), dtype=dtype))


PROBLEMS = {"10-50-1, N=442": (diabetes, GOAL), "20-50-3, N=1000": (three_classes, None)}


def trained(model: Model, data: Data) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    params, _, _ = train(
        {"params": model.init(1, generator)},
        ModeObjective(model),
        data,
        batch_size=None,
        generator=generator,
        engine="benchmark",
        remedy="",
        max_iter=500,
        learning_rate=0.03,
        tol=0.0,
        monitor=Monitor(),
    )
    return params["params"]


def as_module(model: Model, mode: Tensor) -> nn.Sequential:
    n_in, n_hidden, n_out = model.network.sizes  # type: ignore[attr-defined]
    net = nn.Sequential(nn.Linear(n_in, n_hidden), nn.Tanh(), nn.Linear(n_hidden, n_out))
    net = net.to(mode.dtype)
    nn.utils.vector_to_parameters(model.weights(mode)[0], net.parameters())
    return net


def fit_ours(model: Model, data: Data, mode: Tensor, structure: str) -> GaussianPosterior:
    curvature = CURVATURES[structure](model, data, mode)
    return GaussianPosterior(to_numpy(mode)[0], curvature.factors(), linearised=True)


class Peer:
    """laplace-torch on the same network."""

    def __init__(self, model: Model, data: Data, mode: Tensor, structure: str) -> None:
        net = as_module(model, mode)
        regression = model.likelihood.target == "numeric"
        precision = (1 / model.weight_scales(mode[:, :0])[0] ** 2).to(mode.dtype)
        blocks = model.network.layout
        if structure == "last_layer":
            precision = precision[blocks[2].start :]
        elif structure == "kron":  # one precision a tensor
            precision = torch.stack([precision[b.start] for b in blocks])
        self.arguments = {
            "model": net,
            "likelihood": "regression" if regression else "classification",
            "subset_of_weights": "last_layer" if structure == "last_layer" else "all",
            "hessian_structure": STRUCTURES[structure],
            "prior_precision": precision,
        }
        if regression:
            self.arguments["sigma_noise"] = float(model.likelihood.noise)
        self.loader = DataLoader(TensorDataset(data.X, data.y), batch_size=len(data))
        self.structure = structure

    def fit(self):
        from laplace import Laplace

        fitted = Laplace(**self.arguments)
        fitted.fit(self.loader)
        if STRUCTURES[self.structure] == "full":
            fitted.posterior_scale  # noqa: B018  (computed on first access)
        return fitted


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over the largest magnitude."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def our_covariance(model: Model, mode: Tensor, posterior: GaussianPosterior) -> Tensor:
    """Covariance of the weights in the network's own coordinates."""
    scale = model.weight_scales(mode[:, :0])[0]
    covariance = torch.from_numpy(posterior.covariance()[: model.n_weights, : model.n_weights])
    return covariance * scale * scale[:, None]


def our_variance(model: Model, mode: Tensor, covariance: Tensor, X: Tensor) -> Tensor:
    """Exact covariance (N, K, K) of the linearised network."""
    jacobian = model.network.jacobian(model.weights(mode)[0], X)
    return torch.einsum("nkp,pq,njq->nkj", jacobian, covariance, jacobian)


def equality(problem, structure: str) -> list:
    """Relative differences of covariance and GLM predictive variance, in float64."""
    model, data = problem(torch.float64)
    mode = trained(model, data)
    covariance = our_covariance(model, mode, fit_ours(model, data, mode, structure))
    peer = Peer(model, data, mode, structure).fit()
    theirs = peer._glm_predictive_distribution(data.X)[1].detach().reshape(len(data), -1)
    ours = our_variance(model, mode, covariance, data.X).reshape(len(data), -1)
    if structure == "kron":
        parts = "factors " + f"{kronecker_difference(model, data, mode, peer):.1e}"
        return [parts, f"median ratio {float((ours / theirs).median()):.3f} (see note)"]
    if structure == "diag":
        difference = relative(covariance.diagonal(), peer.posterior_variance)
    elif structure == "last_layer":
        first = model.network.layout[2].start
        difference = relative(covariance[first:, first:], peer.posterior_covariance)
    else:
        difference = relative(covariance, peer.posterior_covariance)
    variance = relative(ours, theirs)
    assert difference < TOLERANCE, f"{structure}: covariances differ by {difference:.1e}"
    assert variance < TOLERANCE, f"{structure}: predictive variances differ by {variance:.1e}"
    return [f"{difference:.1e}", f"{variance:.1e}"]


def kronecker_difference(model: Model, data: Data, mode: Tensor, peer) -> float:
    """Largest relative difference of the weights' Kronecker products, layer by layer.

    Products, because how a product's scale is shared between its factors is arbitrary.
    """
    scales = model.weight_scales(model.split(mode)[1])[0].double()
    differences = []
    for layer, (start, (a, b)) in enumerate(layer_sides(model, data, mode).items()):
        b = b / scales[start] ** 2
        a = a if len(a) == len(a.T) else a @ a.T
        theirs_b, theirs_a = (f.detach() for f in peer.H_facs.kfacs[2 * layer])
        theirs = torch.kron(theirs_b, theirs_a) * peer._H_factor
        differences.append(relative(torch.kron(b, a[:-1, :-1]), theirs))
    return max(differences)


def measure(name: str, structure: str, rounds: int) -> list:
    problem, goal = PROBLEMS[name]
    same = equality(problem, structure)
    row = [name, structure, *same]
    for dtype in (torch.float32, torch.float64):
        model, data = problem(dtype)
        mode = trained(model, data)
        peer = Peer(model, data, mode, structure)
        seconds = interleaved(
            {
                "ours": lambda m=model, d=data, z=mode: fit_ours(m, d, z, structure),
                "theirs": peer.fit,
            },
            rounds,
        )
        if dtype == torch.float32:
            row += [1e3 * seconds["theirs"], 1e3 * seconds["ours"]]
        ratios = (*row[6:], seconds["theirs"] / seconds["ours"])
        row = [*row[:6], *ratios]
    goal = goal if structure == "full" else None
    return [*row, verdict(row[6], goal) if goal else "none"]


def predictive(name: str, structure: str, rounds: int) -> list:
    """Mean and covariance of the linearised network, in closed form by both."""
    model, data = PROBLEMS[name][0](torch.float32)
    mode = trained(model, data)
    posterior = fit_ours(model, data, mode, structure)
    peer = Peer(model, data, mode, structure).fit()
    X = data.X[torch.arange(N_PREDICTED) % len(data)]

    def ours() -> list[np.ndarray]:
        moments = Moments(posterior.normal_outputs(model))
        return moments.reduce(X, lambda outputs: [outputs.mean, outputs.covariance])

    def theirs() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return peer._glm_predictive_distribution(X)

    if structure != "kron":  # see the first note
        for mine, other in zip(ours(), theirs(), strict=True):
            difference = relative(torch.from_numpy(mine), other.double())
            assert difference < 1e-3, f"{structure}: predictions differ by {difference:.1e}"
    seconds = interleaved({"ours": ours, "theirs": theirs}, rounds)
    ratio = seconds["theirs"] / seconds["ours"]
    return [name, structure, 1e3 * seconds["theirs"], 1e3 * seconds["ours"], ratio]


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    warnings.simplefilter("ignore")  # the peer's own deprecations
    rounds = 2 if args.quick else 7
    rows = [measure(name, structure, rounds) for name in PROBLEMS for structure in STRUCTURES]
    columns = ["problem", "structure", "covariance, rel. difference", "GLM variance, likewise"]
    columns += ["laplace-torch, ms", "ours, ms", "ratio float32", "ratio float64", "goal"]
    fits = table(columns, rows)
    # The peer takes minutes on the second problem.
    first = next(iter(PROBLEMS))
    glm = [predictive(first, structure, min(rounds, 3)) for structure in STRUCTURES]
    columns = ["problem", "structure", "laplace-torch, ms", "ours, ms", "ratio"]
    notes = (
        "Curvature and posterior at given weights and hyperparameters, whole data in one "
        "batch, CPU time, medians of interleaved rounds (ms in float32). Differences are in "
        "float64: largest difference over largest magnitude. Kronecker: we keep one block a "
        "layer, bias included, laplace-torch splits weight and bias; the weights' Kronecker "
        "products are compared, and predictive variances by their median ratio.",
        f"Mean and variance of the linearised network at {N_PREDICTED} rows, both in closed form "
        "and in float32: ours from the stored posterior, 1,024 rows at a time at most, theirs all "
        "rows at once; both agree to 1e-3 (but for the Kronecker product, see above).",
    )
    sections = [fits, notes[0], table(columns, glm), notes[1]]
    extra = ("laplace-torch", "curvlinops-for-pytorch")
    write("laplace", "Laplace against laplace-torch", sections, args, extra)


if __name__ == "__main__":
    np.random.seed(0)  # noqa: NPY002  (the peer reads the global state)
    main()
