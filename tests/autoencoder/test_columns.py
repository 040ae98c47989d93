"""Kinds of columns against scipy, their own draws, and derivatives of their log densities."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skbayes.autoencoder._table import Table
from skbayes.data._columns import BinaryColumns, LevelColumns, NumberColumns
from skbayes.likelihoods import COLUMN_LIKELIHOODS, Gaussian, StudentTColumns
from skbayes.likelihoods._column_kinds import SampledBernoulliColumns
from tests.autoencoder.linear import encoded as encoded_rows

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(5, 3, 40), RNG.normal(-1, 0.1, 40)])
LEVELS = np.column_stack([RNG.integers(0, 3, 40), 10 * RNG.integers(0, 2, 40)]).astype(float)
BITS = RNG.integers(0, 2, (40, 3)).astype(float)
WEIGHT = np.ones(40)
NONE = torch.zeros(1, 0)

#: Likelihood, and columns.
CASES = {
    "shared": ("shared_gaussian", X),
    "feature": ("gaussian", X),
    "input": ("heteroscedastic", X),
    "fixed": (Gaussian(0.5), X),
    "student_t": ("student_t", X),
    "student_t_shared": (StudentTColumns("shared_gaussian"), X),
    "student_t_fixed": (StudentTColumns(Gaussian(0.5)), X),
    "student_t_input": (StudentTColumns("heteroscedastic"), X),
    "bernoulli": ("bernoulli", BITS),
    "categorical": ("categorical", LEVELS),
}


def fitted(name):
    likelihood, columns = CASES[name]
    return Table.of(likelihood, columns.shape[1], "column").fit(columns, WEIGHT), columns


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """A fitted table, its columns, outputs of a decoder, and unknowns of the noise."""
    table, columns = fitted(request.param)
    n_outputs = table.likelihood.n_outputs
    outputs = torch.from_numpy(np.random.default_rng(1).normal(size=(40, n_outputs)))
    return table, columns, outputs, table.likelihood.init().double()[None] + 0.15


def test_every_kind_is_tried():
    assert {kind for kind, _ in CASES.values()} >= set(COLUMN_LIKELIHOODS)


def test_columns_come_back(case):
    table, columns, *_ = case
    assert_allclose(table.decode(table.encode(columns)), columns, rtol=1e-12)


def density(name, outputs, noise):
    """Log density in units of X, and the columns."""
    table, columns = fitted(name)
    y = torch.from_numpy(table.encode(columns))
    (found,) = table.likelihood.log_prob(torch.from_numpy(outputs)[None], y, noise)
    return found.numpy() - table.log_scale(encoded_rows(y)), columns


@pytest.mark.parametrize("name", ["shared", "feature", "fixed", "input"])
def test_normal_density_in_units_of_x(name):
    likelihood = fitted(name)[0].likelihood
    outputs = np.random.default_rng(1).normal(size=(40, likelihood.n_outputs))
    noise = torch.full((1, len(likelihood.init())), -0.7, dtype=torch.float64)
    sd = np.exp(-0.7) + 1e-2
    if name == "fixed":
        sd = 0.5 / X.std(0)
    if name == "input":
        sd = np.exp(outputs[:, 2:]) + 1e-2
    mean = outputs[:, :2] * X.std(0) + X.mean(0)
    theirs = stats.norm(mean, sd * X.std(0)).logpdf(X).sum(1)
    assert_allclose(density(name, outputs, noise)[0], theirs, rtol=1e-10)


@pytest.mark.parametrize("name", ["student_t", "student_t_shared", "student_t_input"])
def test_student_density_in_units_of_x(name):
    likelihood = fitted(name)[0].likelihood
    outputs = np.random.default_rng(1).normal(size=(40, likelihood.n_outputs))
    log_sd = {"student_t": [0.1, -1.0], "student_t_shared": [0.1], "student_t_input": []}[name]
    noise = torch.tensor([[*log_sd, 0.5]], dtype=torch.float64)
    sd = np.exp(log_sd if log_sd else outputs[:, 2:]) + 1e-2
    mean = outputs[:, :2] * X.std(0) + X.mean(0)
    theirs = stats.t(2 + np.exp(0.5), mean, sd * X.std(0)).logpdf(X).sum(1)
    assert_allclose(density(name, outputs, noise)[0], theirs, rtol=1e-10)


def test_binary_probability():
    logits = np.random.default_rng(1).normal(size=BITS.shape)
    theirs = stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(BITS).sum(1)
    assert_allclose(density("bernoulli", logits, NONE)[0], theirs, rtol=1e-10)


def test_probability_of_levels():
    logits = np.random.default_rng(1).normal(size=(40, 5))
    theirs = np.zeros(40)
    for own, column, levels in ((slice(0, 3), 0, [0, 1, 2]), (slice(3, 5), 1, [0, 10])):
        log_p = logits[:, own] - np.log(np.exp(logits[:, own]).sum(1, keepdims=True))
        theirs += log_p[np.arange(40), np.searchsorted(levels, LEVELS[:, column])]
    assert_allclose(density("categorical", logits, NONE)[0], theirs, rtol=1e-10)


def test_a_missing_value_leaves_the_others(case):
    """The density without one column is the sum of those of the others, each alone."""
    table, columns, outputs, noise = case
    alone = []
    for column in range(columns.shape[1]):
        seen = np.arange(columns.shape[1]) == column
        y = torch.from_numpy(table.encode(np.where(seen, columns, np.nan)))
        observed = torch.from_numpy(np.tile(seen, (40, 1)).astype(float))
        alone.append(table.likelihood.log_prob(outputs[None], y, noise, observed))
    y = torch.from_numpy(table.encode(columns))
    whole = table.likelihood.log_prob(outputs[None], y, noise)
    assert_allclose(torch.stack(alone).sum(0).numpy(), whole.numpy(), rtol=1e-9)


def test_draws_have_the_mean_and_the_density(case):
    table, _, outputs, noise = case
    likelihood, n, generator = table.likelihood, 4000, torch.Generator().manual_seed(0)
    many = outputs[:1].expand(n, -1)
    (draws,) = likelihood.sample(many[None], noise, generator)
    z = (draws.mean(0) - likelihood.mean(outputs[None, :1], noise)[0, 0]) / (draws.std(0) / n**0.5)
    assert z.abs().max() < 4.5
    # E[p'(x) / p(x)] = 0 for the derivative in every parameter that the density has.
    many = many.clone().requires_grad_()
    total = likelihood.log_prob(many[None], draws, noise).sum()
    score = torch.autograd.grad(total, many)[0]
    assert (score.mean(0) / (score.std(0) / n**0.5)).abs().max() < 4.5


@pytest.mark.parametrize("masked", [False, True])
def test_whitened_moves_have_the_fisher_information(case, masked):
    """Squares of whitened moves sum to the variance of the score along the move."""
    table, columns, outputs, noise = case
    likelihood, n, generator = table.likelihood, 20000, torch.Generator().manual_seed(0)
    seen = None
    if masked:  # the first column alone
        seen = torch.zeros(1, columns.shape[1], dtype=torch.float64)
        seen[0, 0] = 1
    many = outputs[:1].repeat(n, 1).requires_grad_()
    (draws,) = likelihood.sample(many.detach()[None], noise, generator)
    total = likelihood.log_prob(many[None], draws, noise, seen).sum()
    score = torch.autograd.grad(total, many)[0]
    moves = torch.eye(likelihood.n_outputs, dtype=torch.float64)[:, None]
    white = likelihood.whiten(moves, outputs[None, :1], noise, seen)[:, 0]
    information = white @ white.T
    products = score[:, :, None] * score[:, None, :]
    error = products.std(0) / n**0.5
    assert ((products.mean(0) - information).abs() / (error + 1e-9)).max() < 4.5


def test_scales_of_incomplete_columns_are_those_of_what_is_there():
    holes = X.copy()
    holes[::3, 0] = np.nan
    scaler = NumberColumns("column").fit(holes, WEIGHT).scaler
    assert_allclose(scaler.mean, np.nanmean(holes, axis=0))
    assert_allclose(scaler.scale, np.nanstd(holes, axis=0))


def test_columns_of_a_table_come_back_in_their_places():
    mixed = np.column_stack([X[:, 0], LEVELS[:, 0], BITS[:, 0], X[:, 1]])
    likelihood = {"categorical": [1], "gaussian": [3, 0], "bernoulli": [2]}
    table = Table.of(likelihood, 4, "column").fit(mixed, WEIGHT)
    assert (table.n_columns, table.n_encoded, table.likelihood.n_outputs) == (4, 6, 6)
    assert_allclose(table.decode(table.encode(mixed)), mixed, rtol=1e-12)
    holes = mixed.copy()
    holes[0, 0] = np.nan
    assert_array_equal(np.flatnonzero(~table.observed(holes)[0]), [2])
    observed = torch.from_numpy(table.observed(holes).astype(np.float32))
    rows = encoded_rows(torch.zeros(40, 6), observed=observed)
    scales = np.log(X.std(0))
    assert_allclose(table.log_scale(rows)[:2], [scales[1], scales.sum()])


def test_values_are_drawn_afresh_with_their_probabilities():
    kind = SampledBernoulliColumns()
    p, generator = torch.tensor([[0.0, 0.2, 1.0]]), torch.Generator().manual_seed(0)
    draws = torch.cat([kind.refresh(p, generator) for _ in range(2000)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert draws.mean(0).tolist() == pytest.approx([0, 0.2, 1], abs=4.5 * 0.4 / 2000**0.5)
    rounded = BinaryColumns("threshold").fit(BITS, WEIGHT).encode(np.array([[0.2, 0.5, 0.9]]))
    assert_array_equal(rounded, [[0, 1, 1]])


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (BinaryColumns(None), np.array([[2.0, 0.0, 1.0]]), r"in \[0, 1\].*0 to 2.*MinMaxScaler"),
        (LevelColumns(), np.array([[7.0, 0.0]]), "holds 7, which was not among"),
    ],
)
def test_impossible_values_are_named(kind, values, message):
    kind.fit(LEVELS if isinstance(kind, LevelColumns) else BITS, WEIGHT)
    with pytest.raises(ValueError, match=message):
        kind.encode(values)
