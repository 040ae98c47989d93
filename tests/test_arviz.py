"""What `to_arviz` hands over, against exact answers and against ArviZ's own numbers."""

import subprocess
import sys
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import skbayes
from skbayes import (
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPRegressor,
    VariationalGMM,
    io,
)
from skbayes.exceptions import DrawsUnavailableError
from skbayes.inference import HMC, INFERENCES, Laplace
from skbayes.utils import _arviz_objects
from skbayes.utils._arviz_objects import import_arviz
from tests.engine_configs import quick_classifier, quick_engine, quick_regressor
from tests.inference.checks import Z_LIMIT
from tests.scenarios import linear_problem

az = import_arviz()

X, Y = (a[:40] for a in load_diabetes(return_X_y=True))
IRIS, CODES = load_iris(return_X_y=True)
SPECIES = np.array(["setosa", "versicolor", "virginica"])[CODES]
#: Chains this short are for the shapes of things.
pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")


@cache
def sampled():
    """A regressor with four chains whose predictions rest on all draws."""
    engine = HMC(n_samples=60, warmup=60, max_extensions=0)
    reg = BayesianMLPRegressor((3,), inference=engine, n_predictive_samples=1000, random_state=0)
    return reg.fit(X, Y)


@cache
def classified():
    return quick_classifier("hmc", n_predictive_samples=1000).fit(IRIS[::3], SPECIES[::3])


@cache
def exported():
    return sampled().to_arviz(X, Y)


def values(data, group, name):
    return data[group][name].values


# --- groups, dimensions, values ---------------------------------------------------------


def test_groups_and_dimensions():
    data, reg = exported(), sampled()
    assert set(data.groups()) == {
        "posterior",
        "sample_stats",
        "posterior_predictive",
        "log_likelihood",
        "observed_data",
        "constant_data",
    }
    shapes = {name: variable.shape for name, variable in data.posterior.items()}
    assert shapes == {
        "layer0.weight": (4, 60, 3, 10),
        "layer0.bias": (4, 60, 3),
        "layer1.weight": (4, 60, 1, 3),
        "layer1.bias": (4, 60, 1),
        "prior_scale": (4, 60, 2),
        "noise_scale": (4, 60, 1),
        "f": (4, 60, 40),
    }
    for group, name in [("posterior_predictive", "y"), ("log_likelihood", "y"), ("posterior", "f")]:
        assert data[group][name].dims == ("chain", "draw", "row")
    assert_array_equal(values(data, "observed_data", "y"), Y)
    assert_array_equal(values(data, "constant_data", "X"), X)
    assert data.posterior.attrs["inference_library"] == "skbayes"
    assert data.posterior.attrs["inference"] == "HMC"
    assert reg.posterior_.particles.shape[:2] == (4, 60)


