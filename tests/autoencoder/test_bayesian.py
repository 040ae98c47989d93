"""The Bayesian autoencoder against exact answers, and what its parameters do."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import skbayes
from skbayes import PPCA, BayesianAutoencoder, VariationalGMM
from skbayes.exceptions import EvidenceUnavailableError, IncompatiblePartsError
from skbayes.inference import HMC, MAP, SGHMC, Laplace
from skbayes.io import load, save
from skbayes.likelihoods import BernoulliColumns, Gaussian, SharedGaussian, StudentTLikelihood
from skbayes.networks import CNN, MLP
from skbayes.priors import EmpiricalBayes, Normal, Pretrained
from tests.engine_configs import SHORT

# Runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris().data
PIXELS = load_digits().data[:80] / 16


def linear(engine, n_components=1, **params):
    """An autoencoder without hidden units, in the units of its rows."""
    params = {"prior": Normal(scale=1.0, fan_in_scaling=False), "scale_inputs": None, **params}
    return BayesianAutoencoder(n_components, inference=engine, random_state=0).set_params(
        encoder__hidden_layer_sizes=(), **params
    )


def factor_rows(n_rows=200, noise=0.3, seed=0):
    """Rows near a plane in five dimensions."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, 5))
    return X + noise * rng.normal(size=X.shape)


def projection(bae):
    """Product of decoder and encoder of every draw (n, D, D): what it does to a row."""
    draws = bae.sample_posterior(n_samples=bae.posterior_.particles[..., 0].size, random_state=0)
    return draws["decoder0.weight"] @ draws["encoder0.weight"]


@pytest.fixture(scope="module")
def plane():
    engine = SGHMC(n_samples=100, warmup=600, thinning=10, max_extensions=0)
    X = factor_rows()
    return X, linear(engine, 2, likelihood=SharedGaussian()).fit(X)


def test_linear_autoencoder_finds_the_subspace_of_ppca(plane):
    """Draws scatter around PPCA's plane by what the plane itself is uncertain of.

    Rotations of the plane have the posterior variance noise² / (n (variance - noise²)) per
    direction at most (Tipping and Bishop's model), of which there are 2 times 3.
    """
    X, bae = plane
    ppca = PPCA(2).fit(X)
    mean = projection(bae).mean(0)
    left, strength, _ = np.linalg.svd(mean)
    strongest = ppca.explained_variance_ - ppca.noise_variance_
    expected = np.sqrt(6 * ppca.noise_variance_ / (len(X) * strongest.min()))
    assert subspace_angles(left[:, :2], ppca.components_.T).max() < 3 * expected
    assert strength[2] < 0.05 < 0.8 < strength[1]


def test_linear_autoencoder_learns_the_noise_of_ppca(plane):
    """Least squares through a plane leaves (D - q) / D of PPCA's noise variance."""
    X, bae = plane
    left = PPCA(2).fit(X).noise_variance_ * 3 / 5
    found = (bae.predict_std(X, "aleatoric") ** 2).mean()
    # 600 residuals make a variance known to about 6%.
    assert_allclose(found, left, rtol=3 * np.sqrt(2 / 600))


def test_wrong_rows_would_not_pass(plane):
    """The subspace test can fail: the plane of other rows is far away."""
    _, bae = plane
    left = np.linalg.svd(projection(bae).mean(0))[0][:, :2]
    other = PPCA(2).fit(factor_rows(seed=1)).components_.T
    assert subspace_angles(left, other).max() > 0.3


