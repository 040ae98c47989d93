"""VAETransformer: every parameter acts, parts combine or are refused, densities are honest."""

from copy import deepcopy
from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import PPCA, AutoencoderTransformer, VAETransformer
from skbayes.autoencoder import ELBO, Mask, Matched, _trained
from skbayes.exceptions import EvidenceUnavailableError, IncompatiblePartsError
from skbayes.likelihoods import (
    COLUMN_LIKELIHOODS,
    BernoulliColumns,
    Categorical,
    Gaussian,
    StudentTColumns,
)
from skbayes.networks import CNN, MLP
from skbayes.utils import _random
from skbayes.utils._random import make_generator

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = load_iris().target_names[SPECIES]
X = IRIS[::2]
BITS = (load_digits().data[:200, 2:6] > 7).astype(float)
QUICK = {
    "encoder__hidden_layer_sizes": (8,),
    "training__max_iter": 60,
    "training__learning_rate": 0.02,
    "random_state": 0,
}


def quick(**params):
    return VAETransformer().set_params(**{**QUICK, "n_score_samples": 64, **params})


#: Parameters beside those of `quick`, and what has to change with them.
STATISTICAL = {
    "n_components": 1,
    "encoder__hidden_layer_sizes": (9,),
    "decoder": MLP((9,)),
    "prior_scale": 0.3,
    "likelihood": "student_t",
    "scale_inputs": "global",
    "bottleneck": "full",
    "objective": "importance_bound",
    "allow_missing": True,
    "corruption": "mask",
    "training__max_iter": 61,
    "random_state": 1,
    "latent_prior": "gaussian_mixture",
}
#: Tested where they act.
ELSEWHERE = {"condition_on_y", "warm_start", "verbose", "n_score_samples"}


def test_every_parameter_is_tested():
    """Parameters of its parts have tests of their own (test_parts.py)."""
    tested = {name.partition("__")[0] for name in (*STATISTICAL, *ELSEWHERE)}
    assert tested == set(VAETransformer().get_params())


@pytest.fixture(scope="module")
def plain():
    return quick().fit(X)


@pytest.mark.parametrize("name", STATISTICAL)
def test_statistical_parameters_change_the_fit(name, plain):
    changed = quick(**{name: STATISTICAL[name]}).fit(X)
    assert not np.allclose(changed.score_samples(X), plain.score_samples(X), rtol=1e-4)


LIKELIHOODS = [
    "gaussian",
    "shared_gaussian",
    "heteroscedastic",
    "student_t",
    StudentTColumns("heteroscedastic"),
    Gaussian(noise=0.3),
    "bernoulli",
    BernoulliColumns("threshold"),
    BernoulliColumns("sample"),
    "categorical",
]


def test_every_likelihood_makes_another_fit():
    rows = np.linspace(0, 1, 6)[np.random.default_rng(0).integers(0, 6, size=(60, 4))]
    fits = [quick(likelihood=likelihood).fit(rows) for likelihood in LIKELIHOODS]
    assert {name for name in LIKELIHOODS if isinstance(name, str)} == set(COLUMN_LIKELIHOODS)
    assert len({fit.transform(rows).tobytes() for fit in fits}) == len(LIKELIHOODS)


@pytest.mark.parametrize("likelihood", [Categorical(), {Categorical(): [0, 1], "gaussian": [2, 3]}])
def test_likelihoods_of_labels_are_refused(likelihood):
    with pytest.raises(IncompatiblePartsError, match="is one of labels; columns take one of"):
        quick(likelihood=likelihood).fit(X)


def test_a_likelihoods_own_parameters_are_checked():
    for likelihood in (Gaussian(noise=-1.0), {Gaussian(noise=-1.0): [0, 1, 2, 3]}):
        with pytest.raises(ValueError, match="'noise' parameter of Gaussian"):
            quick(likelihood=likelihood).fit(X)


def test_a_likelihood_by_name_has_nested_parameters():
    vae = VAETransformer(likelihood="bernoulli").set_params(likelihood__binarize="sample")
    assert vae.likelihood.binarize == "sample"