def test_draws_stand_in_their_chains():
    """Chain c, draw d is the d-th draw that the c-th chain kept."""
    reg, data = sampled(), exported()
    model = reg._model()
    for chain, draw in [(0, 0), (1, 5), (3, 59)]:
        one = model.named(model.like.new_tensor(reg.posterior_.particles[chain, [draw]]))
        for name, tensor in one.items():
            assert_allclose(data.posterior[name].values[chain, draw], tensor[0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["sampled", "weights"])
def test_function_values_average_to_the_prediction(kind):
    weight = None if kind == "sampled" else 1.0 + np.arange(40) % 3
    reg = sampled() if weight is None else quick_regressor("hmc").fit(X, Y, weight)
    data = reg.set_params(n_predictive_samples=1000).to_arviz(X, Y)
    f = values(data, "posterior", "f")
    assert_allclose(f.mean((0, 1)), reg.predict(X), rtol=1e-5)
    assert_allclose(f.std((0, 1)), reg.predict_std(X, "epistemic"), rtol=1e-4)
    p = values(classified().to_arviz(IRIS), "posterior", "p")
    assert_allclose(p.mean((0, 1)), classified().predict_proba(IRIS), rtol=1e-5)


def test_log_likelihood_averages_to_the_log_predictive():
    """In the units of y: the mixture over all draws is the predictive density."""
    for fitted, rows, y in [(sampled(), X, Y), (classified(), IRIS, SPECIES)]:
        density = values(fitted.to_arviz(rows, y), "log_likelihood", "y")
        mixture = logsumexp(density, axis=(0, 1)) - np.log(density[..., 0].size)
        assert_allclose(mixture, fitted.log_predictive(rows, y), rtol=1e-10)


def test_log_likelihood_is_the_normal_density():
    data, reg = exported(), sampled()
    scale = values(data, "posterior", "noise_scale") * reg._y_scaler.scale
    exact = norm.logpdf(Y, values(data, "posterior", "f"), scale)
    assert_allclose(values(data, "log_likelihood", "y"), exact, atol=1e-4)


def test_new_targets_have_the_predictive_moments():
    data, reg = exported(), sampled()
    y, f = values(data, "posterior_predictive", "y"), values(data, "posterior", "f")
    noise = (y - f) / (values(data, "posterior", "noise_scale") * reg._y_scaler.scale)
    # Standard normals, independent over draws and rows.
    assert abs(noise.mean()) * noise.size**0.5 < Z_LIMIT
    assert abs((noise**2).mean() - 1) * (noise.size / 2) ** 0.5 < Z_LIMIT
    labels = values(classified().to_arviz(IRIS), "posterior_predictive", "y")
    p = values(classified().to_arviz(IRIS), "posterior", "p")
    for code in range(3):
        share, expected = (labels == code).mean(), p[..., code].mean()
        spread = (p[..., code] * (1 - p[..., code])).sum() ** 0.5 / labels.size
        assert abs(share - expected) < Z_LIMIT * spread


def test_classes_keep_their_labels():
    data = classified().to_arviz(IRIS, SPECIES)
    assert data.posterior["p"].dims == ("chain", "draw", "row", "class")
    assert_array_equal(data.posterior["class"], ["setosa", "versicolor", "virginica"])
    assert data.posterior_predictive["y"].dtype.kind == "i"
    observed = data.observed_data["y"].values
    assert_array_equal(data.posterior["class"].values[observed], SPECIES)


def test_two_classes_and_several_targets():
    binary = quick_classifier("hmc").fit(IRIS[::3], SPECIES[::3] == "setosa")
    assert binary.to_arviz(IRIS[:4]).posterior["p"].shape == (4, 20, 4, 2)
    both = np.column_stack([Y, -2 * Y + X[:, 0]])
    reg = quick_regressor("hmc").fit(X, both)
    data = reg.to_arviz(X[:5], both[:5])
    assert data.posterior["f"].shape == data.posterior_predictive["y"].shape == (4, 20, 5, 2)
    assert data.log_likelihood["y"].shape == (4, 20, 5)
    assert_allclose(data.observed_data["y"], both[:5])
    assert data.posterior["noise_scale"].shape == (4, 20, 2)


@pytest.mark.parametrize("likelihood", ["heteroscedastic", "student_t"])
def test_other_likelihoods(likelihood):
    reg = quick_regressor("hmc", likelihood=likelihood, n_predictive_samples=1000).fit(X, Y)
    density = values(reg.to_arviz(X, Y), "log_likelihood", "y")
    mixture = logsumexp(density, axis=(0, 1)) - np.log(80)
    assert_allclose(mixture, reg.log_predictive(X, Y), rtol=1e-10)


def test_without_rows_there_are_draws_alone():
    assert set(sampled().to_arviz().groups()) == {"posterior", "sample_stats"}
    assert set(sampled().to_arviz(X).groups()) == {
        "posterior",
        "sample_stats",
        "posterior_predictive",
        "constant_data",
    }
    one = sampled().to_arviz(X[:1], Y[:1])
    assert_allclose(one.posterior["f"], exported().posterior["f"][..., :1])


def test_thinning_keeps_the_ends():
    data = sampled().to_arviz(X, Y, n_samples=20)
    for group in ("posterior", "sample_stats", "log_likelihood", "posterior_predictive"):
        assert data[group].sizes["draw"] == 20
    whole, thinned = exported().sample_stats["lp"].values, data.sample_stats["lp"].values
    assert_array_equal(thinned[:, [0, -1]], whole[:, [0, -1]])
    assert sampled().to_arviz(n_samples=999).posterior.sizes["draw"] == 60


def test_seeds_frames_and_float32():
    frame = pd.DataFrame(X).rename(columns="column {}".format)
    reg = quick_regressor("hmc").fit(frame, Y)
    first, second, other = (reg.to_arviz(frame, random_state=k) for k in (3, 3, 4))
    assert_array_equal(*(values(d, "posterior_predictive", "y") for d in (first, second)))
    assert (
        values(other, "posterior_predictive", "y") != values(first, "posterior_predictive", "y")
    ).all()
    assert_array_equal(first.constant_data["feature"], frame.columns)
    small = quick_regressor("hmc").fit(X.astype(np.float32), Y).to_arviz(X.astype(np.float32), Y)
    assert small.posterior["f"].dtype == small.posterior_predictive["y"].dtype == np.float32
    assert small.log_likelihood["y"].dtype == np.float64


def test_to_arviz_leaves_the_estimator_alone(tmp_path):
    reg = sampled()
    before = dict(vars(reg))
    reg.to_arviz(X, Y)
    assert vars(reg) == before
    io.save(reg, tmp_path / "model")
    again = io.load(tmp_path / "model").to_arviz(X, Y)
    assert again.posterior.equals(exported().posterior)
    assert again.sample_stats.equals(exported().sample_stats)


# --- what samplers note ------------------------------------------------------------------

HAMILTONIAN = {"step_size", "lp", "energy", "acceptance_rate", "diverging"}
NOTED = {
    "hmc": HAMILTONIAN,
    "nuts": {*HAMILTONIAN, "tree_depth", "n_steps"},
    "sghmc": {"step_size", "kinetic_temperature"},
    "sgld": {"step_size"},
    "mclmc": {"step_size", "lp", "energy_error", "diverging"},
}


@pytest.mark.parametrize("name", NOTED)
def test_sample_stats_agree_with_the_diagnostics(name):
    fitted = quick_regressor(name).fit(X, Y)
    stats, report = fitted.to_arviz().sample_stats, fitted.diagnostics_
    assert NOTED[name] <= set(stats)
    assert all(v.dims == ("chain", "draw") for v in stats.values())
    assert all(np.isfinite(v.values.astype(float)).all() for v in stats.values())
    assert_allclose(stats["step_size"].values[:, -1], report["step_size"], rtol=1e-6)
    if "acceptance_rate" in stats:
        assert_allclose(stats["acceptance_rate"].mean(), report["acceptance"])
    if "kinetic_temperature" in stats:
        assert_allclose(stats["kinetic_temperature"].mean(), report["kinetic_temperature"])
    if "diverging" in stats:
        assert stats["diverging"].dtype == bool
        assert int(stats["diverging"].sum()) <= report["n_divergent"]


def test_divergences_are_noted_where_they_happened():
    engine = HMC(step_size=0.2, max_leapfrog=8, n_samples=40, warmup=0, init_steps=0,
                 mass_matrix="identity", max_extensions=0)  # fmt: skip
    fitted = BayesianMLPRegressor((20,), inference=engine, random_state=0).fit(X, Y)
    stats = fitted.to_arviz().sample_stats
    assert int(stats["diverging"].sum()) == fitted.diagnostics_["n_divergent"] > 0
    # A trajectory whose energy rose by a thousand nats is never accepted.
    assert (stats["acceptance_rate"].values[stats["diverging"].values] < 1e-300).all()


def test_energy_holds_the_kinetic_energy_of_the_target():
    """E + lp of what a trajectory leaves is half a chi-squared, whatever the step's error."""
    problem = linear_problem()
    engine = HMC(n_chains=24, n_samples=150, warmup=150, max_extensions=0, target_accept=0.7)
    fitted = problem.estimator(engine).fit(problem.X, problem.y[:, 0])
    stats = fitted.to_arviz().sample_stats
    assert 0.5 < stats["acceptance_rate"].mean() < 0.9
    kinetic = (stats["energy"] + stats["lp"]).values
    assert kinetic.min() >= 0
    means, n = kinetic.mean(1), fitted.posterior_.n_params
    assert abs(means.mean() - n / 2) < Z_LIMIT * means.std(ddof=1) / 24**0.5


# --- ArviZ on it ---------------------------------------------------------------------------


def test_rhat_is_ours():
    """The median over rows of ArviZ's R-hat is the one in `diagnostics_`."""
    rhat = az.rhat(exported(), var_names=["f"])["f"]
    assert_allclose(np.median(rhat), sampled().diagnostics_["r_hat"], atol=1e-3)
    scales = az.rhat(exported(), var_names=["prior_scale", "noise_scale"])
    worst = max(float(v.max()) for v in scales.values())
    assert_allclose(worst, sampled().diagnostics_["r_hat_hyper"], atol=2e-3)


# ArviZ 0.23 calls what matplotlib 3.11 deprecates.
@pytest.mark.filterwarnings("ignore::matplotlib.MatplotlibDeprecationWarning")
def test_summary_and_pictures():
    import matplotlib.pyplot as plt

    table = az.summary(exported(), var_names=["noise_scale"])
    assert table.shape[0] == 1
    az.plot_trace(exported(), var_names=["prior_scale", "noise_scale"], divergences="auto")
    az.plot_energy(exported())
    plt.close("all")
    assert 0 < float(az.bfmi(exported()).min()) < 3


def exact_loo(problem):
    """Sum of log p(y_i | the other rows) of the linear model, from each reduced posterior."""
    total = 0.0
    for i in range(len(problem.X)):
        rest = problem.rows(np.arange(len(problem.X)) != i)
        mean, sd = rest.predictive(problem.X[[i]])
        total += norm.logpdf(problem.y[i, 0], np.ravel(mean)[0], np.ravel(sd)[0])
    return total


def test_loo_is_the_exact_leave_one_out_density():
    """Independent exact draws, many times: the mean of ArviZ's estimates has no bias."""
    problem = linear_problem(n_rows=30, n_features=2)
    fitted = problem.estimator(Laplace("full", max_iter=50)).fit(problem.X, problem.y[:, 0])
    exports = [
        fitted.to_arviz(problem.X, problem.y[:, 0], n_samples=2000, random_state=k)
        for k in range(12)
    ]
    found = [az.loo(data) for data in exports]
    elpd = np.array([loo.elpd_loo for loo in found])
    assert not any(loo.warning for loo in found)
    error = elpd.std(ddof=1) / len(elpd) ** 0.5
    assert error < 0.05
    assert abs(elpd.mean() - exact_loo(problem)) < Z_LIMIT * error


def test_loo_of_chains():
    problem = linear_problem(n_rows=60, n_features=2)
    engine = HMC(n_samples=600, warmup=200, n_chains=8, trajectory_length=1.5)
    fitted = problem.estimator(engine).fit(problem.X, problem.y[:, 0])
    data = fitted.to_arviz(problem.X, problem.y[:, 0])
    with warnings.catch_warnings():  # of a tail that a single chain is too short for
        warnings.filterwarnings("ignore", "Estimated shape parameter", UserWarning)
        chains = [az.loo(data.sel(chain=[c])).elpd_loo for c in range(8)]
    error = np.std(chains, ddof=1) / 8**0.5
    assert error < 0.1
    assert abs(az.loo(data).elpd_loo - exact_loo(problem)) < Z_LIMIT * error


# --- engines -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(INFERENCES))
def test_every_engine_gives_draws_or_says_why_not(name):
    fitted = quick_regressor(name).fit(X, Y)
    if name in ("map", "deep_ensemble"):
        with pytest.raises(DrawsUnavailableError, match=r"gives modes.*inference='hmc'"):
            fitted.to_arviz(X, Y)
        return
    data = fitted.to_arviz(X, Y, n_samples=15)
    n_chains = 1 if fitted.posterior_.__class__.__name__ != "ParticlePosterior" else 4
    assert data.posterior["f"].shape == (n_chains, 15, 40)
    assert ("sample_stats" in data.groups()) == (n_chains > 1)
    assert data.posterior.attrs["inference"] == type(fitted.inference_).__name__


def test_independent_draws_are_one_chain():
    fitted = quick_regressor("laplace").fit(X, Y)
    assert fitted.to_arviz().posterior.sizes["draw"] == 1000
    anchored = quick_engine("deep_ensemble", anchored=True, n_members=6)
    data = quick_regressor().set_params(inference=anchored).fit(X, Y).to_arviz(X, Y)
    assert data.posterior["f"].shape == (1, 6, 40)
    assert "sample_stats" not in data.groups()


def test_bad_calls():
    with pytest.raises(ValueError, match="y together with X"):
        sampled().to_arviz(y=Y)
    with pytest.raises(ValueError, match="n_samples must be a positive integer, got 0"):
        sampled().to_arviz(n_samples=0)
    with pytest.raises(ValueError, match="features"):
        sampled().to_arviz(X[:, :2])
    with pytest.raises(ValueError, match="40 rows but y has 39"):
        sampled().to_arviz(X, Y[1:])
    with pytest.raises(ValueError, match="labels that fit did not see"):
        classified().to_arviz(IRIS[:2], ["setosa", "rose"])
    with pytest.raises(NotFittedError):
        quick_regressor().to_arviz()


# --- through wrappers ---------------------------------------------------------------------


def test_the_verb_reaches_through_wrappers():
    reg = quick_regressor("hmc")
    pipe = make_pipeline(PolynomialFeatures(1), reg).fit(X, Y)
    direct = pipe[-1].to_arviz(pipe[:-1].transform(X), Y)
    search = GridSearchCV(pipe, {"bayesianmlpregressor__prior": ["normal"]}, cv=2).fit(X, Y)
    for wrapped in (pipe, FrozenEstimator(pipe), search):
        data = skbayes.to_arviz(wrapped, X, Y)
        for group in ("posterior", "sample_stats", "log_likelihood", "posterior_predictive"):
            assert data[group].equals(direct[group])
    with pytest.raises(TypeError, match=r"skbayes\.to_arviz met StandardScaler"):
        skbayes.to_arviz(StandardScaler().fit(X))


@pytest.mark.parametrize("columns", [1, 2])
def test_the_verb_maps_back_to_the_units_of_a_wrapper(columns):
    y = Y if columns == 1 else np.column_stack([Y, 3 - 0.1 * Y * X[:, 2]])
    reg = quick_regressor("hmc", n_predictive_samples=1000)
    wrapped = TransformedTargetRegressor(reg, transformer=StandardScaler()).fit(X, y)
    data = skbayes.to_arviz(wrapped, X, y)
    assert_allclose(values(data, "posterior", "f").mean((0, 1)), wrapped.predict(X), rtol=1e-5)
    density = values(data, "log_likelihood", "y")
    mixture = logsumexp(density, axis=(0, 1)) - np.log(80)
    assert_allclose(mixture, skbayes.log_predictive(wrapped, X, y), rtol=1e-8)
    assert_allclose(values(data, "observed_data", "y"), y, rtol=1e-10)
    spread = values(data, "posterior_predictive", "y").std((0, 1))
    assert_allclose(spread.mean(), skbayes.predict_std(wrapped, X).mean(), rtol=0.2)


# --- which ArviZ ---------------------------------------------------------------------------


class ArviZ1:
    """As much of ArviZ 1 as is asked for: its version. Its data are xarray's DataTree."""

    __version__ = "1.3.0"


def test_from_arviz_1_on_it_is_a_data_tree(monkeypatch):
    import xarray

    monkeypatch.setitem(sys.modules, "arviz", ArviZ1)
    tree = sampled().to_arviz(X, Y)
    assert isinstance(tree, xarray.DataTree)
    assert set(tree.children) == set(exported().groups())
    for group in exported().groups():
        assert tree[group].to_dataset().equals(exported()[group])
    assert tree.attrs["inference_library"] == "skbayes"
    # What ArviZ 1 reads of a tree: groups as attributes, variables by name.
    assert tree.log_likelihood["y"].dims == ("chain", "draw", "row")
    converted = az.InferenceData.from_datatree(tree)
    assert az.rhat(converted, var_names=["f"]).equals(az.rhat(exported(), var_names=["f"]))


def test_without_arviz_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    for call in (sampled().to_arviz, lambda: skbayes.to_arviz(sampled())):
        with pytest.raises(ImportError, match=r'pip install "arviz>=0.23,<2"'):
            call()


NOTICE = """
import sys, types, warnings
warnings.simplefilter("error")

class Finder:
    def find_spec(self, name, path, target=None):
        if name != "arviz":
            return None
        from importlib.machinery import ModuleSpec
        return ModuleSpec(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        warnings.warn({message!r}, {kind})
        module.__version__ = "0.23.4"

sys.meta_path.insert(0, Finder())
from skbayes.utils._arviz_objects import import_arviz
print(import_arviz().__version__)
"""


@pytest.mark.parametrize(
    ("message", "kind", "passes"),
    [
        ("\nArviZ is undergoing a major refactor", "FutureWarning", True),
        ("\nArviZ is undergoing a major refactor", "UserWarning", False),
        ("something else goes away", "FutureWarning", False),
    ],
)
def test_only_the_daily_notice_is_silenced(message, kind, passes):
    code = NOTICE.format(message=message, kind=kind)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode == 0) is passes, done.stderr
    assert passes or message.strip() in done.stderr


