"""More draws from the chains of a fit: the bits of the longer fit, or a refusal."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError

from skbayes import BayesianMLPClassifier, io
from skbayes.exceptions import (
    CheckpointWarning,
    DataMismatchError,
    DrawsUnavailableError,
)
from skbayes.inference import HMC, INFERENCES
from skbayes.inference.mcmc._chains import ChainSampler
from tests.engine_configs import quick_regressor
from tests.inference.interrupted import Crash, before_step, crash
from tests.inference.resumable import SAMPLERS, draws_hash, make, problem, states

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")
X, Y = problem()
PLAIN = {"max_extensions": 0, "warmup": 16, "schedule": "constant"}


def sampler(name, n_samples, folder=None, **params):
    """A regressor that draws so many, none of them thinned away."""
    given = {**PLAIN, **params}
    if name not in ("sghmc", "sgld"):
        given.pop("schedule")
    return make(name, folder, n_samples=n_samples, **given)


def told(fitted):
    """All that a fit says: draws, statistics, diagnostics, steps, evidence."""
    stats = fitted.posterior_.sample_stats
    return (
        draws_hash(fitted),
        {name: values.tobytes() for name, values in stats.items()},
        fitted.n_iter_,
        fitted._log_evidence,
        fitted.inference_.get_params(),
    )


# --- the bits of the longer fit -------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("parts", [(7, 13), (12, 4, 4)], ids=str)
def test_extending_gives_the_bits_of_the_longer_fit(name, parts):
    whole = sampler(name, sum(parts)).fit(X, Y)
    extended = sampler(name, parts[0]).fit(X, Y)
    for part in parts[1:]:
        assert extended.extend(X, Y, part) is extended
    assert told(extended) == told(whole)
    assert_array_equal(extended.predict(X), whole.predict(X))
    # The parameter is the user's, the fitted engine counts.
    assert extended.inference.n_samples == parts[0]
    assert extended.inference_.n_samples == sum(parts)


@pytest.mark.parametrize("name", ["hmc", "sghmc"])
def test_an_evidence_is_extended_too(name):
    whole = sampler(name, 20, evidence="importance").fit(X, Y)
    extended = sampler(name, 8, evidence="importance").fit(X, Y).extend(X, Y, 12)
    # So few draws make too rough a proposal for a number; what it rests on is there.
    assert extended._evidence_ess == whole._evidence_ess < np.inf
    assert extended._log_evidence == whole._log_evidence
    assert extended.evidence_se_ == whole.evidence_se_


@pytest.mark.parametrize("name", ["sghmc", "sgld"])
def test_cycles_keep_their_length(name):
    cyclical = {"schedule": "cyclical", "max_extensions": 0}
    whole = make(name, n_samples=20, n_cycles=5, **cyclical).fit(X, Y)
    extended = make(name, n_samples=12, n_cycles=3, **cyclical).fit(X, Y).extend(X, Y, 8)
    assert told(extended) == told(whole)
    with pytest.raises(ValueError, match=r"whole cycles of 4 draws, but n_samples=6"):
        extended.extend(X, Y, 6)
    assert told(extended) == told(whole)


@pytest.mark.parametrize("name", SAMPLERS)
def test_saved_pickled_and_extended(name, tmp_path):
    whole = sampler(name, 12).fit(X, Y)
    fitted = sampler(name, 5).fit(X, Y)
    io.save(fitted, tmp_path / "model")
    for again in (io.load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        assert told(again.extend(X, Y, 7)) == told(whole)


def plain(value):
    """Whether a value is made of arrays, scalars and containers alone."""
    if isinstance(value, dict):
        return all(type(name) is str and plain(item) for name, item in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str, np.ndarray)


@pytest.mark.parametrize("name", SAMPLERS)
def test_where_chains_stopped_is_plain(name):
    assert plain(sampler(name, 4).fit(X, Y).posterior_.stopped)


def test_rows_in_any_order_and_weights_for_repeats():
    whole = sampler("hmc", 9).fit(X, Y)
    extended = sampler("hmc", 4).fit(X, Y).extend(X[::-1], Y[::-1], 5)
    assert told(extended) == told(whole)
    weighted = sampler("hmc", 4).fit(X, Y, np.full(30, 2.0))
    weighted.extend(np.repeat(X, 2, axis=0), np.repeat(Y, 2), 5)
    assert told(weighted) == told(sampler("hmc", 9).fit(X, Y, np.full(30, 2.0)))


def test_classes_with_names():
    rows, codes = load_iris(return_X_y=True)
    labels = np.array(["setosa", "versicolor", "virginica"])[codes]
    engine = HMC(n_samples=6, warmup=8, init_steps=5, max_extensions=0)
    clf = BayesianMLPClassifier((3,), inference=engine, random_state=0)
    whole = clone(clf).set_params(inference__n_samples=10).fit(rows, labels)
    extended = clf.fit(rows, labels).extend(rows, labels, 4)
    assert_array_equal(extended.predict_proba(rows), whole.predict_proba(rows))


def reset(items):
    items["generator"]["state"]["values"][...] = torch.Generator().manual_seed(7).get_state()


def zero_momenta(items):
    items["phase"]["items"]["momentum"]["values"][...] = 0


def swap_chains(items):
    items["params"]["values"][...] = np.flip(items["params"]["values"], axis=0).copy()


def move_step(items):
    items["step_size"] *= 1 + 1e-6


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("hmc", reset),
        ("hmc", swap_chains),
        ("hmc", move_step),
        ("sghmc", reset),
        ("sghmc", zero_momenta),
    ],
)
def test_a_state_that_is_not_whole_is_found(name, spoil):
    """Each part of what is kept matters to the bits."""
    fitted = sampler(name, 8).fit(X, Y)
    spoil(fitted.posterior_.stopped["state"]["items"])
    assert told(fitted.extend(X, Y, 8)) != told(sampler(name, 16).fit(X, Y))


# --- what holds otherwise ---------------------------------------------------------------


def test_a_lengthened_run_goes_on_at_its_spacing():
    """Twice as many draws as asked for were sampled, and every second one was kept."""
    fitted = make("hmc", n_samples=10, max_extensions=2, warmup=4).fit(X, Y)
    before = fitted.posterior_.particles.copy()
    assert fitted.n_iter_ == 4 + 10 + 2 * 5
    fitted.set_params(inference__max_extensions=9).extend(X, Y, 6)
    assert fitted.posterior_.particles.shape[1] == 16
    assert_array_equal(fitted.posterior_.particles[:, :10], before)
    # Six at a spacing of two; lengthened again by halves of sixteen, at most twice.
    assert (fitted.n_iter_ - 24 - 12) % 8 == 0
    assert fitted.posterior_.sample_stats["lp"].shape == (2, 16)


def test_extend_lengthens_where_chains_disagree_as_the_longer_fit_does():
    short = {"n_samples": 10, "warmup": 4, "max_extensions": 0}
    fitted = make("hmc", **short).fit(X, Y)
    assert fitted.diagnostics_["r_hat"] > 1.01
    fitted.inference_.max_extensions = 1
    whole = make("hmc", n_samples=16, warmup=4, max_extensions=1).fit(X, Y)
    assert fitted.extend(X, Y, 6).n_iter_ == whole.n_iter_ == 4 + 16 + 8


def test_the_number_of_draws_is_what_was_asked_for():
    fitted = sampler("sghmc", 5).fit(X, Y)
    for n in (0, -1, 2.5, "3"):
        with pytest.raises(ValueError, match="n_samples must be a positive integer"):
            fitted.extend(X, Y, n)
    assert fitted.extend(X, Y, 1).posterior_.particles.shape[1] == 6


def test_parameters_set_since_do_not_matter():
    whole = sampler("hmc", 9).fit(X, Y)
    fitted = sampler("hmc", 4).fit(X, Y)
    fitted.set_params(prior="laplace", inference="map", dtype="float64", random_state=5)
    assert told(fitted.extend(X, Y, 5)) == told(whole)


# --- refusals ---------------------------------------------------------------------------


def state_of(fitted):
    """Every attribute, by content."""
    return pickle.dumps(fitted)


OTHER = {
    "targets": lambda: (X, Y + 1e-3 * np.arange(30)),
    "rows": lambda: (X + np.eye(30, 2), Y),
    "fewer": lambda: (X[:-1], Y[:-1]),
    "weights": lambda: (X, Y, np.linspace(1, 2, 30)),
}


@pytest.mark.parametrize("other", OTHER)
def test_other_data_are_refused_and_nothing_changes(other):
    fitted = sampler("hmc", 5).fit(X, Y)
    before = state_of(fitted)
    x, y, *weight = OTHER[other]()
    with pytest.raises(DataMismatchError, match=r"not those of the fit.*fit anew"):
        fitted.extend(x, y, 5, *weight)
    assert state_of(fitted) == before
    fitted.extend(X, Y, 5)


def test_wrong_shapes_and_unknown_labels():
    fitted = sampler("hmc", 5).fit(X, Y)
    before = state_of(fitted)
    with pytest.raises(ValueError, match="features"):
        fitted.extend(X[:, :1], Y, 5)
    with pytest.raises(ValueError, match="targets"):
        fitted.extend(X, np.column_stack([Y, Y]), 5)
    with pytest.raises(ValueError, match="inconsistent"):
        fitted.extend(X, Y[:-1], 5)
    assert state_of(fitted) == before
    with pytest.raises(NotFittedError):
        sampler("hmc", 5).extend(X, Y, 5)


def test_a_run_that_fails_leaves_the_fit_as_it_was(monkeypatch):
    fitted = sampler("hmc", 5).fit(X, Y)
    before = state_of(fitted)
    before_step(monkeypatch, "hmc", 22, crash)
    with pytest.raises(Crash):
        fitted.extend(X, Y, 5)
    assert state_of(fitted) == before
    monkeypatch.undo()
    assert told(fitted.extend(X, Y, 5)) == told(sampler("hmc", 10).fit(X, Y))


@pytest.mark.parametrize("name", sorted(INFERENCES))
def test_engines_without_chains_say_so(name):
    if issubclass(INFERENCES[name], ChainSampler):
        assert name in SAMPLERS, f"{name} belongs in the tests of extending"
        return
    rows, targets = (a[:40] for a in load_diabetes(return_X_y=True))
    fitted = quick_regressor(name).fit(rows, targets)
    with pytest.raises(DrawsUnavailableError, match=r"keeps no chains.*inference='hmc'"):
        fitted.extend(rows, targets, 5)


# --- with checkpoints -------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_extension_that_was_stopped_goes_on(name, tmp_path):
    whole = told(sampler(name, 20).fit(X, Y))
    fitted = sampler(name, 8, tmp_path, checkpoint_every=3).fit(X, Y)
    io.save(fitted, tmp_path / "model")
    with pytest.MonkeyPatch.context() as patch:
        before_step(patch, name, fitted.n_iter_ + 8, crash)
        with pytest.raises(Crash):
            fitted.extend(X, Y, 12)
    keys = {path.name.split(".")[0] for path in states(tmp_path)}
    assert len(keys) == 2, "the fit and its extension are two runs"
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        step = INFERENCES[name].step
        patch.setattr(INFERENCES[name], "step", lambda *args: (steps.append(1), step(*args))[1])
        with pytest.warns(CheckpointWarning, match="names folders of checkpoints"):
            loaded = io.load(tmp_path / "model")
        again = loaded.set_params(inference__checkpoint=tmp_path).extend(X, Y, 12)
    assert len(steps) == again.n_iter_ - fitted.n_iter_ - 6, "it began anew"
    engine = dict(whole[-1], checkpoint=tmp_path, checkpoint_every=3)
    assert told(again) == (*whole[:-1], engine)


def test_extensions_of_a_fit_without_a_seed_keep_files(tmp_path):
    """The state holds the generator, so that any extension is repeatable."""
    fitted = sampler("hmc", 5, random_state=None).fit(X, Y)
    fitted.set_params(inference__checkpoint=tmp_path)
    fitted.extend(X, Y, 5)
    assert states(tmp_path)