def test_more_draws_lower_the_error(plain):
    more = clone(plain).set_params(n_score_samples=1024).fit(X)
    assert_array_equal(more.transform(X), plain.transform(X))
    errors = [vae.score_samples(X, return_std=True)[1].mean() for vae in (plain, more)]
    assert errors[1] < 0.5 * errors[0]


def test_unknown_device_is_named():
    with pytest.raises(ValueError, match="device='nowhere' cannot be used here"):
        quick(training__device="nowhere").fit(X)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("sizes", [(2.7,), (-3,), (0,), (4, True)])
def test_sizes_are_positive_integers(part, sizes):
    message = f"^{part}__hidden_layer_sizes must be positive integers, got "
    with pytest.raises(ValueError, match=message):
        VAETransformer(**{part: MLP(sizes)}).fit(X)


def test_draws_share_no_number_with_the_fit_of_their_seed(plain, monkeypatch):
    """Each draw's generator starts apart from all those of a fit."""
    seeds = []

    def noted(seed, *args):
        seeds.append(seed)
        return make_generator(seed, *args)

    for module in (_trained, _random):
        monkeypatch.setattr(module, "make_generator", noted)
    clone(plain).set_params(random_state=0).fit(X).sample(2, random_state=0)
    assert len(set(seeds)) == len(seeds) >= 3


def test_the_bound_rises_with_draws(plain):
    """In mean over seeds and rows; two draws are one of each of the main proposals."""
    new, bounds = np.random.default_rng(0).permutation(IRIS)[:60], []
    for seed in range(60):
        vae = clone(plain)
        vars(vae).update(vars(plain), _seed=seed)
        bounds.append([vae.score_samples(new, n_importance_samples=k).mean() for k in (2, 16, 256)])
    mean, error = np.mean(bounds, axis=0), np.std(bounds, axis=0).max() / np.sqrt(60)
    assert mean[0] + 2 * error < mean[1] < mean[2] + error
    assert plain.elbo(new, n_samples=256).mean() < mean[2]


def test_beta_leaves_the_bound_a_bound():
    """`elbo` and densities are at beta = 1 whatever the training used."""
    vae = quick(objective__beta=0.2).fit(X)
    assert vae.elbo(X, n_samples=512).mean() < vae.score(X)


@pytest.mark.parametrize("params", [{}, {"allow_missing": True}, {"n_components": 1}])
def test_probabilities_of_all_binary_rows_sum_to_one(params):
    vae = quick(likelihood="bernoulli", **params, n_score_samples=2000).fit(BITS)
    rows = np.array(list(product([0.0, 1.0], repeat=4)))
    density, error = vae.score_samples(rows, return_std=True)
    p = np.exp(density)
    assert p.sum() == pytest.approx(1, abs=5 * np.sqrt(((p * error) ** 2).sum()))
    share = np.array([(row == BITS).all(1).mean() for row in rows])
    assert np.abs(p - share).sum() < 0.5


def test_probabilities_of_all_levels_sum_to_one():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, 150)
    table = np.column_stack([first, (first + (rng.uniform(size=150) < 0.2)) % 3, 5.0 + first])
    vae = quick(likelihood={"categorical": [0, 1], Gaussian(noise=0.1): [2]})
    vae = vae.fit(table).set_params(n_score_samples=500)
    grid, step = np.linspace(4, 8, 161, retstep=True)
    rows = np.array([(a, b, c) for a, b in product(range(3), repeat=2) for c in grid])
    density = vae.score_samples(rows).reshape(9, -1)
    assert np.exp(logsumexp(density)) * step == pytest.approx(1, abs=0.02)
    drawn = vae.sample(500, random_state=0)
    assert set(np.unique(drawn[:, :2])) <= {0.0, 1.0, 2.0}


def test_kinds_of_columns_are_named_by_column():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    by_name = quick(likelihood={"student_t": ["d"], "gaussian": ["a", "c", "b"]}).fit(frame)
    by_number = quick(likelihood={"student_t": [3], "gaussian": [0, 2, 1]}).fit(X)
    assert_array_equal(by_name.transform(frame), by_number.transform(X))
    with pytest.raises(ValueError, match="'e', which X does not have"):
        quick(likelihood={"gaussian": ["e"]}).fit(frame)
    with pytest.raises(ValueError, match="each of the 4 columns of X once"):
        quick(likelihood={"gaussian": [0, 1, 1, 2]}).fit(X)
    with pytest.raises(ValueError, match=r"names \['poisson'\]; use \['bernoulli'"):
        quick(likelihood={"poisson": [0, 1, 2, 3]}).fit(X)