def test_the_callers_filters_stay():
    before = list(warnings.filters)
    _arviz_objects.import_arviz()
    assert warnings.filters == before


# --- estimators without a network -----------------------------------------------------


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("hyperparameters", ["fixed", "bayes"])
def test_draws_of_a_linear_model_average_to_its_densities(n_targets, hyperparameters):
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.random.default_rng(1).normal(size=30)
    y = y if n_targets == 1 else np.column_stack([y, y[::-1]])
    reg = BayesianLinearRegression(hyperparameters=hyperparameters).fit(X, y)
    data = reg.to_arviz(X[:5], y[:5], n_samples=4000)
    density = data["log_likelihood"]["y"].values[0]
    expected = reg.log_predictive(X[:5], y[:5])
    assert_allclose(logsumexp(density, axis=0) - np.log(4000), expected, atol=0.1)
    assert data["posterior"]["f"].dims == ("chain", "draw", "row", *["target"] * (n_targets - 1))
    spread = data["posterior_predictive"]["y"].values[0].std(axis=0)
    assert_allclose(spread, reg.predict_std(X[:5]), rtol=0.1)
    assert data["posterior"]["coef"].values[0].std(axis=0).shape == np.shape(reg.coef_)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_draws_of_a_logistic_model_average_to_its_probabilities(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes][::3], y[y < n_classes][::3]
    clf = BayesianLogisticRegression(random_state=0).fit(X, y)
    data = clf.to_arviz(X, y, n_samples=4000)
    p = data["posterior"]["p"]
    assert p.dims == ("chain", "draw", "row", "class")
    assert_allclose(p.values[0].mean(axis=0), clf.predict_proba(X), atol=0.03)
    density = data["log_likelihood"]["y"].values[0]
    picked = np.log(p.values[0][:, np.arange(len(y)), y])
    assert_allclose(density, picked, atol=1e-9)
    share = (data["posterior_predictive"]["y"].values[0] == y).mean(axis=0)
    assert_allclose(share, np.exp(picked).mean(axis=0), atol=0.05)


def test_draws_of_a_mixture_have_its_assignments():
    X = load_iris().data
    gmm = VariationalGMM(3, random_state=0).fit(X)
    data = gmm.to_arviz(X[::10], n_samples=2000)
    assert set(data["posterior"]) >= {"pi", "mu", "Lambda", "z"}
    z = data["posterior"]["z"].values[0]
    share = (z[..., None] == np.arange(3)).mean(axis=0)
    assert_allclose(share, gmm.predict_proba(X[::10]), atol=0.1)
    assert_array_equal(data["posterior"]["pi"].values[0].sum(axis=1).round(9), 1)
