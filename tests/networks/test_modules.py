"""Modules of torch as networks: every way gives the module's own outputs and derivatives."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import ModuleError
from skbayes.inference.mode._curvature import (
    DiagonalCurvature,
    FullCurvature,
    KroneckerCurvature,
    LastLayerCurvature,
    curvature_rows,
    layer_factors,
    output_curvature,
    weighted_jacobians,
)
from skbayes.likelihoods import Categorical, Sites
from skbayes.networks import CNN, GRU, LSTM, MLPNetwork, Module, ResNet, UNet
from skbayes.networks import _module as module_file
from skbayes.networks._module import FactoredModuleNetwork, ModuleNetwork, build, module_network
from skbayes.networks._partial import LastLayerNetwork, PartialNetwork, partial_network
from skbayes.networks._ready import as_perceptron
from skbayes.networks._stacked import Recurrent, Residual, Skip, StepsLast
from skbayes.posteriors import GaussianPosterior
from skbayes.priors import Normal
from skbayes.utils._random import make_generator


class Custom(nn.Module):
    """What only torch can batch."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 3, 3), nn.Linear(108, 2)

    def forward(self, x):
        return self.last(torch.nn.functional.silu(self.first(x)).flatten(1))


class Raw(nn.Module):
    """A parameter of its own, used twice."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(2, 5))

    def forward(self, x):
        return x @ self.matrix.T + (x**2) @ self.matrix.T


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 3, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 2),
    )


def grouped():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2, bias=False),
        nn.GroupNorm(2, 4),
        nn.GELU(),
        nn.ZeroPad2d(1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LayerNorm(36),
        nn.Linear(36, 2, bias=False),
    )


def skips():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Sigmoid())),
        Skip(nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 2, 1), nn.Upsample(size=(8, 8)))),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 2),
    )


def upwards():
    return nn.Sequential(
        nn.Linear(5, 8),
        nn.Softplus(),
        nn.Unflatten(1, (2, 2, 2)),
        nn.ConvTranspose2d(2, 3, 3, 2, 1, 1),
        nn.Conv2d(3, 1, 1),
        nn.Flatten(),
    )


def steps(every=False):
    layers = [Recurrent(nn.GRU(3, 4, 2, batch_first=True), every), nn.Linear(4, 2)]
    return nn.Sequential(*layers, *([StepsLast()] if every else []))


def sequence():
    return nn.Sequential(
        nn.Conv1d(3, 4, 3, padding=1, dilation=1), nn.ELU(), nn.MaxPool1d(2), nn.Flatten(),
        nn.Linear(12, 2),
    )  # fmt: skip


#: A module, the shape of its rows, its outputs, and the way that several particles take.
CASES = {
    "convolutions": (convolutions, (1, 8, 8), 2, "stack"),
    "grouped": (grouped, (2, 6, 6), 2, "stack"),
    "skips": (skips, (1, 8, 8), 2, "stack"),
    "upwards": (upwards, (5,), 16, "stack"),
    "gru": (steps, (7, 3), 2, "stack"),
    "gru of every step": (lambda: steps(True), (7, 3), 14, "stack"),
    "sequence": (sequence, (3, 6), 2, "stack"),
    "custom": (Custom, (1, 8, 8), 2, "vmap"),
    "raw": (Raw, (5,), 2, "vmap"),
    "lstm": (
        lambda: nn.Sequential(Recurrent(nn.LSTM(3, 4, batch_first=True), False), nn.Linear(4, 2)),
        (7, 3),
        2,
        "loop",
    ),
}


def network_of(name):
    make, shape, n_outputs, way = CASES[name]
    return module_network(build(make, {}), shape, n_outputs), way


def drawn(network, n_particles=3, n_rows=4, seed=0):
    generator = make_generator(seed)
    weights = 0.5 * torch.randn(
        n_particles, network.n_weights, dtype=torch.float64, generator=generator
    )
    X = torch.randn(n_rows, network.n_inputs, dtype=torch.float64, generator=generator)
    return weights, X


def by_torch(network, weights, X):
    """Outputs (S, N, K) by the module itself, one weight vector after the other."""
    found = []
    for one in weights:
        named, rows = {}, X.reshape(-1, *network.input_shape)
        norms = (nn.GroupNorm, nn.LayerNorm)
        for block in network.layout:
            owner, _, kind = block.name.rpartition(".")
            is_norm = isinstance(network.module.get_submodule(owner), norms)
            named[block.name] = one[block.slice].view(block.shape) + (is_norm and kind == "weight")
        found.append(functional_call(network.module, named, (rows,)).flatten(1))
    return torch.stack(found)


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_modules_own(name):
    network, way = network_of(name)
    assert (network._stacks, network._batches) == (way == "stack", way == "vmap")
    weights, X = drawn(network)
    torch.testing.assert_close(network.forward(weights, X), by_torch(network, weights, X))


@pytest.mark.parametrize("name", CASES)
def test_large_convolutions_go_one_by_one(name, monkeypatch):
    network, _ = network_of(name)
    weights, X = drawn(network)
    together = network.forward(weights, X)
    monkeypatch.setattr(module_file, "HEAVY", -1)
    monkeypatch.setattr(ModuleNetwork, "_by_stack", None)
    torch.testing.assert_close(network.forward(weights, X), together)


@pytest.mark.parametrize("name", CASES)
def test_particles_may_have_rows_of_their_own(name):
    network, _ = network_of(name)
    weights, _ = drawn(network)
    X = torch.stack([drawn(network, seed=seed)[1] for seed in range(3)])
    each = [network.forward(w[None], x)[0] for w, x in zip(weights, X, strict=True)]
    torch.testing.assert_close(network.forward(weights, X), torch.stack(each))


@pytest.mark.parametrize("name", CASES)
def test_derivatives_agree_with_differences(name):
    """Forward, backward and mixed: a wrong one of them would differ by more than rounding."""
    network, _ = network_of(name)
    weights, X = drawn(network)
    step, along = 1e-6, weights[1:]
    ends = [network.forward(weights[:1] + sign * step * along, X) for sign in (1, -1)]
    moves = (ends[0] - ends[1]) / (2 * step)
    jacobian = network.jacobian(weights[0], X)
    torch.testing.assert_close(
        torch.einsum("nkp,sp->snk", jacobian, along), moves, rtol=1e-5, atol=1e-7
    )
    outputs, pushed = network.jvp(weights[0], along, X)
    torch.testing.assert_close(outputs, network.forward(weights[:1], X)[0])
    torch.testing.assert_close(pushed, torch.einsum("nkp,sp->snk", jacobian, along))


@pytest.mark.parametrize("name", ["convolutions", "sequence", "custom", "skips"])
def test_factors_are_the_jacobian(name):
    network, _ = network_of(name)
    assert isinstance(network, FactoredModuleNetwork)
    weights, X = drawn(network)
    torch.testing.assert_close(
        network.jacobian(weights[0], X), ModuleNetwork.jacobian(network, weights[0], X)
    )


def perceptron():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def classes_of(network, n_rows=40):
    """A model of three classes, and rows."""
    prior, kind = Normal(), torch.empty(0, dtype=torch.float64)
    model = Model(network, prior, Categorical(), 3, kind)
    X = drawn(network, n_rows=n_rows)[1]
    y = torch.randint(3, (n_rows,), generator=make_generator(1))
    weight = torch.randint(1, 4, (n_rows,), generator=make_generator(2)).double()
    return model, Data(X, y, weight)


def test_a_module_that_is_a_perceptron_is_one():
    """Log joints to 1e-12, gradients to 1e-9, precisions to 1e-8: the same model."""
    of_module, data = classes_of(module_network(build(perceptron, {}), (4,), 3))
    by_hand, _ = classes_of(MLPNetwork(4, 3, (6,)))
    assert type(of_module.network) is FactoredModuleNetwork
    params = by_hand.init(5, make_generator(3))
    values, grads = zip(
        *(m.value_and_grad(params, data) for m in (of_module, by_hand)), strict=True
    )
    np.testing.assert_allclose(*values, rtol=0, atol=1e-11)
    torch.testing.assert_close(*grads, rtol=0, atol=1e-9)
    for kind in (FullCurvature, KroneckerCurvature, LastLayerCurvature):
        both = [kind(model, data, params[:1]) for model in (of_module, by_hand)]
        assert abs(both[0].log_det - both[1].log_det) < 1e-8
        torch.testing.assert_close(both[0].variance, both[1].variance, rtol=1e-8, atol=0)


def test_as_perceptron_reads_layers():
    network = as_perceptron(build(perceptron, {}), (4,), 3)
    assert isinstance(network, MLPNetwork)
    assert [block.name for block in network.layout] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    weights, X = drawn(network)
    generic = module_network(build(perceptron, {}), (4,), 3)
    torch.testing.assert_close(network.forward(weights, X), generic.forward(weights, X))
    dense = nn.Linear
    mixed = [(dense, (4, 6)), (nn.Tanh, ()), (dense, (6, 5)), (nn.ReLU, ()), (dense, (5, 3))]
    assert as_perceptron(built(mixed), (4,), 3) is None
    assert as_perceptron(built([(dense, (4, 3, False))]), (4,), 3) is None


def test_a_convolution_over_the_whole_picture_is_a_dense_layer():
    layers = [(nn.Conv2d, (1, 6, 2)), (nn.Tanh, ()), (nn.Flatten, ()), (nn.Linear, (6, 3))]
    of_pictures, data = classes_of(module_network(built(layers), (1, 2, 2), 3))
    dense, _ = classes_of(MLPNetwork(4, 3, (6,)))
    params = dense.init(3, make_generator(0))
    values = [model.log_joint(params, data) for model in (of_pictures, dense)]
    np.testing.assert_allclose(*values, rtol=0, atol=1e-11)
    precisions = [KroneckerCurvature(m, data, params[:1]).variance for m in (of_pictures, dense)]
    torch.testing.assert_close(*precisions, rtol=1e-8, atol=0)


def test_full_curvature_is_the_sum_over_rows():
    model, data = classes_of(network_of_three())
    mode = model.init(1, make_generator(0))
    fitted = FullCurvature(model, data, mode)
    weights, scales = model.weights(mode)[0], model.weight_scales(model.split(mode)[1])[0]
    precision = torch.eye(model.n_weights, dtype=torch.float64)
    for x, weight in zip(data.X, data.weight, strict=True):
        J = model.network.jacobian(weights, x[None])[0] * scales
        p = torch.softmax(model.network.forward(weights[None], x[None])[0, 0], 0)
        precision += weight * J.T @ (torch.diag(p) - torch.outer(p, p)) @ J
    torch.testing.assert_close(fitted.log_det, float(torch.logdet(precision)), rtol=1e-10, atol=0)


def network_of_three():
    layers = [(nn.Conv2d, (1, 2, 2)), (nn.Tanh, ()), (nn.Flatten, ()), (nn.Linear, (8, 3))]
    return module_network(built(layers), (1, 3, 3), 3)


def built(layers):
    """Layers one after the other, made without torch's global generator."""
    return build(lambda: nn.Sequential(*(kind(*options) for kind, options in layers)), {})