@pytest.fixture(scope="module")
def conditional():
    return quick(condition_on_y=True, n_score_samples=256).fit(IRIS, NAMES)


def test_a_conditional_model_tells_labels_apart(conditional):
    names = np.unique(NAMES)
    by_label = np.array([conditional.score_samples(IRIS, np.full(150, n)) for n in names])
    assert (names[by_label.argmax(0)] == NAMES).mean() > 0.8
    setosa = conditional.sample(400, y="setosa", random_state=0)
    mean, spread = IRIS[SPECIES == 0].mean(0), IRIS.std(0)
    assert (np.abs(setosa.mean(0) - mean) < 0.35 * spread).all()
    assert conditional.score(IRIS, NAMES) > quick().fit(IRIS).score(IRIS)


def test_a_conditional_model_answers_given_y(conditional):
    codes = conditional.transform(IRIS, NAMES)
    assert_array_equal(conditional.fit_transform(IRIS, NAMES), codes)
    for verb in ("predict_std", "reconstruct", "elbo"):
        assert len(getattr(conditional, verb)(IRIS, NAMES)) == 150
    assert conditional.inverse_transform(codes, NAMES).shape == IRIS.shape
    assert conditional.sample_posterior(IRIS, 2, y=NAMES).shape == (2, 150, 2)
    assert np.isfinite(conditional.score_evidence(IRIS, NAMES))
    for call in (conditional.transform, conditional.score_samples, clone(conditional).fit):
        with pytest.raises(ValueError, match="condition_on_y=True"):
            call(IRIS)
    with pytest.raises(ValueError, match="'rose', which fit did not see"):
        conditional.transform(IRIS[:1], ["rose"])


def test_numbers_are_conditioned_on_too():
    targets = np.random.default_rng(0).normal(size=(150, 2))
    rows = np.column_stack([targets.sum(1), targets[:, 0]]) + 0.01 * IRIS[:, :2]
    vae = quick(condition_on_y=True, training__max_iter=300).fit(rows, targets)
    far, near = vae.sample(50, y=np.tile([2.0, 2.0], (50, 1))), vae.sample(50, y=np.zeros((50, 2)))
    assert far.mean(0)[0] - near.mean(0)[0] > 2
    with pytest.raises(ValueError, match="y has 1 columns, but fit saw 2"):
        vae.transform(rows, targets[:, 0])


@pytest.mark.parametrize(
    "params",
    [
        {"allow_missing": True},
        {"likelihood": {"gaussian": [0, 1], "student_t": [2, 3]}},
        {"allow_missing": True, "likelihood": {"gaussian": [0, 3], "student_t": [2, 1]}},
        {"latent_prior": "gaussian_mixture", "bottleneck": "full"},
        {"objective": Matched("sliced_wasserstein"), "likelihood": "heteroscedastic"},
    ],
)
def test_conditioning_combines(params):
    rows = IRIS.copy()
    if "allow_missing" in params:
        rows[::4, 1] = np.nan
    vae = quick(condition_on_y=True, **params).fit(rows, NAMES)
    assert np.isfinite(vae.score_samples(rows, NAMES)).all()
    filled = vae.impute(rows, y=NAMES)
    assert np.isfinite(filled).all()


@pytest.mark.parametrize(
    "params",
    [
        {"objective": ELBO(free_bits=0.1), "latent_prior": "vamp"},
        {"bottleneck": "full", "objective": "matched"},
        {"latent_prior": "vamp", "condition_on_y": True},
    ],
    ids=lambda params: "-".join(params),
)
def test_pairs_that_do_not_fit_are_named(params):
    one, other = params
    with pytest.raises(IncompatiblePartsError) as error:
        quick(**params).fit(X, SPECIES[::2])
    assert one in str(error.value)
    assert other in str(error.value)


