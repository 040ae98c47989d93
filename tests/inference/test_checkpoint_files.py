"""Files of runs: each run has its own, and damaged or foreign ones are refused."""

import pickle
import random
import shutil
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import VAETransformer, io
from skbayes.exceptions import CheckpointError, CheckpointWarning
from skbayes.inference import INFERENCES
from skbayes.inference._base import SteppedInference
from skbayes.networks import MLP
from skbayes.priors import Normal
from skbayes.training import Training, _checkpoint
from skbayes.training._checkpoint import CheckpointStore
from skbayes.training._encoding import Codec
from skbayes.utils._files import replaced
from tests.inference.interrupted import iteration, states_number, stop_at
from tests.inference.resumable import (
    draws_hash,
    fit,
    make,
    problem,
    states,
)

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")

# --- whose files --------------------------------------------------------------------


def keys(folder):
    return {path.name.split(".")[0] for path in states(folder)}


def test_every_other_run_has_files_of_its_own(tmp_path):
    X, y = problem()
    runs = [
        (make("sghmc", tmp_path), (X, y)),
        (make("sghmc", tmp_path, random_state=1), (X, y)),
        (make("sghmc", tmp_path, friction=2.0), (X, y)),
        (make("sghmc", tmp_path).set_params(prior="laplace"), (X, y)),
        (make("sghmc", tmp_path).set_params(prior__scale=0.5), (X, y)),
        (make("sghmc", tmp_path).set_params(likelihood="student_t"), (X, y)),
        (make("sghmc", tmp_path).set_params(activation="relu"), (X, y)),
        (make("sghmc", tmp_path).set_params(dtype="float64"), (X, y)),
        (make("sghmc", tmp_path), (X, y + np.arange(30) % 2)),
        (make("sghmc", tmp_path), (X[:-1], y[:-1])),
        (make("sghmc", tmp_path), (X, y, np.linspace(0.5, 1.5, 30))),
        (make("sgld", tmp_path), (X, y)),
    ]
    for number, (estimator, data) in enumerate(runs, 1):
        estimator.set_params(inference__warmup=4, inference__n_samples=4)
        estimator.set_params(inference__checkpoint_every=1000)
        estimator.fit(*data)
        assert len(keys(tmp_path)) == number


def test_repeated_rows_and_weights_are_one_run(tmp_path):
    X, y = problem()
    make("hmc", tmp_path).fit(np.repeat(X, 2, axis=0), np.repeat(y, 2))
    make("hmc", tmp_path, checkpoint_every=7).fit(X, y, np.full(30, 2.0))
    assert len(keys(tmp_path)) == 1


def test_a_grid_search_shares_a_folder(tmp_path):
    quick = make("hmc", str(tmp_path), n_samples=6, warmup=4, max_extensions=0)
    grid = {"inference__trajectory_length": [0.5, 1.0]}
    search = GridSearchCV(quick, grid, cv=2).fit(*problem())
    alone = clone(search.best_estimator_).set_params(inference__checkpoint=None).fit(*problem())
    assert draws_hash(search.best_estimator_) == draws_hash(alone)
    assert len(keys(tmp_path)) == 5


def test_a_warm_start_is_a_run_of_its_own(tmp_path):
    fits = []
    for folder in (None, tmp_path):
        estimator = make("hmc", folder).set_params(warm_start=True)
        fits.append(draws_hash(estimator.fit(*problem()).fit(*problem())))
    assert fits[0] == fits[1]
    assert len(keys(tmp_path)) == 2


