"""What regressors say: shapes, units, mixtures, and the noise they find."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import norm, t
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from skbayes import BayesianMLPRegressor
from skbayes.inference import INFERENCES, MAP, Laplace, MeanFieldVI
from skbayes.likelihoods import Gaussian, StudentTLikelihood
from skbayes.priors import Normal
from tests.engine_configs import cheap_engines

X, Y = (a[:100] for a in load_diabetes(return_X_y=True))
TWO = np.column_stack([Y, 1000 - 3 * Y + 50 * np.sin(np.arange(100))])
# A few steps of every engine: that some move diverges is neither here nor there.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*moves diverged"),
    pytest.mark.filterwarnings("ignore:.*energy error"),
]
CHEAP = cheap_engines()
ENGINES = pytest.mark.parametrize("engine", INFERENCES)
LIKELIHOODS = ("gaussian", "student_t", "heteroscedastic")


def regressor(engine="laplace", **params):
    params = {"hidden_layer_sizes": (4,), "n_predictive_samples": 40, "random_state": 0} | params
    return BayesianMLPRegressor(inference=CHEAP[engine], **params)


def components(reg, X):
    """Locations and scales (draws, rows) of the mixture behind a prediction, in units of y."""
    predictive = reg._predictive(X).predictive_draws()
    rows = reg._inputs(X)[1]
    outputs = np.concatenate([o.numpy() for _, o in predictive.tiles(rows)], axis=1)
    if type(reg.likelihood_).__name__ == "Heteroscedastic":
        mean, log_sd = outputs[..., 0], outputs[..., 1]
        sd = 1e-3 + np.exp(log_sd)
    else:
        mean, sd = outputs[..., 0], 1e-3 + np.exp(predictive.hyper.numpy())
    scaler = reg._y_scaler
    return mean * scaler.scale[0] + scaler.mean[0], np.broadcast_to(sd, mean.shape) * scaler.scale


def family(reg):
    df = getattr(reg.likelihood_, "df", None)
    return norm() if df is None else t(df)


# --- shapes -------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.filterwarnings("ignore:kind='epistemic' is zero")
def test_shapes_of_one_and_several_targets(engine, likelihood):
    for y, shape in ((Y, ()), (Y[:, None], (1,)), (TWO, (2,))):
        reg = regressor(engine, likelihood=likelihood).fit(X, y)
        mean, std = reg.predict(X, return_std=True)
        assert mean.shape == std.shape == reg.predict_std(X, "epistemic").shape == (100, *shape)
        assert reg.predict_interval(X).shape == (100, *shape, 2)
        assert reg.sample_y(X, 3).shape == (3, 100, *shape)
        assert reg.log_predictive(X, y).shape == (100,)
        n_targets = shape[0] if shape else 1
        assert reg.sample_posterior(X, 3, random_state=0).shape == (3, 100, n_targets)
        report = reg.predict_uncertainty(X)
        assert report.total.shape == report.epistemic.shape == (100, *shape)
        assert report.entropy.shape == report.mutual_information.shape == (100,)
        assert np.isscalar(reg.score(X, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answers_have_the_dtype_of_the_rows(dtype):
    reg, rows = regressor().fit(X, Y), X.astype(dtype)
    for answer in (
        *reg.predict(rows, return_std=True),
        reg.predict_interval(rows),
        reg.sample_y(rows, 2),
        reg.sample_posterior(rows, 2),
    ):
        assert answer.dtype == dtype


# --- the mixture --------------------------------------------------------------------


@pytest.fixture(scope="module", params=LIKELIHOODS)
def fitted(request):
    return regressor("mean_field_vi", likelihood=request.param).fit(X, Y)


def test_moments_are_those_of_the_mixture(fitted):
    mean, sd = components(fitted, X)
    variance = (sd**2 * family(fitted).var()).mean(axis=0)
    assert_allclose(fitted.predict(X), mean.mean(axis=0), rtol=1e-5)
    assert_allclose(fitted.predict_std(X, "epistemic"), mean.std(axis=0), rtol=1e-3)
    assert_allclose(fitted.predict_std(X, "aleatoric"), np.sqrt(variance), rtol=1e-4)
    total = np.sqrt(variance + mean.var(axis=0))
    assert_allclose(fitted.predict_std(X), total, rtol=1e-4)
    assert_array_equal(fitted.predict(X, return_std=True)[1], fitted.predict_std(X))


@pytest.mark.parametrize("coverage", [0.01, 0.5, 0.9, 0.999])
def test_interval_is_made_of_the_quantiles_of_the_mixture(fitted, coverage):
    rows = X[:8]
    mean, sd = components(fitted, rows)
    interval = fitted.predict_interval(rows, coverage)
    cdf = family(fitted).cdf
    for row in range(len(rows)):
        for side, level in enumerate([(1 - coverage) / 2, (1 + coverage) / 2]):
            exact = brentq(
                lambda y, i=row, p=level: cdf((y - mean[:, i]) / sd[:, i]).mean() - p, -2e4, 2e4
            )
            # The root finder's tolerance, in standard deviations of the target.
            assert abs(interval[row, side] - exact) < 1e-4 * Y.std()


def test_intervals_are_nested_and_hold_their_share(fitted):
    inner, outer = (fitted.predict_interval(X, coverage) for coverage in (0.5, 0.9))
    assert (outer[:, 0] < inner[:, 0]).all()
    assert (inner[:, 1] < outer[:, 1]).all()
    # Fresh draws come from the posterior, the interval from 40 stored draws of it: on a
    # share of 0.9 the latter adds less than 0.02.
    draws = fitted.sample_y(X, 500, random_state=1)
    share = ((draws >= outer[:, 0]) & (draws <= outer[:, 1])).mean()
    assert abs(share - 0.9) < 0.02 + 4 * np.sqrt(0.09 / draws.size)


def test_log_predictive_is_the_density_of_the_mixture(fitted):
    mean, sd = components(fitted, X)
    each = family(fitted).logpdf((Y - mean) / sd) - np.log(sd)
    exact = logsumexp(each, axis=0) - np.log(len(mean))
    assert_allclose(fitted.log_predictive(X, Y), exact, rtol=1e-4)


def test_log_predictive_integrates_to_one(fitted):
    grid = np.linspace(-6000, 6000, 60001)
    density = np.exp(fitted.log_predictive(np.repeat(X[:1], len(grid), axis=0), grid))
    # A Student-t with 4 degrees of freedom has 1e-7 of its mass beyond.
    assert_allclose(np.trapezoid(density, grid), 1, atol=1e-4)


def test_joint_density_of_targets_that_share_draws():
    """Given the weights targets are independent, given the data they need not be."""
    reg = regressor("mean_field_vi").fit(X, TWO)
    joint = reg.log_predictive(X, TWO)
    assert joint.shape == (100,)
    evidence = reg.score_evidence(X[:1], TWO[:1])
    single = regressor("mean_field_vi", n_predictive_samples=2000).fit(X, TWO)
    assert_allclose(evidence, single.log_predictive(X[:1], TWO[:1])[0], rtol=1e-6)


@ENGINES
def test_information_is_entropy_less_that_of_the_noise(engine):
    reg = regressor(engine).fit(X, TWO)
    report = reg.predict_uncertainty(X)
    assert_allclose(report.entropy, norm(scale=report.total).entropy().sum(axis=1), rtol=1e-6)
    hyper = reg._predictive(X).predictive_draws().hyper
    log_noise = np.log(reg.likelihood_.scale(hyper, hyper).double().numpy()).mean(axis=(0, 1))
    known = norm.entropy() + log_noise + np.log(reg._y_scaler.scale)
    information = report.entropy - known.sum()
    assert_allclose(report.mutual_information, information, rtol=1e-5, atol=1e-6)
    assert (report.mutual_information >= 0).all()
    if engine == "map":
        assert_array_equal(report.epistemic, 0)
        assert_allclose(report.mutual_information, 0, atol=1e-6)


# --- units --------------------------------------------------------------------------


@ENGINES
def test_units_of_the_target(engine):
    """y in other units: the same fit, its answers and densities in those units."""
    base, scaled = regressor(engine).fit(X, Y), regressor(engine).fit(X, 8 * Y + 512)
    assert_allclose(scaled.predict(X), 8 * base.predict(X) + 512, rtol=1e-4)
    assert_allclose(scaled.predict_std(X), 8 * base.predict_std(X), rtol=1e-3)
    interval = 8 * base.predict_interval(X) + 512
    assert_allclose(scaled.predict_interval(X), interval, rtol=1e-3)
    density = base.log_predictive(X, Y) - np.log(8)
    assert_allclose(scaled.log_predictive(X, 8 * Y + 512), density, atol=1e-3)
    if base.evidence_kind_ is not None:
        assert_allclose(scaled._log_evidence, base._log_evidence - 100 * np.log(8), rtol=1e-4)


def test_fixed_noise_is_in_the_units_of_y():
    reg = regressor(likelihood=Gaussian(noise=40.0)).fit(X, Y)
    assert_allclose(reg.predict_std(X, "aleatoric"), 40.0, rtol=1e-5)
    reg = regressor(likelihood=StudentTLikelihood(df=4.0, noise=40.0)).fit(X, Y)
    assert_allclose(reg.predict_std(X, "aleatoric"), 40 * np.sqrt(2), rtol=1e-5)


def test_latent_draws_have_the_moments_of_predictions():
    reg = regressor("mean_field_vi", n_predictive_samples=2000).fit(X, Y)
    draws = reg.sample_posterior(X, 2000, random_state=3)[..., 0]
    error = reg.predict_std(X, "epistemic") * np.sqrt(2 / 2000)
    assert (np.abs(draws.mean(axis=0) - reg.predict(X)) < 5 * error).all()


# --- noise --------------------------------------------------------------------------


def test_heteroscedastic_finds_noise_that_depends_on_the_input():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1000, 1))
    truth = np.exp(x[:, 0] - 1)
    y = np.sin(2 * x[:, 0]) + truth * rng.normal(size=1000)
    engine = MAP(max_iter=400, hyperparameters="fixed")
    reg = BayesianMLPRegressor((10,), inference=engine, likelihood="heteroscedastic")
    reg.set_params(random_state=0, prior=Normal(scale=1.0)).fit(x, y)
    grid = np.linspace(-0.9, 0.9, 10)[:, None]
    found, truth = reg.predict_std(grid, "aleatoric"), np.exp(grid[:, 0] - 1)
    # A local standard deviation from some hundred rows is known to 1 / sqrt(200).
    assert_allclose(found, truth, rtol=4 / np.sqrt(200))
    same = BayesianMLPRegressor((10,), inference=engine, random_state=0).fit(x, y)
    assert np.ptp(same.predict_std(grid, "aleatoric")) < 1e-6
    assert reg.log_predictive(x, y).mean() > same.log_predictive(x, y).mean() + 0.05


def test_student_t_resists_outliers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    y = 3 * x[:, 0] + 0.1 * rng.normal(size=200)
    y[:20] += 40.0
    slopes = {}
    for likelihood in ("gaussian", "student_t"):
        reg = BayesianMLPRegressor((), likelihood=likelihood, inference=Laplace(), random_state=0)
        reg.fit(x, y)
        slopes[likelihood] = reg.predict([[1.0]]) - 3
    assert abs(slopes["student_t"]) < 0.2
    assert abs(slopes["gaussian"]) > 2


def test_linear_model_of_many_rows_is_least_squares():
    data = load_diabetes(return_X_y=True)
    reg = BayesianMLPRegressor((), inference="laplace", random_state=0).fit(*data)
    exact = LinearRegression().fit(*data)
    epistemic = reg.predict_std(data[0], "epistemic")
    assert (np.abs(reg.predict(data[0]) - exact.predict(data[0])) < 2 * epistemic).all()
    residual = np.std(data[1] - exact.predict(data[0]), ddof=11)
    # A noise estimate from 431 degrees of freedom varies by 1 / sqrt(2 * 431).
    assert_allclose(reg.predict_std(data[0], "aleatoric"), residual, rtol=2 / np.sqrt(862))


# --- intervals of many targets ----------------------------------------------------------


def many_targets(n_targets, **params):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, n_targets))
    engine = MeanFieldVI(max_iter=20, evidence=None)
    reg = BayesianMLPRegressor((4,), inference=engine, random_state=0, **params)
    return reg.fit(X, y), X


def test_intervals_do_not_depend_on_the_memory_budget():
    wide, X = many_targets(3)
    tight, _ = many_targets(3, memory_budget=0.01)
    assert_array_equal(wide.predict_interval(X), tight.predict_interval(X))


def test_an_interval_takes_as_much_work_as_there_are_targets(monkeypatch):
    sizes = []
    cdf = Gaussian.cdf

    def counted(self, y, outputs, hyper):
        values = cdf(self, y, outputs, hyper)
        sizes.append(values.size)
        return values

    monkeypatch.setattr(Gaussian, "cdf", counted)
    work = []
    for n_targets in (2, 16):
        reg, X = many_targets(n_targets)
        sizes.clear()
        reg.predict_interval(X)
        work.append(sum(sizes))
    assert work[1] < 16 * work[0]