def test_kronecker_sides_of_a_convolution_are_means_and_sums_over_places():
    """As Grosse and Martens (2016) have them: inputs averaged over places, gradients summed."""
    model, data = classes_of(network_of_three())
    mode = model.init(1, make_generator(0))
    weights, scales = model.weights(mode)[0], model.weight_scales(model.split(mode)[1])[0]
    _, a, pullback = next(iter(layer_factors(model, data, mode)))
    of_inputs, of_outputs = torch.zeros(5, 5).double(), torch.zeros(2, 2).double()
    for x, weight in zip(data.X, data.weight, strict=True):
        places, G = patches_and_gradients(weights, x.view(3, 3))
        whitened = places * torch.cat([scales[:4], scales[8:9]])
        of_inputs += weight * whitened.T @ whitened / (4 * data.weight.sum())
        p = torch.softmax(model.network.forward(weights[None], x[None])[0, 0], 0)
        F = torch.diag(p) - torch.outer(p, p)
        of_outputs += weight * torch.einsum("kto,kl,ltu->ou", G, F, G)
    full = a if a.shape[0] == a.shape[1] else a @ a.T
    torch.testing.assert_close(full, of_inputs, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(output_curvature(pullback), of_outputs, rtol=1e-8, atol=1e-12)


def patches_and_gradients(weights, picture):
    """Of the four places of a picture (3, 3): what a kernel sees, and the outputs' gradients."""
    corners = [(i, j) for i in (0, 1) for j in (0, 1)]
    patches = torch.stack([picture[i : i + 2, j : j + 2].flatten() for i, j in corners])
    values = (patches @ weights[:8].view(2, 4).T + weights[8:10]).requires_grad_()
    outputs = weights[10:34].view(3, 8) @ torch.tanh(values.T.reshape(-1)) + weights[34:]
    grads = [torch.autograd.grad(o, values, retain_graph=True)[0] for o in outputs]
    ones = torch.ones(4, 1, dtype=torch.float64)
    return torch.cat([patches, ones], 1), torch.stack(grads)


def test_moments_of_convolutions_are_those_of_the_jacobian():
    """Kronecker and diagonal posteriors: by places, against J times a dense covariance."""
    model, data = classes_of(network_of_three())
    mode = model.init(1, make_generator(0))
    weights, scales = model.weights(mode)[0], model.weight_scales(model.split(mode)[1])[0]
    J = model.network.jacobian(weights, data.X[:5]) * scales
    for kind in (KroneckerCurvature, DiagonalCurvature):
        factors = kind(model, data, mode).factors()
        posterior = GaussianPosterior(mode[0].numpy(), factors, linearised=True)
        covariance = torch.from_numpy(posterior.covariance())[: len(weights), : len(weights)]
        exact = J @ covariance @ J.mT
        normals = posterior.normal_outputs(model)(data.X[:5])
        torch.testing.assert_close(normals.covariance, exact, rtol=1e-8, atol=1e-12)


def test_curvature_of_many_rows_is_told_by_some(monkeypatch):
    model, data = classes_of(network_of_three(), n_rows=400)
    assert curvature_rows(model, data) is data
    monkeypatch.setattr("skbayes.inference.mode._curvature.MOST_WORK", 1.0)
    some = curvature_rows(model, data)
    assert len(some) == 200
    assert some.total_weight == pytest.approx(data.total_weight)
    dense, rows = classes_of(MLPNetwork(4, 3, (6,)), n_rows=400)
    assert curvature_rows(dense, rows) is rows


# --- modules that look like others ---------------------------------------------------


class Reused(nn.Module):
    """A weight that is used a second time, outside of its layer."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        hidden = torch.tanh(self.up(x))
        return self.down(hidden @ self.up.weight)


class Added(nn.Module):
    """What looks like a linear layer at the end is changed in place."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        y = self.last(torch.tanh(self.first(x)))
        y += x[:, :2]
        return y


class Attending(nn.Module):
    """Attention, whose output layer is called by no one."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        rows = x.view(-1, 2, 2)
        return self.last(self.attention(rows, rows, rows, need_weights=False)[0].flatten(1))


def twice():
    """One activation that stands at two places."""
    act = nn.ReLU()
    return nn.Sequential(nn.Linear(4, 5), act, nn.Linear(5, 3), act, nn.Linear(3, 2))


def tied():
    """One layer at two places."""
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(4, 2))


def in_place():
    layers = [nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 3, padding="same"), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(12, 2))


def pooled_units():
    return nn.Sequential(nn.Linear(4, 6), nn.AdaptiveAvgPool1d(3), nn.Linear(3, 2))


def constants():
    """A tensor that is a plain attribute."""
    module = nn.Linear(4, 2)
    module.shift = torch.arange(4.0)
    module.register_forward_pre_hook(lambda m, given: (given[0] + m.shift,))
    return module


LOOK_ALIKES = (Reused, Added, Attending, twice, tied, in_place, pooled_units, constants)


@pytest.mark.parametrize("make", LOOK_ALIKES, ids=lambda make: make.__name__)
def test_what_looks_like_another_module_is_itself(make):
    """All ways, the Jacobian and the last layer, against torch and differences."""
    network = module_network(build(make, {}), (4,), 2)
    weights, X = drawn(network)
    torch.testing.assert_close(
        network.forward(weights, X), network._one_by_one(network.blocks(weights), X)
    )
    along, step = weights[1], 1e-6
    ends = [network.forward((weights[0] + sign * step * along)[None], X)[0] for sign in (1, -1)]
    moves = torch.einsum("nkp,p->nk", network.jacobian(weights[0], X), along)
    torch.testing.assert_close(moves, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-7)
    if network.last_layer is not None:
        features = network.bind_features(weights[:1])(X)[0].T
        W, b = (weights[0, block.slice].view(block.shape) for block in network.layout[-2:])
        torch.testing.assert_close(features @ W.T + b, network.forward(weights[:1], X)[0])


def test_labels_that_are_left_out_tell_no_curvature():
    likelihood = Sites(Categorical(), 2)
    network = MLPNetwork(4, 6, (3,))
    model = Model(network, Normal(scale=1.0), likelihood, 3, torch.empty(0, dtype=torch.float64))
    X = drawn(network, n_rows=30)[1]
    y = torch.randint(3, (30, 2), generator=make_generator(0))
    mode, ones = model.init(1, make_generator(1)), torch.ones(30, dtype=torch.float64)
    none = torch.full_like(y, -1)
    for kind in (FullCurvature, KroneckerCurvature, DiagonalCurvature):
        assert kind(model, Data(X, y, ones), mode).log_det > 1
        assert abs(kind(model, Data(X, none, ones), mode).log_det) < 1e-9


# --- parts that are free -------------------------------------------------------------


def test_partial_networks_have_the_derivatives_of_the_whole():
    whole = module_network(build(convolutions, {}), (1, 8, 8), 2)
    weights, X = drawn(whole)
    for which, kind in (("last", LastLayerNetwork), (["0", "3.bias"], PartialNetwork)):
        network = partial_network(whole, which, weights[0])
        assert type(network) is kind
        free = network.free_weights(weights[1])
        joined = weights[0].clone()
        for block in network.layout:
            same = next(b for b in whole.layout if b.name == block.name)
            joined[same.slice] = free[block.slice]
        torch.testing.assert_close(network.forward(free[None], X), whole.forward(joined[None], X))
        places = torch.cat(
            [torch.arange(whole.n_weights)[b.slice] for b in whole.layout
             if b.name in {own.name for own in network.layout}]
        )  # fmt: skip
        jacobian = whole.jacobian(joined, X)[..., places]
        torch.testing.assert_close(network.jacobian(free, X), jacobian)
        tangents = torch.randn(2, len(free), dtype=torch.float64, generator=make_generator(5))
        torch.testing.assert_close(
            network.jvp(free, tangents, X)[1], torch.einsum("nkp,sp->snk", jacobian, tangents)
        )


def test_the_last_layer_alone_needs_no_jacobian_of_the_rest():
    model, data = classes_of(network_of_three())
    mode = model.init(1, make_generator(0))
    first = model.network.layout[-2].start
    whole = torch.cat(list(weighted_jacobians(model, data, mode)))[:, first:]
    torch.testing.assert_close(torch.cat(list(weighted_jacobians(model, data, mode, first))), whole)


# --- what is refused -----------------------------------------------------------------


class Codes(nn.Linear):
    def forward(self, x):
        return super().forward(x).argmax(1)


class Two(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) + torch.randn(x.shape[0], 2)


class Broken(nn.Linear):
    def forward(self, x):
        return super().forward(x) / 0.0 * 0.0


class Centred(nn.Linear):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Idle(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        return self.used(x)


REFUSED = {
    "integers": (lambda: Codes(4, 2), "logits of classes, not the classes themselves"),
    "several": (lambda: Two(4, 2), "return the outputs alone"),
    "random": (lambda: Noisy(4, 2), "draws random numbers"),
    "not finite": (lambda: Broken(4, 2), "NaN or infinite"),
    "width": (lambda: nn.Linear(4, 3), r"takes 2 numbers for each row; let the factory take"),
    "shape": (lambda: nn.Linear(5, 2), "cannot take rows of shape"),
    "batches": (lambda: nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)), "use nn.GroupNorm"),
    "no parameters": (lambda: nn.Flatten(), "has no parameters"),
    "idle": (Idle, "does not use 'idle.weight'"),
    "rows that mix": (lambda: Centred(4, 2), "each must stand alone"),
    "no module": (dict, "is no torch.nn.Module"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_network_is_refused(name):
    make, message = REFUSED[name]
    state = torch.get_rng_state()
    with pytest.raises(ModuleError, match=message):
        module_network(build(make, {}), (4,), 2)
    assert torch.equal(state, torch.get_rng_state())


def buffered():
    """A module whose buffers make it be built with numbers."""
    layer = nn.Linear(4, 2)
    layer.register_buffer("offset", torch.ones(2))
    return layer


def test_building_draws_nothing_from_the_global_generator():
    state = torch.get_rng_state()
    for make in (perceptron, buffered, convolutions):
        build(make, {})
    assert torch.equal(state, torch.get_rng_state())


# --- networks that are ready ---------------------------------------------------------

READY = {
    "cnn": (CNN((1, 8, 8), (4, 6), (5,), "relu"), 64, 3, ()),
    "cnn, pooled": (CNN((1, 8, 8), (4,), (), "tanh", 5, "max", "valid"), 64, 3, ()),
    "gru": (GRU(5, 2, (8, 8)), 64, 3, ()),
    "gru of steps": (GRU(5, 1, (8, 8)), 64, 24, (8,)),
    "lstm": (LSTM(5, 1, (8, 8)), 64, 3, ()),
    "resnet": (ResNet((1, 8, 8), (8, 16)), 64, 3, ()),
    "unet": (UNet((1, 8, 8), (4, 6)), 64, 192, (8, 8)),
    "unet, odd": (UNet((2, 7, 5), (4, 6, 8)), 70, 105, (7, 5)),
}


@pytest.mark.parametrize("name", READY)
def test_ready_networks_have_the_outputs_that_are_asked_for(name):
    spec, n_inputs, n_outputs, target_shape = READY[name]
    network = spec.resolved("network", {}, n_inputs).network(n_inputs, n_outputs, target_shape)
    weights, X = drawn(network)
    assert network.forward(weights, X).shape == (3, 4, n_outputs)
    torch.testing.assert_close(network.forward(weights, X), by_torch(network, weights, X))


def test_a_module_takes_what_its_factory_asks_for():
    def make(n_inputs, n_outputs, input_shape, width=3):
        assert input_shape == (2, 2)
        return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, width), nn.Linear(width, n_outputs))

    spec = Module(make, {"width": 7}, (2, 2)).resolved("network", {}, 4)
    assert spec.network(4, 5).n_weights == 4 * 7 + 7 + 7 * 5 + 5
    assert spec.fixed_outputs() is None
    assert spec.get_params()["params__width"] == 7
    assert spec.set_params(params__width=2).params == {"width": 2}
    with pytest.raises(ModuleError, match="give the rest in params"):
        Module(lambda width: nn.Linear(4, width), input_shape=(4,)).network(4, 2)


#: Ready networks, and another value of each of their parameters.
SETTINGS = {
    CNN: {
        "channels": (2,), "hidden_layer_sizes": (3,), "activation": "relu", "kernel_size": 5,
        "pooling": "max", "padding": "valid", "image_shape": (4, 4, 4),
    },
    GRU: {"units": 3, "n_layers": 2, "input_shape": (16, 4)},
    LSTM: {"units": 3, "n_layers": 2, "input_shape": (16, 4)},
    ResNet: {
        "channels": (8,), "n_blocks": 2, "activation": "softplus", "image_shape": (4, 4, 4),
    },
    UNet: {"channels": (2,), "activation": "tanh", "image_shape": (4, 4, 4)},
}  # fmt: skip
DEFAULTS = {"channels": [4], "hidden_layer_sizes": [5], "activation": "tanh"}


@pytest.mark.parametrize(
    ("kind", "parameter"), [(k, p) for k, settings in SETTINGS.items() for p in settings]
)
def test_every_parameter_of_a_ready_network_changes_it(kind, parameter):
    assert set(SETTINGS[kind]) == set(kind._get_param_names())
    shape = "input_shape" if kind in (GRU, LSTM) else "image_shape"
    before = kind(**{shape: (8, 8) if kind in (GRU, LSTM) else (1, 8, 8)})
    after = kind(**{**before.get_params(), parameter: SETTINGS[kind][parameter]})
    found = []
    for spec in (before, after):
        own = spec.resolved("network", DEFAULTS, 64)
        sites = tuple(own.image_shape[1:]) if kind is UNet else ()
        network = own.network(64, 2 * (int(np.prod(sites)) if sites else 1), sites)
        weights, X = drawn(network)
        found.append(network.forward(weights, X))
    assert found[0].shape != found[1].shape or (found[0] - found[1]).abs().max() > 1e-3