def test_free_bits_keep_codes_alive():
    """Codes that fall idle under a strong divergence keep their bits when these are free."""
    idle = quick(objective__beta=30.0, training__max_iter=200).fit(X)
    alive = quick(objective__beta=30.0, objective__free_bits=1.0, training__max_iter=200).fit(X)
    assert idle.transform(X).std() < 0.1
    assert alive.transform(X).std() > 0.3


def test_masked_values_hurt_a_denoising_autoencoder_less():
    rng = np.random.default_rng(0)
    rows = np.where(rng.uniform(size=IRIS.shape) < 0.25, IRIS.mean(0), IRIS)
    errors = {}
    for corruption in (None, "mask"):
        coder = AutoencoderTransformer(2, corruption=corruption, random_state=0).set_params(
            training__max_iter=400
        )
        errors[corruption] = ((coder.fit(IRIS).reconstruct(rows) - IRIS) ** 2).mean()
    assert errors["mask"] < errors[None]


def test_an_autoencoder_rebuilds_better_than_the_mean_and_scores_it():
    coder = AutoencoderTransformer(2, random_state=0).set_params(training__max_iter=500).fit(IRIS)
    error = ((coder.reconstruct(IRIS) - IRIS) ** 2).mean()
    assert coder.score(IRIS) == pytest.approx(-error)
    assert error < 0.2 * IRIS.var(0).mean()
    assert not hasattr(coder, "score_samples")


def test_values_between_have_no_density():
    gray = BITS * 0.7
    vae = quick(likelihood="bernoulli").fit(gray)
    with pytest.raises(EvidenceUnavailableError, match="use BernoulliColumns"):
        vae.score_evidence()
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        vae.score_samples(gray)
    sampled = quick(likelihood=BernoulliColumns("sample")).fit(gray)
    assert np.isfinite(sampled.score_samples(BITS)).all()
    rounded = quick(likelihood=BernoulliColumns("threshold")).fit(gray)
    assert_array_equal(rounded.score_samples(gray), rounded.score_samples(BITS))
    with pytest.raises(ValueError, match=r"values in \[0, 1\]"):
        quick(likelihood="bernoulli").fit(IRIS)


