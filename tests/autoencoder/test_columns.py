"""Kinds of columns against scipy, their own draws, and derivatives of their log densities."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skbayes.autoencoder._columns import COLUMN_KINDS, Bernoulli, Categorical, Gaussian, StudentT
from skbayes.autoencoder._table import Rows, Table

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(5, 3, 40), RNG.normal(-1, 0.1, 40)])
LEVELS = np.column_stack([RNG.integers(0, 3, 40), 10 * RNG.integers(0, 2, 40)]).astype(float)
BITS = RNG.integers(0, 2, (40, 3)).astype(float)
WEIGHT = np.ones(40)

CASES = {
    "shared": (Gaussian("shared", "column"), X),
    "feature": (Gaussian("feature", "column"), X),
    "input": (Gaussian("input", "column"), X),
    "fixed": (Gaussian(0.25, "column"), X),
    "student_t": (StudentT("feature", "column"), X),
    "student_t_input": (StudentT("input", "column"), X),
    "bernoulli": (Bernoulli(None), BITS),
    "categorical": (Categorical(), LEVELS),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """A fitted kind, its encoded rows, outputs of a decoder, and parameters of the noise."""
    kind, columns = CASES[request.param]
    kind.fit(columns, WEIGHT)
    encoded = torch.from_numpy(kind.encode(columns))
    outputs = torch.from_numpy(np.random.default_rng(1).normal(size=(40, kind.n_outputs)))
    noise = {name: value.double() + 0.3 for name, value in kind.init().items()}
    return kind, columns, encoded, outputs, noise


def test_every_kind_is_tried():
    assert {type(kind) for kind, _ in CASES.values()} == set(COLUMN_KINDS.values())


def test_columns_come_back(case):
    kind, columns, encoded, _, _ = case
    assert_allclose(kind.decode(encoded.numpy()), columns, rtol=1e-12)


@pytest.mark.parametrize("name", ["shared", "feature", "fixed", "input"])
def test_normal_density_in_units_of_x(name):
    kind, columns = CASES[name]
    kind.fit(columns, WEIGHT)
    outputs = np.random.default_rng(1).normal(size=(40, kind.n_outputs))
    noise = {key: torch.tensor([-0.7], dtype=torch.float64) for key in kind.init()}
    ours = kind.log_prob(
        torch.from_numpy(kind.encode(columns)), None, torch.from_numpy(outputs), noise
    )
    variance = np.exp(-0.7) + 1e-4
    if name == "fixed":
        variance = 0.25 / X.std(0) ** 2
    if name == "input":
        variance = np.log1p(np.exp(outputs[:, 2:])) ** 2 + 1e-4
    mean = outputs[:, :2] * X.std(0) + X.mean(0)
    theirs = stats.norm(mean, np.sqrt(variance) * X.std(0)).logpdf(X).sum(1)
    assert_allclose(ours.numpy() - kind.log_scale(np.ones((40, 2))), theirs, rtol=1e-10)


def test_student_density_in_units_of_x():
    kind = StudentT("feature", "column").fit(X, WEIGHT)
    outputs = np.random.default_rng(1).normal(size=(40, 2))
    noise = {
        "log_variance": torch.tensor([0.1, -1.0], dtype=torch.float64),
        "log_df": torch.tensor([0.5], dtype=torch.float64),
    }
    ours = kind.log_prob(torch.from_numpy(kind.encode(X)), None, torch.from_numpy(outputs), noise)
    scale = np.sqrt(np.exp([0.1, -1.0]) + 1e-4) * X.std(0)
    mean = outputs * X.std(0) + X.mean(0)
    theirs = stats.t(2 + np.exp(0.5), mean, scale).logpdf(X).sum(1)
    assert_allclose(ours.numpy() - kind.log_scale(np.ones((40, 2))), theirs, rtol=1e-10)


def test_binary_probability():
    kind = Bernoulli(None).fit(BITS, WEIGHT)
    logits = np.random.default_rng(1).normal(size=BITS.shape)
    ours = kind.log_prob(torch.from_numpy(BITS), None, torch.from_numpy(logits), {})
    theirs = stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(BITS).sum(1)
    assert_allclose(ours.numpy(), theirs, rtol=1e-10)


def test_probability_of_levels():
    kind = Categorical().fit(LEVELS, WEIGHT)
    logits = np.random.default_rng(1).normal(size=(40, 5))
    ours = kind.log_prob(
        torch.from_numpy(kind.encode(LEVELS)), None, torch.from_numpy(logits), {}
    ).numpy()
    theirs = np.zeros(40)
    for own, column, levels in ((slice(0, 3), 0, [0, 1, 2]), (slice(3, 5), 1, [0, 10])):
        log_p = logits[:, own] - np.log(np.exp(logits[:, own]).sum(1, keepdims=True))
        theirs += log_p[np.arange(40), np.searchsorted(levels, LEVELS[:, column])]
    assert_allclose(ours, theirs, rtol=1e-10)


def test_a_missing_value_leaves_the_others(case):
    """The density without one column is the sum of those of the others, each alone."""
    kind, columns, encoded, outputs, noise = case
    n = kind.n_columns
    alone = []
    for column in range(n):
        seen = np.arange(n) == column
        holes = np.where(seen, columns, np.nan)
        observed = torch.from_numpy(np.tile(seen, (40, 1)).astype(float))
        alone.append(kind.log_prob(torch.from_numpy(kind.encode(holes)), observed, outputs, noise))
    whole = kind.log_prob(encoded, None, outputs, noise)
    assert_allclose(torch.stack(alone).sum(0).numpy(), whole.numpy(), rtol=1e-9)


def test_draws_have_the_mean_and_the_density(case):
    kind, _, _, outputs, noise = case
    n, generator = 4000, torch.Generator().manual_seed(0)
    many = outputs[:1].expand(n, -1)
    draws = kind.sample(many, noise, generator)
    z = (draws.mean(0) - kind.mean(outputs[:1])[0]) / (draws.std(0) / n**0.5)
    assert z.abs().max() < 4.5
    # E[p'(x) / p(x)] = 0 for the derivative in every parameter that the density has.
    many = many.clone().requires_grad_()
    score = torch.autograd.grad(kind.log_prob(draws, None, many, noise).sum(), many)[0]
    assert (score.mean(0) / (score.std(0) / n**0.5)).abs().max() < 4.5


def test_whitened_moves_have_the_fisher_information(case):
    """Squares of whitened moves sum to the variance of the score along the move."""
    kind, _, _, outputs, noise = case
    n, generator = 20000, torch.Generator().manual_seed(0)
    many = outputs[:1].repeat(n, 1).requires_grad_()
    draws = kind.sample(many.detach(), noise, generator)
    score = torch.autograd.grad(kind.log_prob(draws, None, many, noise).sum(), many)[0]
    moves = torch.eye(kind.n_outputs, dtype=torch.float64)[:, None]
    white = kind.whiten(moves, None, outputs[:1], noise)[:, 0]
    information = white @ white.T
    products = score[:, :, None] * score[:, None, :]
    error = products.std(0) / n**0.5
    assert ((products.mean(0) - information).abs() / (error + 1e-9)).max() < 4.5


def test_scales_of_incomplete_columns_are_those_of_what_is_there():
    holes = X.copy()
    holes[::3, 0] = np.nan
    scaler = Gaussian("feature", "column").fit(holes, WEIGHT).scaler
    assert_allclose(scaler.mean, np.nanmean(holes, axis=0))
    assert_allclose(scaler.scale, np.nanstd(holes, axis=0))


def test_columns_of_a_table_come_back_in_their_places():
    mixed = np.column_stack([X[:, 0], LEVELS[:, 0], BITS[:, 0], X[:, 1]])
    likelihood = {"categorical": [1], "gaussian": [3, 0], "bernoulli": [2]}
    options = {"noise_variance": "feature", "scale_inputs": "column", "binarize": None}
    table = Table.of(likelihood, 4, options).fit(mixed, WEIGHT)
    assert (table.n_columns, table.n_encoded, table.n_outputs) == (4, 6, 6)
    assert_allclose(table.decode(table.encode(mixed)), mixed, rtol=1e-12)
    holes = mixed.copy()
    holes[0, 0] = np.nan
    assert_array_equal(np.flatnonzero(~table.observed(holes)[0]), [2])
    rows = Rows(torch.zeros(40, 6), torch.from_numpy(table.observed(holes).astype(np.float32)))
    scales = np.log(X.std(0))
    assert_allclose(table.log_scale(rows)[:2], [scales[1], scales.sum()])


def test_values_are_drawn_afresh_with_their_probabilities():
    kind = Bernoulli("sample").fit(BITS, WEIGHT)
    p, generator = torch.tensor([[0.0, 0.2, 1.0]]), torch.Generator().manual_seed(0)
    draws = torch.cat([kind.refresh(p, generator) for _ in range(2000)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert draws.mean(0).tolist() == pytest.approx([0, 0.2, 1], abs=4.5 * 0.4 / 2000**0.5)
    rounded = Bernoulli("threshold").fit(BITS, WEIGHT).encode(np.array([[0.2, 0.5, 0.9]]))
    assert_array_equal(rounded, [[0, 1, 1]])


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Bernoulli(None), np.array([[2.0, 0.0, 1.0]]), r"in \[0, 1\].*0 to 2.*MinMaxScaler"),
        (Categorical(), np.array([[7.0, 0.0]]), "holds 7, which was not among"),
    ],
)
def test_impossible_values_are_named(kind, values, message):
    kind.fit(LEVELS if isinstance(kind, Categorical) else BITS, WEIGHT)
    with pytest.raises(ValueError, match=message):
        kind.encode(values)
