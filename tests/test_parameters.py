"""Every statistical parameter changes the fit; every operational one only what it names.

The tables below are held against `get_params`, so that a new parameter without an entry
fails here.
"""

import re
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_diabetes, load_iris
from skorch.callbacks import GradientNormClipping

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor

from skbayes.inference.mode import _search as _mode  # isort: skip
from skbayes.inference import INFERENCES, MAP, DeepEnsemble, Laplace, MCDropout
from skbayes.likelihoods import LIKELIHOODS, Gaussian
from skbayes.posteriors import _function_draws
from skbayes.priors import PRIORS, Normal
from tests.engine_configs import cheap_engines

X, Y = (a[:60] for a in load_diabetes(return_X_y=True))
IRIS = tuple(a[::3] for a in load_iris(return_X_y=True))

CHEAP = cheap_engines(
    max_iter=20,
    map={"hyperparameters": "fixed"},
    hmc={"n_samples": 10, "warmup": 12},
    nuts={"n_samples": 10, "warmup": 12},
    mclmc={"step_size": 0.1, "energy_variance": 0.1},
)
#: Settings that must change what is fitted, by the name of an engine's parameter; an engine
#: that has only such needs no line here.
SETTINGS = {
    "max_iter": {"max_iter": 10},
    "learning_rate": {"learning_rate": 0.01},
    "batch_size": {"batch_size": 16},
    # A tolerance that ends a long run early.
    "tol": {"tol": 0.5, "max_iter": 1000},
    "callbacks": {"callbacks": [GradientNormClipping(1e-9)]},
    "hyperparameters": {"hyperparameters": "fixed"},
    "n_snapshots": {"n_snapshots": 3},
    "structure": {"structure": "diag"},
    "rank": {"rank": 2},
    "predictive": {"predictive": "sampled"},
    "temperature": {"temperature": 0.5},
    "evidence": {"evidence": None},
    "n_particles": {"n_particles": 2},
    "gradient": {"gradient": "shared"},
    "rate": {"rate": 0.3},
    "n_members": {"n_members": 2},
    "anchored": {"anchored": True},
    "n_samples": {"n_samples": 12},
    "n_chains": {"n_chains": 2},
    "init_steps": {"init_steps": 10},
    "warmup": {"warmup": 8},
    "step_size": {"step_size": 1e-4},
    "target_accept": {"target_accept": 0.6},
    "mass_matrix": {"mass_matrix": "identity"},
    "max_extensions": {"max_extensions": 1, "n_chains": 2},
    "trajectory_length": {"trajectory_length": "auto"},
    "jitter": {"jitter": 0.0},
    "max_leapfrog": {"max_leapfrog": 2},
    "max_depth": {"max_depth": 1},
    "thinning": {"thinning": 3},
    "preconditioner": {"preconditioner": None},
    "schedule": {"schedule": "cyclical"},
    "n_cycles": {"n_cycles": 2, "schedule": "cyclical"},
    "friction": {"friction": 5.0},
    "integrator": {"integrator": "euler"},
    "resample_momentum": {"resample_momentum": 5},
    "decoherence_length": {"decoherence_length": 0.3},
    "energy_variance": {"energy_variance": 1e-2, "step_size": "auto"},
}
#: Where an engine's own default or cheap run is what others change to.
OWN_SETTINGS = {
    ("map", "hyperparameters"): {"hyperparameters": "evidence"},
    ("swag", "thinning"): {"thinning": 2},
    ("gaussian_vi", "structure"): {"structure": "low_rank"},
    ("gaussian_vi", "rank"): {"structure": "low_rank", "rank": 2},
    ("gaussian_vi", "evidence"): {"evidence": "importance"},
    ("mean_field_vi", "evidence"): {"evidence": "importance"},
    ("hmc", "step_size"): {"step_size": 0.01},
    ("nuts", "step_size"): {"step_size": 0.01},
    ("mclmc", "step_size"): {"step_size": "auto"},
    ("sghmc", "integrator"): {"integrator": "baoab"},
    **{(name, "warmup"): {"warmup": 12} for name in ("sghmc", "sgld", "mclmc")},
}
#: Parameters of the engines that leave the draws alone; test_checkpoint_files.py
#: shows what they change.
FILES = {"checkpoint", "checkpoint_every"}
ENGINE_PARAMETERS = [
    (name, parameter)
    for name, kind in INFERENCES.items()
    for parameter in sorted(set(kind().get_params()) - FILES)
]
SAMPLERS = ("hmc", "nuts", "sghmc", "sgld", "mclmc")
#: What a changed parameter is compared with where that is not the cheap engine.
BASELINES = {
    ("mclmc", "energy_variance"): {"step_size": "auto"},
    ("gaussian_vi", "rank"): {"structure": "low_rank"},
    **{(name, "max_extensions"): {"n_chains": 2} for name in SAMPLERS},
    **{(name, "n_cycles"): {"schedule": "cyclical"} for name in ("sghmc", "sgld")},
    **{(name, "tol"): {"max_iter": 1000, "tol": 0.0} for name in CHEAP if name not in SAMPLERS},
}
SCALES = {
    "scale": {"scale": 0.3},
    "fan_in_scaling": {"fan_in_scaling": False},
    "groups": {"groups": "network"},
}
PRIOR_TABLE = {
    "normal": SCALES,
    "laplace": SCALES,
    "cauchy": SCALES,
    "student_t": {**SCALES, "df": {"df": 1.5}},
    "flat": {},
    "scale_mixture": {**SCALES, "mixing": {"mixing": 0.1}, "narrow": {"narrow": 0.5}},
}
LIKELIHOOD_TABLE = {
    "gaussian": {"noise": {"noise": 30.0}},
    "student_t": {"noise": {"noise": 30.0}, "df": {"df": 20.0}},
    "heteroscedastic": {},
    "categorical": {},
    "bernoulli": {},
}
STATISTICAL = {
    "hidden_layer_sizes": (5,),
    "activation": "relu",
    "prior": "laplace",
    "likelihood": "student_t",
    "inference": MCDropout(max_iter=20),
    "scale_inputs": "global",
    "scale_targets": False,
    "n_predictive_samples": 30,
    "random_state": 1,
}
OPERATIONAL = {"device", "dtype", "memory_budget", "warm_start", "verbose"}


