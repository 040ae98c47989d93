"""The density of rows under a posterior over autoencoders, against exact answers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import gamma, multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import PPCA, BayesianAutoencoder, VariationalGMM
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.inference import MAP, SGHMC, DeepEnsemble, Laplace, MCDropout
from skbayes.io import load, save
from skbayes.latent._fitted_mixtures import N_DENSITY_DRAWS, spread_evenly
from skbayes.likelihoods import (
    Heteroscedastic,
    SharedGaussian,
    StudentTLikelihood,
)
from tests.autoencoder.linear import rows as factor_rows
from tests.engine_configs import SHORT

# Runs this short must warn that they did not converge; any other warning is an error.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris().data
#: Standard errors that chance alone hardly ever exceeds over these few hundred rows.
LARGEST_Z = 4.5
MEMBERS = DeepEnsemble(n_members=3, max_iter=200, learning_rate=0.05)
ONE = VariationalGMM(1, weight_prior="dirichlet_process")


def small(**params):
    """A fit of a fraction of a second."""
    params = {
        "encoder__hidden_layer_sizes": (4,),
        "inference": MEMBERS,
        "random_state": 0,
        **params,
    }
    return BayesianAutoencoder(params.pop("n_components", 1)).set_params(**params)


@pytest.fixture(scope="module")
def members():
    return small(n_components=2).fit(IRIS)


# --- exact densities ----------------------------------------------------------------------


class LinearRows:
    """Rows of one draw of a linear autoencoder whose codes are one Student-t component.

    A Student-t code is a normal one whose precision is a gamma variable, so that rows are
    a mixture of normals over it: one integral, by equally probable values.
    """

    def __init__(self, bae, draw=0, n_points=2000):
        named = bae._model().named(torch.from_numpy(bae._density_params))
        scale = bae._y_scaler.scale
        self.loadings = named["decoder0.weight"][draw].double().numpy() * scale[:, None]
        offset = named["decoder0.bias"][draw].double().numpy().ravel()
        sd = float(named["noise_scale"][draw, 0]) * scale
        self.mixture = {name: value[draw] for name, value in bae._latent_mixtures.items()}
        self.offset, self.noise = offset * scale + bae._y_scaler.mean, np.diag(sd**2)
        half = self.mixture["df"][0] / 2
        self.precision = gamma(half, scale=1 / half).ppf((np.arange(n_points) + 0.5) / n_points)

    def log_density(self, X):
        root = self.loadings @ self.mixture["root"][0]
        mean = self.offset + self.loadings @ self.mixture["loc"][0]
        parts = [
            multivariate_normal(mean, root @ root.T / u + self.noise).logpdf(X)
            for u in self.precision
        ]
        return logsumexp(parts, axis=0) - np.log(len(parts))


@pytest.fixture(scope="module")
def linear():
    """Two linear members, rows of six columns, normal noise."""
    X = factor_rows()
    engine = DeepEnsemble(n_members=2, max_iter=400, learning_rate=0.05, hyperparameters="fixed")
    bae = BayesianAutoencoder(
        2,
        likelihood=SharedGaussian(),
        scale_inputs="global",
        inference=engine,
        density=ONE,
        random_state=0,
    ).set_params(encoder__hidden_layer_sizes=())
    return X, bae.fit(X)


def test_a_linear_decoder_of_normal_codes_has_its_closed_form(linear):
    X, bae = linear
    new = X[:150] + np.random.default_rng(1).normal(size=(150, 6))
    density, error = bae.score_samples(new, return_std=True)
    parts = [LinearRows(bae, draw).log_density(new) for draw in range(2)]
    z = (density - logsumexp(parts, axis=0) + np.log(2)) / error
    assert np.abs(z).max() < LARGEST_Z
    assert abs(z.mean()) < LARGEST_Z / np.sqrt(len(z)) + error.max()
    assert error.max() < 0.2


def test_errors_are_honest(linear):
    """Standard errors are the spread around the exact density over other draws of codes."""
    X, bae = linear
    exact = logsumexp([LinearRows(bae, d).log_density(X[:60]) for d in range(2)], axis=0)
    z = []
    for seed in range(20):
        bae._prediction_seed, before = seed, bae._prediction_seed
        density, error = bae.score_samples(X[:60], return_std=True)
        z.append((density - exact + np.log(2)) / error)
        bae._prediction_seed = before
    # Over 1200 nearly normal numbers a standard deviation is within 6%, but for heavier tails.
    assert 0.8 < np.std(z) < 1.2


def test_the_density_lies_below_that_of_ppca_by_what_codes_count_twice(linear):
    """A linear autoencoder of least squares knows PPCA's plane, and its noise in part.

    Codes vary as the rows in the plane do, noise included, to which the decoder adds its
    own; that is the mean square of what the plane leaves, (D - q) / D of PPCA's noise.
    The divergence of that normal law from PPCA's, which is the best one, is the gap.
    """
    X, bae = linear
    ppca = PPCA(2).fit(X)
    along, noise = ppca.explained_variance_, ppca.noise_variance_ * 4 / 6
    ratios = np.r_[along / (along + noise), np.full(4, 6 / 4)]
    divergence = 0.5 * (ratios - 1 - np.log(ratios)).sum()
    # The likelihood ratio of some ten numbers learned from 400 rows.
    assert abs(ppca.score(X) - bae.score(X) - divergence) < 0.5 * 10 / 400 + 0.02


@pytest.mark.parametrize("n_features", [1, 2])
def test_the_density_integrates_to_one(n_features):
    X = make_moons(120, noise=0.1, random_state=0)[0][:, :n_features] * [3.0, 0.2][:n_features]
    bae = small(encoder__hidden_layer_sizes=(6,)).fit(X)
    centre, spread = X.mean(0), X.std(0)
    u = np.linspace(-6, 6, 2001 if n_features == 1 else 91)
    axes = np.sinh(u) / np.sinh(1.0)
    points = np.stack(np.meshgrid(*[axes] * n_features, indexing="ij"), -1).reshape(-1, n_features)
    volume = np.prod(
        np.meshgrid(*[np.cosh(u) / np.sinh(1.0) * (u[1] - u[0])] * n_features, indexing="ij"), 0
    ).ravel()
    density, error = bae.score_samples(
        points * spread + centre, n_importance_samples=12, return_std=True
    )
    mass = np.exp(density) * volume * np.prod(spread)
    # The rows' errors are independent; the estimate of a density has no bias.
    assert_allclose(mass.sum(), 1.0, atol=LARGEST_Z * np.sqrt(((mass * error) ** 2).sum()) + 2e-3)


@pytest.mark.parametrize(
    "likelihood", [StudentTLikelihood(), Heteroscedastic(), SharedGaussian(noise=0.5)]
)
def test_every_likelihood_has_a_density_that_integrates_to_one(likelihood):
    X = IRIS[:60, :1]
    bae = small(likelihood=likelihood).fit(X)
    u = np.linspace(-8, 8, 1501)
    x, width = X.mean() + X.std() * np.sinh(u), X.std() * np.cosh(u) * (u[1] - u[0])
    density, error = bae.score_samples(x[:, None], n_importance_samples=12, return_std=True)
    mass = np.exp(density) * width
    assert_allclose(mass.sum(), 1.0, atol=LARGEST_Z * np.sqrt(((mass * error) ** 2).sum()) + 2e-3)


def test_probabilities_of_pixels_sum_to_one():
    pixels = (load_digits().data[:100, 18:22] > 7).astype(float)
    bae = small(likelihood="bernoulli", n_components=2).fit(pixels)
    table = np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T
    density, error = bae.score_samples(table, n_importance_samples=400, return_std=True)
    p = np.exp(density)
    assert_allclose(p.sum(), 1.0, atol=LARGEST_Z * np.sqrt(((p * error) ** 2).sum()))
    drawn = bae.sample(4000, random_state=0)
    assert_array_equal(np.unique(drawn), [0, 1])
    share = (drawn[:, None] == table).all(2).mean(0)
    assert (np.abs(share - p) < LARGEST_Z * np.sqrt(p * (1 - p) / 4000 + (p * error) ** 2)).all()
    with pytest.raises(ValueError, match="zeros and ones only"):
        bae.score_samples(table / 2)
    grey = bae.anomaly_score(np.full((1, 4), 0.5))
    assert 0.9 * -density.max() < grey[0] < 1.1 * -density.min()
    means = bae.sample(50, random_state=0, noise=False)
    assert ((means > 0) & (means < 1)).all()


# --- draws keep their codes ---------------------------------------------------------------


def test_each_draw_has_the_mixture_of_its_own_codes(members):
    """By hand: the encoder of a draw, a mixture with the same seed."""
    from skbayes.data._canonical import canonical_rows
    from skbayes.latent._fitted_mixtures import mixture_of, streams

    model = members._model()
    X, _, weight = canonical_rows(IRIS, IRIS, np.ones(len(IRIS)))
    z = torch.from_numpy(members._x_scaler.transform(X)).float()
    weights = model.weights(torch.from_numpy(members._density_params))
    seeds = streams(members._evidence_seed, 3)
    assert_array_equal(members.density_draws_, [0, 1, 2])
    for draw, codes in enumerate(model.network.encode(weights, z).double().numpy()):
        gmm = VariationalGMM(weight_prior="dirichlet_process", random_state=seeds[draw])
        gmm.fit(codes, sample_weight=weight)
        at = torch.from_numpy(codes[:20])
        own = mixture_of(members._latent_mixtures, draw).log_prob(at).numpy()
        assert_allclose(own, gmm.score_samples(codes[:20]), rtol=1e-3, atol=1e-3)
    others = members._latent_mixtures["loc"]
    assert not np.allclose(others[0], others[1], atol=0.05)


def test_few_draws_are_retained_and_spread():
    engine = SGHMC(**{**SHORT, "n_samples": 20})
    bae = small(inference=engine).fit(IRIS)
    assert len(bae.density_draws_) == N_DENSITY_DRAWS
    assert_array_equal(bae.density_draws_, [1, 3, 6, 8, 11, 13, 16, 18])
    draws = bae._draws(bae._model()).params.numpy()
    assert_array_equal(bae._density_params, draws[bae.density_draws_])


def test_retained_draws_share_out_chains_and_times():
    """Each chain, and each half of the run, has as many as the next, or one more."""
    for n_chains in range(1, 12):
        for n_draws in range(1, 250):
            numbers = spread_evenly(n_draws, n_chains)
            assert (np.diff(numbers) > 0).all()
            assert 0 <= numbers[0] <= numbers[-1] < n_draws
            full = max(n_draws // n_chains, 1) * min(n_chains, n_draws)
            assert len(numbers) == min(N_DENSITY_DRAWS, full)
            of_chain = np.bincount(numbers % n_chains, minlength=min(n_chains, n_draws))
            assert np.ptp(of_chain) <= 1, (n_draws, n_chains)
            times, n_times = numbers // n_chains, max(n_draws // n_chains, 1)
            early = np.sum(2 * times + 1 < n_times) - np.sum(2 * times + 1 > n_times)
            assert abs(early) <= 1, (n_draws, n_chains)


@pytest.mark.parametrize("engine", [Laplace(max_iter=30), MCDropout(max_iter=30)])
def test_a_posterior_around_a_mean_has_one_density(engine):
    bae = small(inference=engine, prior="normal").fit(IRIS)
    assert_array_equal(bae.density_draws_, [-1])
    assert_array_equal(bae._density_params[0], bae._code_params)
    assert np.isfinite(bae.score_samples(IRIS)).all()


def test_rows_of_a_mixture_over_draws(members):
    """The density is the mean over draws; so is the joint one of several rows."""
    parts = members._mixed(IRIS[:10], 100).log_density
    assert_allclose(members.score_samples(IRIS[:10]), logsumexp(parts, axis=0) - np.log(3))
    value, se = members.score_evidence(IRIS[:10], return_std=True)
    assert_allclose(value, logsumexp(parts.sum(1)) - np.log(3))
    assert 0 < se < 1
    assert members.score(IRIS) == members.score_samples(IRIS).mean()
    assert_array_equal(members.anomaly_score(IRIS), -members.score_samples(IRIS))


def test_evidence_of_few_draws_is_refused():
    bae = small(inference=SGHMC(**SHORT)).fit(IRIS)
    with pytest.raises(EvidenceUnavailableError, match=r"effective draws.*score_samples\(X\)"):
        bae.score_evidence(IRIS[:3])
    value, se, _ = bae._new_evidence(IRIS[:3], None)
    parts = bae._mixed(IRIS[:3], 100).log_density
    relative = np.exp(parts.sum(1) - value)
    assert se > 0.99 * relative.std(ddof=1) / np.sqrt(len(parts))


# --- new rows -----------------------------------------------------------------------------


def test_new_rows_are_like_the_old(members):
    drawn = members.sample(3000, random_state=0)
    # A density that is right would have the moments within these errors of 150 rows.
    assert_allclose(drawn.mean(0), IRIS.mean(0), atol=4 * IRIS.std(0).max() / np.sqrt(150))
    assert_allclose(np.cov(drawn.T), np.cov(IRIS.T), atol=0.35 * IRIS.var(0).max())
    assert_array_equal(drawn, members.sample(3000, random_state=0))
    assert not np.array_equal(drawn, members.sample(3000, random_state=1))


def test_rows_without_noise_lie_on_the_decoders_surfaces(members):
    """A plane of two codes: without noise, one draw's rows are functions of two numbers."""
    bare = members.sample(500, random_state=0, noise=False)
    noisy = members.sample(500, random_state=0)
    aleatoric = members.predict_std(IRIS, "aleatoric").mean()
    assert_allclose((noisy - bare).std(), aleatoric, rtol=0.15)