def test_sghmc_agrees_with_hmc():
    """Two engines, one posterior: means and spreads of reconstructions."""
    X = factor_rows(40)[:, :3]
    engines = {
        "hmc": HMC(n_samples=150, warmup=150, max_extensions=0),
        "sghmc": SGHMC(n_samples=150, warmup=500, thinning=20, max_extensions=0),
    }
    X_new = np.array([[0.5, -0.5, 1.0], [3.0, 1.0, -2.0], [0.0, 0.0, 0.0]])
    answers = {}
    for name, engine in engines.items():
        bae = (
            BayesianAutoencoder(
                1,
                prior=Normal(scale=1.0),
                likelihood=SharedGaussian(noise=0.5),
                inference=engine,
                scale_inputs=None,
                n_predictive_samples=600,
                random_state=0,
            )
            .set_params(encoder__hidden_layer_sizes=(3,))
            .fit(X)
        )
        effective = bae.diagnostics_["ess_bulk"]
        answers[name] = bae.predict(X_new), bae.predict_std(X_new, "epistemic"), effective
    (mean, std, n), (other, other_std, m) = answers["hmc"], answers["sghmc"]
    error = std * np.sqrt(1 / n + 1 / m)
    assert (np.abs(mean - other) < 4 * error + 0.02 * std).all(), (mean, other, error)
    # The error of a standard deviation under normal draws, and SGHMC's own of order h².
    assert_allclose(std, other_std, rtol=4 * np.sqrt(0.5 / n + 0.5 / m) + 0.05)


# --- priors -------------------------------------------------------------------------------


def short(**params):
    """A fit of a fraction of a second."""
    params = {"inference": SGHMC(**SHORT), "random_state": 0, **params}
    params = {"encoder__hidden_layer_sizes": (4,), "prior": EmpiricalBayes(max_iter=30), **params}
    return BayesianAutoencoder().set_params(**params)


def test_empirical_bayes_takes_the_size_of_trained_weights():
    """Block by block, the prior's deviation is the root mean square of a trained network."""
    pretrained = short(prior=Pretrained(max_iter=50)).fit(IRIS, X_prior=IRIS)
    prior = short(prior=EmpiricalBayes(max_iter=50)).fit(IRIS).prior_
    for block, scale in zip(pretrained._model().network.layout, prior.block_scales_, strict=True):
        trained = pretrained.prior_.means_[block.slice]
        assert_allclose(scale, np.sqrt(np.mean(trained**2)), rtol=1e-6)
        factors = prior.weight_factors(pretrained._model().network, torch.empty(0))
        assert_allclose(factors[block.slice], scale, rtol=1e-6)


def test_prior_draws_lie_around_the_pretrained_weights():
    """Weights are mean + scale * z."""
    bae = short(prior=Pretrained(scale=0.2, max_iter=50)).fit(IRIS, X_prior=IRIS)
    model = bae._model(torch.empty(0, dtype=torch.float64))
    z = torch.randn(3, model.n_params, generator=torch.Generator().manual_seed(0)).double()
    expected = bae.prior_.means_ + 0.2 * z[:, : model.n_weights].numpy()
    assert_allclose(model.weights(z).numpy(), expected, rtol=1e-12)


def test_gradient_of_the_joint_around_means_equals_autograd():
    bae = short(prior=Pretrained(scale=0.2, max_iter=10)).fit(IRIS, X_prior=IRIS)
    like = torch.empty(0, dtype=torch.float64)
    model = bae._model(like)
    data = bae._to_data(
        IRIS, IRIS, np.ones(len(IRIS)), (bae._x_scaler, bae._y_scaler), "float64", "cpu"
    )
    params = torch.randn(2, model.n_params, generator=torch.Generator().manual_seed(1)).double()
    value, grad = model.value_and_grad(params, data)
    params.requires_grad_()
    exact = model.log_joint(params, data)
    torch.testing.assert_close(value, exact.detach())
    torch.testing.assert_close(grad, torch.autograd.grad(exact.sum(), params)[0])