def regressor(inference="laplace", **params):
    engine = CHEAP.get(inference, inference) if isinstance(inference, str) else inference
    params = {"n_predictive_samples": 64, "random_state": 0} | params
    return BayesianMLPRegressor((4,), inference=clone(engine), **params)


@cache
def base_fit(engine="laplace", **settings):
    """The fit that changed ones are compared with, once for all of them."""
    if not settings:
        return regressor(engine).fit(X, Y)
    return regressor(clone(CHEAP[engine]).set_params(**settings)).fit(X, Y)


def fingerprint(estimator):
    """All that a fit decides: predictions, their spread and the evidence."""
    rows = IRIS[0] if hasattr(estimator, "classes_") else X
    spread = estimator.predict_uncertainty(rows)
    latent = estimator.sample_posterior(rows, 5, random_state=0).ravel()
    kinds = (None, "laplace", "elbo", "importance")
    evidence = [estimator._log_evidence or 0.0, kinds.index(estimator.evidence_kind_)]
    # An evidence looked for, and refused for lack of draws, is another decision than none.
    evidence.append(100.0 * np.isfinite(estimator._evidence_ess))
    return np.concatenate([spread.total, spread.epistemic, latent, evidence])


def assert_changed(first, second, what):
    a, b = fingerprint(first), fingerprint(second)
    assert a.shape != b.shape or np.abs(a - b).max() > 1e-4 * np.abs(a).max(), what


# --- the tables are complete --------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "registry"),
    [(PRIOR_TABLE, PRIORS), (LIKELIHOOD_TABLE, LIKELIHOODS)],
    ids=["priors", "likelihoods"],
)
def test_every_parameter_of_every_part_has_an_entry(table, registry):
    entries = {name: set(parameters) for name, parameters in table.items()}
    known = {name: set(kind().get_params()) for name, kind in registry.items()}
    assert entries == known