@pytest.mark.filterwarnings("ignore::skbayes.exceptions.CheckpointWarning")
def test_two_fits_of_one_run_do_not_write_at_once(tmp_path, uninterrupted):
    """The second waits for the first, and returns its draws."""
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(draws_hash(fit("sghmc", tmp_path))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == 2 * [uninterrupted["sghmc"]]


def test_without_a_seed_there_is_nothing_to_go_on_from(tmp_path):
    estimator = make("sghmc", tmp_path, random_state=None)
    with pytest.raises(CheckpointError, match="integer random_state"):
        estimator.fit(*problem())
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "run"
    path.write_text("mine")
    with pytest.raises(CheckpointError, match="is a file; name a folder"):
        fit("sghmc", path)
    assert path.read_text() == "mine"


def test_engines_say_what_their_states_are_made_of():
    for kind in INFERENCES.values():
        if issubclass(kind, SteppedInference):
            assert kind.state_types
            assert {"checkpoint", "checkpoint_every"} <= set(kind().get_params())


def coder(folder):
    training = Training(max_iter=2, checkpoint=folder)
    return VAETransformer(1, encoder=MLP(2), training=training, n_score_samples=4, random_state=0)


@pytest.mark.parametrize("model", ["engine", "pipeline", "search", "autoencoder"])
def test_a_file_does_not_decide_where_checkpoints_go(model, tmp_path):
    """A colleague's file names a folder of the colleague's: nothing is written there."""
    folder, (X, y) = tmp_path / "theirs", problem()
    short = make("hmc", folder, n_samples=4, warmup=4, max_extensions=0)
    fitted = {
        "engine": short,
        "pipeline": make_pipeline(StandardScaler(), short),
        "search": GridSearchCV(short, {"prior__scale": [1.0]}, cv=2),
        "autoencoder": coder(folder),
    }[model].fit(X, y)
    io.save(fitted, tmp_path / "model")
    shutil.rmtree(folder)
    with pytest.warns(CheckpointWarning, match=r"theirs.*set the parameter checkpoint again"):
        loaded = io.load(tmp_path / "model")
    loaded.fit(X, y)
    if model != "autoencoder":
        skbayes.extend(loaded, X, y, 4)
    assert not folder.exists()


@pytest.mark.parametrize("make_one", [lambda folder: make("hmc", folder), coder])
def test_a_folder_without_a_name_is_refused(make_one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="checkpoint='' names no folder"):
        make_one("").fit(*problem())
    assert not list(tmp_path.iterdir())


def test_a_class_that_was_edited_is_another_run(tmp_path):
    def fit_with(sign):
        class Mine(Normal):
            def log_base(self, z):
                return sign * super().log_base(z)

        quick = make("hmc", tmp_path, n_samples=4, warmup=4, max_extensions=0)
        quick.set_params(prior=Mine()).fit(*problem())
        return len(keys(tmp_path))

    assert [fit_with(sign) for sign in (1.0, 1.0, 0.5)] == [1, 1, 2]


# --- files --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run stopped among its draws."""
    folder = tmp_path_factory.mktemp("stopped")
    stop_at("sghmc", 150, folder)
    return folder


def flip(path, place):
    raw = bytearray(path.read_bytes())
    raw[int(place * (len(raw) - 1))] ^= 1
    path.write_bytes(raw)


def rewrite(path, **content):
    """The same file with other contents, its hash in order."""
    old, _ = _checkpoint.read_verified(path)
    store = CheckpointStore(path.parent, content.pop("key", old["key"]))
    number = old["number"]
    written = {**old, **content}
    store._write(written["kind"], number, written)


DAMAGE = {
    "first bit": (lambda path: flip(path, 0), "is damaged, or was not written by skbayes"),
    "own hash": (lambda path: flip(path, 0.002), "is damaged"),
    "middle bit": (lambda path: flip(path, 0.5), "is damaged: its SHA-256"),
    "last bit": (lambda path: flip(path, 1), "is damaged: its SHA-256"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged, or was not written"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps([1])), "was not written by skbayes"),
}
FOREIGN = {
    "newer": (lambda path: rewrite(path, format=99), "has format 99, not 2"),
    "release": (lambda path: rewrite(path, versions={"skbayes": "9"}), "was written by"),
}


def newest_files(folder):
    """The newest state, and the file of draws that it alone refers to."""
    newest = states(folder)[-1]
    older, last = (_checkpoint.read_verified(path)[0]["segments"] for path in states(folder))
    (own,) = set(last) - set(older)
    return {"state": newest, "draws": newest.with_name(f"{newest.name[:33]}{own:010d}.draws")}


def contents(folder):
    return {path: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["state", "draws"])
@pytest.mark.parametrize("wrong", DAMAGE)
def test_a_damaged_newest_generation_is_passed_over(wrong, kind, stopped, tmp_path, uninterrupted):
    """The run goes on from the state before it, says so, and leaves what is damaged."""
    folder = shutil.copytree(stopped, tmp_path / "run")
    path = newest_files(folder)[kind]
    spoil, message = DAMAGE[wrong]
    spoil(path)
    before, at = contents(folder), iteration_of(states(folder)[0])
    taken = []
    with pytest.MonkeyPatch.context() as patch:
        step = INFERENCES["sghmc"].step
        patch.setattr(INFERENCES["sghmc"], "step", lambda *args: (taken.append(1), step(*args))[1])
        with pytest.warns(CheckpointWarning, match=message) as caught:
            resumed = fit("sghmc", folder)
    assert str(path) in str(caught[0].message)
    assert draws_hash(resumed) == uninterrupted["sghmc"]
    assert len(taken) == resumed.n_iter_ - at
    for name in newest_files(stopped).values():
        assert before[folder / name.name] == (folder / name.name).read_bytes()
    # The files written since are sound: the next fit takes no step and warns of nothing.
    assert draws_hash(fit("sghmc", folder)) == uninterrupted["sghmc"]


def iteration_of(path):
    return _checkpoint.read_verified(path)[0]["value"]["items"]["iteration"]


def test_a_run_is_damaged_twice_and_killed_between(stopped, tmp_path, uninterrupted):
    folder = shutil.copytree(stopped, tmp_path / "run")
    for number in (190, 230):
        flip(newest_files(folder)["state"], 0.5)
        with pytest.warns(CheckpointWarning, match="is damaged"):
            stop_at("sghmc", number, folder)
        assert iteration(folder) == number
        flip_all_but_two(folder)
    assert draws_hash(fit("sghmc", folder)) == uninterrupted["sghmc"]


def flip_all_but_two(folder):
    """Only the two newest states matter; older ones that were left are of no account."""
    for path in states(folder)[:-2]:
        path.unlink()


def test_an_older_state_is_not_asked(stopped, tmp_path, uninterrupted):
    folder = shutil.copytree(stopped, tmp_path / "run")
    flip(states(folder)[0], 0.5)
    assert draws_hash(fit("sghmc", folder)) == uninterrupted["sghmc"]


def spoil_both(folder, spoil):
    for path in states(folder):
        spoil(path)


def spoil_first_draws(folder, spoil):
    spoil(sorted(folder.glob("*.draws"))[0])


@pytest.mark.parametrize("where", [spoil_both, spoil_first_draws])
@pytest.mark.parametrize("wrong", DAMAGE)
def test_without_a_sound_state_the_run_is_refused(wrong, where, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    spoil, message = DAMAGE[wrong]
    where(folder, spoil)
    before = contents(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        fit("sghmc", folder)
    assert "no state before it is sound" in str(caught.value)
    assert str(folder) in str(caught.value)
    assert contents(folder) == before


@pytest.mark.parametrize("kind", ["state", "draws"])
@pytest.mark.parametrize("wrong", FOREIGN)
def test_a_newest_file_of_another_release_is_refused(wrong, kind, stopped, tmp_path):
    """What another release wrote is no damage: an older state would lose its work."""
    folder = shutil.copytree(stopped, tmp_path / "run")
    path = newest_files(folder)[kind]
    spoil, message = FOREIGN[wrong]
    spoil(path)
    if kind == "draws":  # whose hash its state holds
        _, own = _checkpoint.read_verified(path)
        rewrite(states(folder)[-1], last=own)
    before = contents(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        fit("sghmc", folder)
    assert str(path) in str(caught.value)
    assert contents(folder) == before


def test_another_runs_files_are_refused(stopped, tmp_path):
    """Copied under this run's name, or put in another's place."""
    folder = tmp_path / "run"
    stop_at("sghmc", 20, folder, random_state=1)
    (theirs,) = {path.name.split(".")[0] for path in states(stopped)}
    (ours,) = {path.name.split(".")[0] for path in states(folder)}
    for path in stopped.glob("*.[sd][tr]*"):
        shutil.copy(path, folder / path.name.replace(theirs, ours))
    with pytest.raises(CheckpointError, match="belongs to another run"):
        fit("sghmc", folder, random_state=1)


def test_a_missing_file_of_draws_is_refused(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    sorted(folder.glob("*.draws"))[1].unlink()
    with pytest.raises(CheckpointError, match=r"\.draws is missing"):
        fit("sghmc", folder)


def test_draws_of_another_place_are_refused(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    rewrite(sorted(folder.glob("*.draws"))[1], value={})
    with pytest.raises(CheckpointError, match="does not follow the file of draws before it"):
        fit("sghmc", folder)


def test_a_newest_file_of_draws_that_is_missing_is_passed_over(stopped, tmp_path, uninterrupted):
    folder = shutil.copytree(stopped, tmp_path / "run")
    newest_files(folder)["draws"].unlink()
    with pytest.warns(CheckpointWarning, match=r"\.draws is missing; the run goes on"):
        resumed = fit("sghmc", folder)
    assert draws_hash(resumed) == uninterrupted["sghmc"]


def test_the_state_before_the_last_one_serves(stopped, tmp_path, uninterrupted):
    folder = shutil.copytree(stopped, tmp_path / "run")
    assert len(states(folder)) == 2
    states(folder)[-1].unlink()
    assert draws_hash(fit("sghmc", folder)) == uninterrupted["sghmc"]


def spoil(path, rng):
    """Overwritten, cut out, put in, cut off at a place, gone, or a folder."""
    raw, noise = path.read_bytes(), rng.randbytes(30)
    at = rng.randrange(len(raw))
    path.unlink()
    kind = rng.randrange(6)
    if kind == 0:
        path.mkdir()
    elif kind > 1:
        before, after = raw[:at], raw[at:]
        ends = [noise + after[30:], after[30:], noise + after, b""]
        path.write_bytes(before + ends[kind - 2])


def test_every_damage_is_named_or_passed_over(tmp_path):
    """No damage gives other draws, or an error without a name."""
    brief, rng = (
        {"n_samples": 12, "warmup": 16, "thinning": 1, "max_extensions": 0},
        random.Random(0),
    )
    expected, told = draws_hash(fit("sghmc", **brief)), 0
    stop_at("sghmc", 24, tmp_path / "whole", checkpoint_every=3, **brief)
    for number in range(30):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / str(number))
        for path in rng.sample(sorted(folder.glob("*.[sd][tr]*")), rng.choice([1, 1, 2])):
            spoil(path, rng)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CheckpointWarning)
                found = draws_hash(fit("sghmc", folder, **brief))
        except CheckpointError as error:
            told += str(folder) in str(error)
        else:
            assert found == expected, number
    assert 5 < told < 25


def test_files_hold_no_code(stopped):
    """Every file is read by weights_only, which builds tensors and plain containers."""
    for path in stopped.glob("*.[sd][tr]*"):
        content, _ = _checkpoint.read_verified(path)
        _plain(content)


def _plain(value):
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            _plain(item)
    else:
        assert value is None or type(value) in (bool, int, float, str, torch.Tensor)


def test_a_checkpoint_costs_the_same_late_in_a_run(tmp_path, monkeypatch):
    """Bytes written in each state do not grow with the draws behind it."""
    written = []

    @contextmanager
    def watched(path):
        with replaced(path) as file:
            yield file
            written.append((path.suffix, file.tell()))

    monkeypatch.setattr(_checkpoint, "replaced", watched)
    fit("mclmc", tmp_path, n_samples=200, max_extensions=0, checkpoint_every=50)
    for suffix in (".state", ".draws"):
        sizes = [size for kind, size in written if kind == suffix]
        assert len(sizes) > 10
        assert max(sizes[3:-1]) <= 1.02 * sizes[2] + 64, suffix


def test_checkpoint_every_counts_steps(tmp_path):
    for every, expected in ((10, 12), (1000, 2)):
        folder = tmp_path / str(every)
        fit("mclmc", folder, warmup=50, n_samples=20, max_extensions=0, checkpoint_every=every)
        assert int(states_number(folder)) == expected


def test_states_hold_only_what_their_engine_lists():
    with pytest.raises(TypeError, match="which its engine does not list"):
        Codec([]).encode({"path": Path("here")})