@pytest.mark.parametrize(
    ("params", "rows", "message"),
    [
        ({}, np.where(X > 5, np.nan, X), "NaN"),
        ({"corruption": Mask(1.5)}, X, "'rate' parameter of Mask"),
        ({"encoder": CNN((1, 3, 3))}, X, "image_shape"),
        ({"encoder": "cnn"}, X, "does not know the shape of an image"),
        ({"decoder": "cnn"}, X, "does not know the shape of an image"),
        ({"n_components": 0}, X, "n_components"),
    ],
)
def test_bad_input_is_named(params, rows, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(rows)


@pytest.mark.parametrize(
    "rows",
    [
        np.column_stack([X, np.full(len(X), 3.7)]),
        X[:1],
        np.repeat(X[:2], 5, axis=0),
        X * 1e200,
        X.astype(np.float16),
        X[:3],
    ],
    ids=["constant", "one row", "duplicates", "huge", "half precision", "few rows"],
)
def test_degenerate_rows_are_learned(rows):
    vae = quick().fit(rows)
    for answer in (vae.transform(rows), vae.score_samples(rows), vae.sample(5, random_state=0)):
        assert np.isfinite(answer).all()


def test_rows_far_away_have_codes_and_a_low_density(plain):
    far = X[:4] * np.array([[1e3], [1e30], [1e200], [-1e200]])
    assert np.isfinite(plain.transform(far)).all()
    assert np.isfinite(plain.predict_std(far)).all()
    density, error = plain.score_samples(far, return_std=True)
    assert not np.isnan(density).any()
    assert not np.isnan(error).any()
    assert (density < plain.score_samples(X).min()).all()


def test_single_precision_is_kept(plain):
    single = X.astype(np.float32)
    fit = quick().fit(single)
    answers = (
        fit.transform(single),
        fit.predict_std(single),
        fit.inverse_transform(fit.transform(single)),
        fit.sample(3),
        fit.impute(single),
        fit.sample_posterior(single, 2),
    )
    assert {answer.dtype for answer in answers} == {np.dtype(np.float32)}


def test_a_warm_up_is_not_ended_by_its_rising_loss():
    """The tolerance compares losses once the divergence counts in full."""
    vae = quick(objective__warm_up=0.6, training__tol=0.5, training__max_iter=400).fit(X)
    assert vae.converged_
    assert 240 < vae.n_iter_ < 400


def test_networks_in_use_are_not_warmed_up():
    """A second fit and the further chunks of a stream count the divergence from the start."""
    first = quick(warm_start=True).fit(X)
    densities = [
        deepcopy(first).set_params(objective__warm_up=share).fit(X).score_samples(X)
        for share in (0.0, 1.0)
    ]
    np.testing.assert_array_equal(*densities)
    densities = [
        deepcopy(first).set_params(objective__warm_up=share).partial_fit(X).score_samples(X)
        for share in (0.0, 1.0)
    ]
    np.testing.assert_array_equal(*densities)


def test_a_warm_start_goes_on(plain):
    vae = quick(warm_start=True, training__max_iter=300).fit(X)
    before = vae.loss_curve_[-1]
    vae.set_params(training__max_iter=30, training__learning_rate=1e-4).fit(X)
    assert vae.n_iter_ == 330
    assert vae.loss_curve_[0] < before + 0.5
    assert (
        quick(training__max_iter=30, training__learning_rate=1e-4).fit(X).loss_curve_[-1]
        > before + 0.5
    )
    with pytest.raises(ValueError, match="warm_start=False to start anew"):
        vae.set_params(encoder__hidden_layer_sizes=(5,)).fit(X)


def test_a_stream_is_learned():
    vae = quick(training__batch_size=25)
    rows = np.random.default_rng(0).permutation(np.tile(IRIS, (12, 1)))
    for chunk in np.array_split(rows, 36):
        vae.partial_fit(chunk)
    assert vae.n_iter_ >= 36
    first = quick(training__batch_size=25).partial_fit(IRIS)
    assert vae.score(IRIS) > first.score(IRIS) + 0.5
    with pytest.raises(EvidenceUnavailableError, match=r"score_evidence\(X\)"):
        vae.score_evidence()


def test_evidence_from_a_sample_of_rows_agrees(monkeypatch):
    whole = quick().fit(IRIS)
    monkeypatch.setattr("skbayes.autoencoder._generative.EVIDENCE_ROWS", 60)
    monkeypatch.setattr("skbayes.autoencoder._generative.EVIDENCE_WORK", 0)
    part = quick().fit(IRIS)
    exact, small = whole.score_evidence(return_std=True)
    value, error = part.score_evidence(return_std=True)
    assert small < 0.1 * error
    assert abs(value - exact) < 4 * error


def test_verbs_reach_through_a_pipeline():
    pipe = make_pipeline(StandardScaler(), quick()).fit(X)
    assert skbayes.predict_std(pipe, X).shape == (len(X), 2)
    assert skbayes.sample(pipe, 3, random_state=0).shape == (3, 4)
    assert np.isfinite(skbayes.score_evidence(pipe, X))
    search = GridSearchCV(quick(), {"objective__beta": [1.0, 20.0]}, cv=2).fit(X)
    assert search.best_params_ == {"objective__beta": 1.0}
    assert list(pipe[-1].get_feature_names_out()) == ["vaetransformer0", "vaetransformer1"]


def test_defaults_but_fewer_steps_serve_small_raw_tables():
    """Codes serve a classifier about as well as PCA's; densities of new rows beat PPCA's."""
    rows, labels = load_breast_cancer(return_X_y=True)
    train, test, y, y_test = train_test_split(rows, labels, random_state=0, stratify=labels)
    vae = VAETransformer(5, random_state=0).set_params(training__max_iter=1500)
    pipe = make_pipeline(vae, StandardScaler(), LogisticRegression()).fit(train, y)
    # Three standard errors below .95 on 143 rows.
    assert pipe.score(test, y_test) > 0.9
    scaler = StandardScaler().fit(train)
    ppca = PPCA(5).fit(scaler.transform(train))
    linear = ppca.score(scaler.transform(test)) - np.log(scaler.scale_).sum()
    assert vae.score(test) > linear + 2