def test_every_parameter_of_every_engine_has_a_setting():
    assert {parameter for _, parameter in ENGINE_PARAMETERS} == SETTINGS.keys()
    assert set(OWN_SETTINGS) <= set(ENGINE_PARAMETERS)


@pytest.mark.parametrize("kind", [BayesianMLPRegressor, BayesianMLPClassifier])
def test_every_parameter_of_the_estimators_has_an_entry(kind):
    known = OPERATIONAL | set(STATISTICAL)
    if kind is BayesianMLPClassifier:
        known -= {"scale_targets"}
    assert set(kind().get_params(deep=False)) == known


# --- statistical parameters ---------------------------------------------------------


@pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("name", "parameter"), ENGINE_PARAMETERS)
def test_engine_parameter_changes_the_fit(name, parameter):
    settings = OWN_SETTINGS.get((name, parameter), SETTINGS[parameter])
    base = base_fit(name, **BASELINES.get((name, parameter), {}))
    changed = regressor(clone(CHEAP[name]).set_params(**settings)).fit(X, Y)
    assert_changed(base, changed, f"{name} {settings}")


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, parameter) for name, table in PRIOR_TABLE.items() for parameter in table],
)
@pytest.mark.parametrize("engine", ["laplace", "mean_field_vi", "hmc"])
def test_prior_parameter_changes_the_fit(name, parameter, engine):
    # Beside a fixed scale, so that no learned scale can undo what the parameter does.
    fixed = {} if parameter in ("scale", "groups") else {"scale": 0.7}
    base = regressor(engine, prior=PRIORS[name](**fixed)).fit(X, Y)
    other = PRIORS[name](**fixed, **PRIOR_TABLE[name][parameter])
    assert_changed(base, regressor(engine, prior=other).fit(X, Y), f"{name} {parameter}")


@pytest.mark.parametrize("engine", ["laplace", "mean_field_vi", "hmc", "map"])
def test_each_prior_gives_its_own_fit(engine):
    proper = [name for name in PRIORS if name != "flat" or engine == "map"]
    fits = [regressor(engine, prior=name).fit(X, Y) for name in proper]
    for i, first in enumerate(fits):
        for second in fits[:i]:
            assert_changed(first, second, (first.prior, second.prior))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, parameter) for name, table in LIKELIHOOD_TABLE.items() for parameter in table],
)
# One engine of each kind: a mode, a bound, masks, draws.
@pytest.mark.parametrize("engine", ["laplace", "mean_field_vi", "mc_dropout", "sghmc"])
def test_likelihood_parameter_changes_the_fit(name, parameter, engine):
    base = regressor(engine, likelihood=name).fit(X, Y)
    other = LIKELIHOODS[name](**LIKELIHOOD_TABLE[name][parameter])
    assert_changed(base, regressor(engine, likelihood=other).fit(X, Y), f"{name} {parameter}")


def engine_for(parameter):
    """One whose predictions come from draws where the number of draws is to show."""
    return "mc_dropout" if parameter == "n_predictive_samples" else "laplace"


@pytest.mark.parametrize("parameter", STATISTICAL)
def test_regressor_parameter_changes_the_fit(parameter):
    # A tanh network sees targets in raw units otherwise than standardised ones; a learned
    # scale hides the units of its inputs, so both are held.
    base = regressor(engine_for(parameter), prior=Normal(scale=0.7)).fit(X * np.arange(1, 11), Y)
    changed = clone(base).set_params(**{parameter: STATISTICAL[parameter]})
    rows = X * np.arange(1, 11)
    assert_changed(base, changed.fit(rows, Y), parameter)


@pytest.mark.parametrize("parameter", sorted(set(STATISTICAL) - {"scale_targets"}))
def test_classifier_parameter_changes_the_fit(parameter):
    value = {"likelihood": "categorical"}.get(parameter, STATISTICAL[parameter])
    two = IRIS[1] > 0
    rows, labels = IRIS[0][two] * [1, 2, 4, 8], IRIS[1][two]
    engine = CHEAP[engine_for(parameter)]
    base = BayesianMLPClassifier((4,), inference=engine, random_state=0)
    base.set_params(prior=Normal(scale=0.7)).fit(rows, labels)
    changed = clone(base).set_params(**{parameter: value}).fit(rows, labels)
    assert_changed(base, changed, parameter)