def test_the_verb_reaches_through_a_pipeline(members):
    pipe = make_pipeline(StandardScaler(), small()).fit(IRIS)
    drawn = skbayes.sample(pipe, 5, random_state=0)
    assert_allclose(drawn, pipe[0].inverse_transform(pipe[1].sample(5, random_state=0)))


def test_densities_survive_files(members, tmp_path):
    save(members, tmp_path / "bae.skbayes")
    loaded = load(tmp_path / "bae.skbayes")
    assert_array_equal(loaded.score_samples(IRIS), members.score_samples(IRIS))
    assert_array_equal(loaded.sample(9, random_state=0), members.sample(9, random_state=0))


# --- parameters and bad input -------------------------------------------------------------


def test_without_a_density_there_is_none():
    bae = small(density=None).fit(IRIS)
    for verb in ("score_samples", "sample", "score"):
        assert not hasattr(bae, verb)
    assert not hasattr(bae, "density_draws_")
    assert_array_equal(bae.anomaly_score(IRIS), -bae.log_predictive(IRIS))
    with pytest.raises(EvidenceUnavailableError, match="use density='dpmm'"):
        bae.score_evidence(IRIS)


def test_parameters_of_the_mixture_change_the_density(members):
    bae = small(n_components=2, density="dpmm").set_params(density__n_components=2)
    assert bae.density.weight_prior == "dirichlet_process"
    bae.fit(IRIS)
    assert bae._latent_mixtures["loc"].shape == (3, 2, 2)
    assert_array_equal(bae.predict(IRIS), members.predict(IRIS))
    assert not np.array_equal(bae.score_samples(IRIS), members.score_samples(IRIS))