def test_a_linear_model_with_prior_means_equals_the_conjugate_posterior():
    """Mean, covariance and evidence of a linear network around means: normal equations."""
    from skbayes._model import Model
    from skbayes.base._monitor import Monitor
    from skbayes.data._tensors import Data
    from skbayes.inference import Run
    from skbayes.networks import MLPNetwork

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 1))
    prior = Pretrained(scale=0.7)
    prior.means_ = rng.normal(size=4)
    like = torch.empty(0, dtype=torch.float64)
    model = Model(MLPNetwork(3, 1, ()), prior, Gaussian(noise=0.5), 1, like)
    data = Data(*(torch.from_numpy(a) for a in (X, y, np.ones(30))))
    run = Run(torch.Generator().manual_seed(0), torch.Generator(), Monitor())
    posterior = Laplace("full").run(model, data, run)
    design = np.column_stack([X, np.ones(30)])
    precision = design.T @ design / 0.25 + np.eye(4) / 0.49
    mean = np.linalg.solve(precision, design.T @ y[:, 0] / 0.25 + prior.means_ / 0.49)
    draws = torch.from_numpy(posterior.mean)[None]
    assert_allclose(model.weights(draws)[0].numpy(), mean, rtol=1e-6)
    assert_allclose(0.49 * posterior.covariance(), np.linalg.inv(precision), rtol=1e-6, atol=1e-9)
    covariance = 0.49 * design @ design.T + 0.25 * np.eye(30)
    gap = y[:, 0] - design @ prior.means_
    exact = -0.5 * (
        gap @ np.linalg.solve(covariance, gap)
        + np.linalg.slogdet(covariance)[1]
        + 30 * np.log(2 * np.pi)
    )
    assert_allclose(posterior.log_evidence, exact, rtol=1e-8)


def test_rows_for_the_prior_change_it_and_nothing_else():
    half = IRIS[::2]
    for prior in (EmpiricalBayes(max_iter=30), Pretrained(max_iter=30)):
        own, other = (short(prior=prior).fit(half, X_prior=X) for X in (half, IRIS[1::2]))
        assert not np.array_equal(own.predict(half), other.predict(half))
        assert_array_equal(own._x_scaler.mean, other._x_scaler.mean)
    same = short().fit(half)
    assert_array_equal(same.predict(half), short().fit(half, X_prior=half).predict(half))


def test_rows_for_the_prior_must_fit_it():
    with pytest.raises(ValueError, match="give fit X_prior"):
        short(prior="pretrained").fit(IRIS)
    with pytest.raises(ValueError, match=r"prior='normal' is not tuned on rows"):
        short(prior="normal").fit(IRIS, X_prior=IRIS)
    with pytest.raises(ValueError, match="3 features"):
        short(prior="pretrained").fit(IRIS, X_prior=IRIS[:, :3])


def test_auto_infers_the_scale_of_each_layer():
    prior = BayesianAutoencoder().set_params(prior__fan_in_scaling=True).prior
    assert type(prior) is Normal
    assert prior.scale == "learned"


# --- parameters ---------------------------------------------------------------------------

#: Settings that must change what is fitted, and those that must not.
STATISTICAL = {
    "n_components": 1,
    "encoder__hidden_layer_sizes": (5,),
    "decoder": MLP(activation="relu"),
    "prior": Normal(scale=0.5),
    "likelihood": StudentTLikelihood(),
    "inference": MAP(max_iter=30),
    "density": VariationalGMM(2),
    "scale_inputs": "global",
    "n_predictive_samples": 3,
    "dtype": "float64",
    "random_state": 1,
}
OPERATIONAL = {"device": "cpu", "memory_budget": 1e-3, "verbose": 1}


def test_every_parameter_has_an_entry():
    tested = {name.partition("__")[0] for name in (*STATISTICAL, *OPERATIONAL)}
    assert tested == BayesianAutoencoder().get_params(deep=False).keys()


@pytest.fixture(scope="module")
def base():
    return short().fit(IRIS)