@pytest.mark.parametrize("engine", INFERENCES)
def test_sample_weight_changes_the_fit(engine):
    base = base_fit(engine)
    weighted = regressor(engine).fit(X, Y, sample_weight=np.linspace(0.5, 2, len(X)))
    assert_changed(base, weighted, engine)


@pytest.mark.parametrize("engine", INFERENCES)
def test_every_column_of_several_targets_is_used(engine):
    base = regressor(engine).fit(X, np.column_stack([Y, Y]))
    other = regressor(engine).fit(X, np.column_stack([Y, Y[::-1]]))
    change = np.abs(base.predict(X)[:, 1] - other.predict(X)[:, 1])
    assert change.max() > 0.01 * np.ptp(Y)


# --- operational parameters ---------------------------------------------------------


@pytest.fixture(scope="module")
def base():
    return regressor().fit(X, Y)


def test_memory_budget_bounds_draws_at_once(monkeypatch):
    """The budget changes how many draws move together, and no bit of the answer."""
    base = regressor("mean_field_vi").fit(X, Y)
    sizes = []
    forward = base.posterior_.function

    def watched(model, params):
        sizes.append(len(params))
        return forward(model, params)

    monkeypatch.setattr(base.posterior_, "function", watched, raising=False)
    wide = base.predict_std(X)
    assert max(sizes) == _function_draws.TILE_DRAWS
    sizes.clear()
    monkeypatch.setattr(base, "memory_budget", 1e-6)
    assert_array_equal(base.predict_std(X), wide)
    assert set(sizes) == {1}
    sizes.clear()
    units = max(base.hidden_layer_sizes)
    assert units > 1
    # Four arrays of the widest layer, of the float32 rows of a tile.
    monkeypatch.setattr(
        base, "memory_budget", 3 * 4 * 4 * units * _function_draws.TILE_ROWS / 2**20
    )
    assert_array_equal(base.predict_std(X), wide)
    assert max(sizes) == 3


def test_memory_budget_leaves_the_fit_alone(base):
    small = regressor(memory_budget=1e-6).fit(X, Y)
    assert_array_equal(fingerprint(small), fingerprint(base))


def test_verbose_shows_a_bar_and_changes_nothing(base, capsys):
    assert capsys.readouterr().err == ""
    loud = regressor(verbose=1).fit(X, Y)
    captured = capsys.readouterr()
    assert "Laplace: 100%" in captured.err
    assert captured.out == ""
    assert_array_equal(fingerprint(loud), fingerprint(base))


@pytest.mark.parametrize("engine", INFERENCES)
def test_every_engine_reports_its_steps(engine, capsys):
    fitted = regressor(engine, verbose=1).fit(X, Y)
    err = capsys.readouterr().err
    assert type(fitted.inference_).__name__ in err
    last = err.rsplit("100%", 1)[1]
    done, total = re.search(r"(\d+)/(\d+) \[", last).groups()
    assert int(done) == int(total) >= fitted.n_iter_