def test_a_mixture_of_other_covariances_is_refused():
    with pytest.raises(ValueError, match="use covariance_type='full'"):
        small(density=VariationalGMM(covariance_type="diag")).fit(IRIS)


def test_odd_rows_have_finite_densities(members):
    far = np.array([[1e6, -1e6, 0, 0], [1e300, 0, 0, 0], [-1e200] * 4, [0.0] * 4])
    density, error = members.score_samples(far, return_std=True)
    assert np.isfinite(density).all()
    assert not np.isnan(error).any()
    assert (density[:3] < density[3]).all()


def test_one_row_and_constant_columns():
    assert np.isfinite(small().fit(IRIS[:1]).score_samples(IRIS[:3])).all()
    X = np.column_stack([IRIS, np.full(len(IRIS), 7.0)])
    bae = small().fit(X)
    assert np.isfinite(bae.score_samples(X)).all()
    assert np.isfinite(bae.sample(50, random_state=0)).all()


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_numbers_of_draws_are_checked(members, n):
    with pytest.raises(ValueError, match="positive integer"):
        members.score_samples(IRIS, n_importance_samples=n)


def test_numbers_beyond_single_precision_are_refused_with_a_remedy():
    """They ended in a LinAlgError of torch's, from `score_samples` (fuzz, seed 87)."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    bae = BayesianAutoencoder(1, inference=MAP(max_iter=5), random_state=0).set_params(
        encoder__hidden_layer_sizes=(3,)
    )
    message = "scale_inputs=.*single precision.*scale_inputs='column'.*density=None"
    with pytest.raises(ValueError, match=message):
        clone(bae).set_params(scale_inputs=None, dtype="float64").fit(1e150 * X)
    bae.fit(1e150 * X)
    assert np.isfinite(bae.score_samples(1e300 * X)).all()