@pytest.mark.parametrize("name", STATISTICAL)
def test_statistical_parameters_change_the_fit(name, base):
    changed = short(**{name: STATISTICAL[name]}).fit(IRIS)
    same_rows = np.array_equal(changed.predict(IRIS), base.predict(IRIS))
    assert same_rows == (name == "density")
    assert not np.array_equal(changed.score_samples(IRIS[:9]), base.score_samples(IRIS[:9]))


@pytest.mark.parametrize("name", OPERATIONAL)
def test_operational_parameters_change_no_bit(name, base, capsys):
    changed = short(**{name: OPERATIONAL[name]}).fit(IRIS)
    assert_array_equal(changed.predict(IRIS), base.predict(IRIS))
    assert ("SGHMC" in capsys.readouterr().err) == (name == "verbose")


@pytest.mark.parametrize("prior", [EmpiricalBayes, Pretrained])
@pytest.mark.parametrize("change", [{"scale": 0.5}, {"max_iter": 10}, {"learning_rate": 0.1}])
def test_parameters_of_priors_change_the_fit(prior, change):
    params = {"max_iter": 30, **change}
    fits = [short(prior=prior(**p)).fit(IRIS, X_prior=IRIS) for p in ({"max_iter": 30}, params)]
    assert not np.array_equal(fits[0].predict(IRIS), fits[1].predict(IRIS))


def test_nested_parameters_reach_the_parts():
    bae = BayesianAutoencoder(prior="empirical_bayes")
    bae.set_params(prior__scale=2.0, inference__n_samples=50)
    assert isinstance(bae.prior, EmpiricalBayes)
    assert (bae.prior.scale, bae.inference.n_samples) == (2.0, 50)


# --- rows ---------------------------------------------------------------------------------


def test_codes_are_those_of_one_draw(base):
    """Encoder and decoder of that draw: codes decode to its own reconstruction."""
    draws = base._draws(base._model()).params
    assert_array_equal(draws[base.code_draw_].numpy(), base._code_params)
    model = base._model()
    z = torch.from_numpy(base._x_scaler.transform(IRIS)).float()
    own = model.network.forward(model.weights(draws[[base.code_draw_]]), z)[0]
    expected = base._y_scaler.inverse_transform(own.double().numpy())
    assert_allclose(base.inverse_transform(base.transform(IRIS)), expected, rtol=1e-5, atol=1e-5)


def test_the_draw_of_the_codes_is_the_most_central(base):
    draws = base._draws(base._model())
    (rows,) = draws.reduce(base._inputs(IRIS)[1], lambda out: [out.transpose(0, 1).numpy()])
    # Canonical rows are merged, with weights: the same sum.
    distance = ((rows - rows.mean(1, keepdims=True)) ** 2).sum((0, 2))
    assert base.code_draw_ == distance.argmin()


def test_codes_of_a_normal_posterior_are_its_mean():
    bae = short(inference=Laplace(max_iter=30), prior="normal").fit(IRIS)
    assert bae.code_draw_ == -1
    assert_array_equal(bae._code_params, bae.posterior_.mean)


def test_codes_of_the_wrong_width_are_refused(base):
    with pytest.raises(ValueError, match="Z has 3 columns, but BayesianAutoencoder has 2"):
        base.inverse_transform(IRIS[:, :3])