@pytest.mark.parametrize("engine", INFERENCES)
def test_progress_bar_callback(engine, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    plain = base_fit(engine)
    told = regressor(engine).set_callbacks(ProgressBar()).fit(X, Y)
    shown = "".join(capsys.readouterr())
    assert "BayesianMLPRegressor" in shown
    assert "100%" in shown
    assert_array_equal(fingerprint(told), fingerprint(plain))


class StopAfter:
    """A callback that counts tasks and asks to stop."""

    def __init__(self, n_tasks):
        self.n_tasks, self.seen = n_tasks, 0

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.seen += context.task_name == "step"
        return self.seen >= self.n_tasks

    def teardown(self, estimator, context):
        pass


def test_callback_can_stop_a_fit():
    engine = MCDropout(max_iter=500)
    full = regressor(engine).fit(X, Y)
    stopped = regressor(engine).set_callbacks(StopAfter(3)).fit(X, Y)
    assert full.n_iter_ >= 500
    assert stopped.n_iter_ < 100
    assert np.isfinite(stopped.predict(X)).all()


@pytest.mark.parametrize("engine", CHEAP)
def test_checkpoints_leave_the_fit_alone(engine, tmp_path):
    kept = clone(CHEAP[engine]).set_params(checkpoint=tmp_path, checkpoint_every=7)
    assert_array_equal(fingerprint(regressor(kept).fit(X, Y)), fingerprint(base_fit(engine)))
    assert sorted(tmp_path.glob("*.state"))


def test_device_named_cpu_is_what_auto_takes(base):
    assert_array_equal(fingerprint(regressor(device="cpu").fit(X, Y)), fingerprint(base))


@pytest.mark.parametrize("device", ["abacus", "cuda:77"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used here"):
        regressor(device=device).fit(X, Y)


@pytest.mark.parametrize(
    "engine",
    [
        Laplace(structure="full", max_iter=300),
        MAP(max_iter=1000, tol=0.0),
        DeepEnsemble(max_iter=1000, tol=0.0, n_members=2),
    ],
    ids=["laplace", "map", "deep_ensemble"],
)
def test_dtypes_agree(engine):
    """On a linear model, whose one mode does not depend on where training starts."""
    rows = X[:, :4]  # columns that are nearly independent
    params = {"prior": Normal(scale=0.5), "likelihood": Gaussian(noise=50.0), "random_state": 0}
    single, double = (
        BayesianMLPRegressor((), inference=engine, dtype=dtype, **params).fit(rows, Y)
        for dtype in ("float32", "float64")
    )
    assert (single._compute_dtype, double._compute_dtype) == ("float32", "float64")
    for fitted in (single, double):
        assert fitted.predict(rows).dtype == np.float64
        assert modes(fitted).dtype == fitted._compute_dtype
    # Sixty rounded terms a sum.
    assert_allclose(modes(single), modes(double), atol=60 * np.finfo(np.float32).eps)
    if single.evidence_kind_:
        assert_allclose(single.score_evidence(), double.score_evidence(), rtol=1e-5)


def modes(fitted):
    posterior = fitted.posterior_
    return posterior.mean[None] if hasattr(posterior, "mean") else posterior.particles[:, 0]


def test_dtype_auto_is_single_and_x_decides_the_output(base):
    assert base._compute_dtype == "float32"
    assert_array_equal(fingerprint(regressor(dtype="float32").fit(X, Y)), fingerprint(base))
    assert base.predict(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("engine", INFERENCES)
def test_warm_start_goes_on_from_the_posterior(engine):
    reg = regressor(engine, warm_start=True).fit(X, Y)
    first, scaler = reg.posterior_, reg._x_scaler
    reg.fit(X + 0.05, Y)
    assert reg.posterior_ is not first
    assert reg._x_scaler is scaler
    cold = regressor(engine).fit(X + 0.05, Y)
    assert_changed(cold, reg, engine)


def test_warm_start_shortens_the_way(monkeypatch):
    monkeypatch.setattr(_mode, "N_POLISH", 1)
    engine = MAP(max_iter=2000, hyperparameters="fixed", tol=0)
    params = {"prior": Normal(scale=0.5), "likelihood": Gaussian(noise=50.0)}
    long = regressor(engine, warm_start=True, **params).fit(X, Y)
    mode = long.predict(X)
    short = long.set_params(inference__max_iter=1, inference__learning_rate=1e-4).fit(X, Y)
    cold = regressor(MAP(max_iter=1, learning_rate=1e-4), **params).fit(X, Y)
    assert np.abs(short.predict(X) - mode).max() < 0.01 * np.std(Y)
    assert np.abs(cold.predict(X) - mode).max() > 0.1 * np.std(Y)


def test_warm_start_refuses_another_network():
    reg = regressor(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="warm_start=True needs the same network"):
        reg.set_params(hidden_layer_sizes=(7,)).fit(X, Y)


def test_without_warm_start_nothing_is_kept():
    reg = regressor().fit(X, Y)
    first = fingerprint(reg)
    reg.fit(X + 1.0, 2 * Y)
    assert_array_equal(fingerprint(reg.fit(X, Y)), first)