def test_log_density_is_that_of_the_mixture_over_draws(base):
    """By hand, in the units of X."""
    draws = base.sample_posterior(IRIS[:5], base.posterior_.particles[..., 0].size, random_state=0)
    named = base.sample_posterior(n_samples=len(draws), random_state=0)
    sd = named["noise_scale"][:, :, None] * base._y_scaler.scale
    log = -0.5 * ((IRIS[:5] - draws) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    expected = np.log(np.exp(log.sum(2)).mean(0))
    assert_allclose(base.log_predictive(IRIS[:5]), expected, rtol=1e-4)


def test_evidence_of_new_rows_is_joint(base):
    value, se, _ = base._new_evidence(IRIS[:1], None)  # on eight draws: no public number
    assert_allclose(value, base.score_samples(IRIS[:1])[0], atol=5 * se + 1e-4)


def test_evidence_that_is_not_there_names_an_engine(base):
    with pytest.raises(EvidenceUnavailableError, match="inference='laplace'"):
        base.score_evidence()
    bae = short(inference=Laplace(max_iter=30), prior="normal").fit(IRIS)
    assert bae.evidence_kind_ == "laplace"
    assert np.isfinite(bae.score_evidence())


def test_pixels():
    """Bernoulli columns: probabilities, their variances, and p(row) of zeros and ones only."""
    bae = short(likelihood="bernoulli").fit(PIXELS)
    p = bae.predict(PIXELS)
    assert ((p > 0) & (p < 1)).all()
    assert_allclose(bae.predict_std(PIXELS) ** 2, p * (1 - p), rtol=1e-3, atol=1e-6)
    with pytest.raises(EvidenceUnavailableError, match="zeros and ones only"):
        bae.score_evidence(PIXELS)
    binary = (PIXELS > 0.5).astype(float)
    drawn = short(likelihood="bernoulli").fit(binary)
    assert np.isfinite(drawn._new_evidence(binary[:3], None)[0])
    with pytest.raises(ValueError, match=r"likelihood='bernoulli' takes columns from 0 to 1"):
        short(likelihood="bernoulli").fit(IRIS)


def test_evidence_of_grey_pixels_is_refused():
    params = {"inference": Laplace("diag", max_iter=10), "prior": "normal"}
    binary = (PIXELS[:, 2:6] > 0.5).astype(float)
    grey = short(likelihood="bernoulli", **params).fit(PIXELS[:, 2:6])
    with pytest.raises(EvidenceUnavailableError, match="binarise X"):
        grey.score_evidence()
    assert short(likelihood="bernoulli", **params).fit(binary).score_evidence() < 0


def test_labels_likelihoods_are_refused():
    from skbayes.likelihoods import Categorical

    with pytest.raises(IncompatiblePartsError, match=r"bernoulli.*shared_gaussian"):
        short(likelihood=Categorical()).fit(IRIS)


def test_shares_are_taken_as_they_are_or_refused():
    with pytest.raises(IncompatiblePartsError, match="takes shares as they are; binarise X"):
        short(likelihood=BernoulliColumns("sample")).fit(PIXELS)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_sizes_are_checked(part):
    with pytest.raises(ValueError, match=f"{part}__hidden_layer_sizes must be positive integers"):
        BayesianAutoencoder(**{part: MLP((3, 0))}).fit(IRIS)


def test_halves_see_one_image():
    with pytest.raises(IncompatiblePartsError, match="use decoder=None"):
        BayesianAutoencoder(encoder=CNN((1, 2, 2)), decoder="mlp").fit(IRIS)


def test_constant_columns_and_one_row():
    X = np.column_stack([IRIS, np.full(len(IRIS), 7.0)])
    bae = short().fit(X)
    assert_allclose(bae.predict(X)[:, 4], 7.0, atol=4 * bae.predict_std(X)[:, 4].max())
    one = short(prior="normal").fit(IRIS[:1])
    assert np.isfinite(one.predict(IRIS)).all()
    assert np.isfinite(one.predict_std(IRIS)).all()


def test_files_and_pipelines(tmp_path):
    pipe = make_pipeline(MinMaxScaler(), short(prior=Pretrained(max_iter=10)))
    scaled = MinMaxScaler().fit_transform(IRIS)
    pipe.fit(IRIS, bayesianautoencoder__X_prior=scaled)
    save(pipe, tmp_path / "bae.skbayes")
    loaded = load(tmp_path / "bae.skbayes")
    assert_array_equal(loaded.predict(IRIS), pipe.predict(IRIS))
    std = skbayes.predict_std(loaded, IRIS, kind="epistemic")
    assert_array_equal(std, pipe[-1].predict_std(pipe[0].transform(IRIS), "epistemic"))
