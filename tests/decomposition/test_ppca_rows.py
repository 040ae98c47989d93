"""PPCA's rows: weighted, streamed, missing in a pipeline, unusable."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import PPCA
from skbayes.exceptions import ConvergenceWarning, DivergenceError, EvidenceUnavailableError
from tests.decomposition.problems import WINE, factor_data, with_holes

# --- weights and streams -----------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("n_components", [2, "evidence", "ard"])
def test_weights_are_repetitions(n_components, share):
    X = with_holes(WINE, share)
    weight = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = PPCA(n_components).fit(X, sample_weight=weight)
    repeated = PPCA(n_components).fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.get_covariance(), repeated.get_covariance(), rtol=1e-7, atol=1e-10)
    assert_allclose(weighted.score_evidence(), repeated.score_evidence(), rtol=1e-9)


@pytest.mark.parametrize("n_components", [3, "evidence", "ard"])
def test_a_stream_of_complete_rows_is_one_fit(n_components):
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(WINE))
    stream = PPCA(n_components)
    for at in (slice(0, 60), slice(60, 61), slice(61, None)):
        stream.partial_fit(WINE[at], sample_weight=weight[at])
    whole = PPCA(n_components).fit(WINE, sample_weight=weight)
    assert_allclose(stream.components_, whole.components_, atol=1e-10)
    assert_allclose(stream.score_evidence(), whole.score_evidence(), rtol=1e-12)
    assert_allclose(stream.transform(WINE), whole.transform(WINE), atol=1e-10)


def test_a_stream_with_missing_values_finds_the_subspace():
    X, loadings = factor_data(5000, 20, 3)
    stream = PPCA(3)
    for chunk in np.array_split(with_holes(X, 0.3), 25):
        stream.partial_fit(chunk)
    assert np.degrees(subspace_angles(stream.components_.T, loadings).max()) < 3
    assert stream.evidence_kind_ is None
    with pytest.raises(EvidenceUnavailableError, match="use fit on all rows"):
        stream.score_evidence()
    assert np.isfinite(stream.score_evidence(X[:5]))


# --- in company ----------------------------------------------------------------------------------


def test_codes_of_rows_with_missing_values_serve_a_classifier():
    """Breast cancer, 30% missing: mean log loss below that of mean imputation and PCA."""
    X, y = load_breast_cancer(return_X_y=True)
    steps = {"ppca": [PPCA(5)], "mean": [SimpleImputer(), PCA(5)]}
    losses = {name: [] for name in steps}
    for seed in range(3):
        Y = X.copy()
        Y[np.random.RandomState(seed).uniform(size=X.shape) < 0.3] = np.nan
        for name, middle in steps.items():
            pipe = make_pipeline(StandardScaler(), *middle, LogisticRegression())
            losses[name] += [-cross_val_score(pipe, Y, y, scoring="neg_log_loss").mean()]
    assert np.less(losses["ppca"], losses["mean"]).all()
    assert np.mean(losses["ppca"]) <= 0.1


def test_verbs_reach_through_a_pipeline():
    X = with_holes(load_iris().data, 0.2)
    pipe = make_pipeline(StandardScaler(), PPCA(2)).fit(X)
    scaled, inner = pipe[0].transform(X), pipe[-1]
    assert_array_equal(skbayes.predict_std(pipe, X), inner.predict_std(scaled))
    with pytest.raises(ValueError, match="PPCA has no kind='epistemic'"):
        skbayes.predict_std(pipe, X, kind="epistemic")
    assert skbayes.score_evidence(pipe) == inner.score_evidence()
    assert skbayes.score_evidence(pipe, X) == inner.score_evidence(scaled)
    codes = skbayes.sample_posterior(pipe, X, 3, random_state=0)
    assert_array_equal(codes, inner.sample_posterior(scaled, 3, random_state=0))
    rows = inner.sample(5, random_state=0)
    outside = pipe[0].inverse_transform(rows)
    assert_array_equal(skbayes.sample(pipe, 5, random_state=0), outside)
    assert_array_equal(skbayes.sample(make_pipeline(pipe), 5, random_state=0), outside)
    with pytest.raises(TypeError, match="met PCA, which has no sample method"):
        skbayes.sample(make_pipeline(PCA()).fit(load_iris().data))


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (np.ones((5, 3)), {}, "do not vary"),
        (np.eye(2), {}, "vary in 1 direction"),
        (WINE, {"n_components": 13}, "n_components=13 leaves no direction .* at most 12"),
        (WINE[:4], {"n_components": 5}, r"vary in 3 direction\(s\) only"),
        (WINE * 1e200, {}, "overflows double precision; divide X"),
        (with_holes(WINE, 0.2), {"solver": "closed_form"}, "takes no missing values"),
        (np.where(np.arange(13) == 2, np.nan, WINE), {}, r"no value in column\(s\) \[2\]"),
        (np.full((60, 4), np.nan), {}, "no value in any row"),
        (np.where(np.arange(13) == 2, np.inf, WINE), {}, "contains infinity"),
    ],
    ids=[
        "constant",
        "a line",
        "too many",
        "few rows",
        "huge",
        "closed",
        "empty column",
        "empty",
        "inf",
    ],
)
def test_unusable_rows(X, params, message):
    with pytest.raises(ValueError, match=message):
        PPCA(**params).fit(X)


def test_components_that_explain_everything():
    X = with_holes(np.random.default_rng(0).normal(size=(12, 8)), 0.5)
    with pytest.raises(DivergenceError, match="set n_components to less than 6"):
        PPCA(6, max_iter=5000, tol=0.0).fit(X)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("n_components", ["evidence", "ard"])
def test_pure_noise_has_one_component(n_components, share):
    X = with_holes(np.random.default_rng(0).normal(size=(300, 8)), share)
    ppca = PPCA(n_components).fit(X)
    assert ppca.n_components_ == 1
    assert_allclose(ppca.get_covariance(), np.eye(8), atol=0.6)


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_extreme_units_are_units(unit):
    X = with_holes(WINE, 0.3)
    plain, scaled = PPCA(3).fit(X), PPCA(3).fit(X * unit)
    assert_allclose(scaled.components_, plain.components_, atol=1e-9)
    shift = np.log(unit) * (~np.isnan(X)).sum()
    assert_allclose(scaled.score_evidence(), plain.score_evidence() - shift, rtol=1e-9)
    draws = scaled.sample_posterior(n_samples=2, random_state=0)
    assert_allclose(
        draws["mean"], plain.sample_posterior(n_samples=2, random_state=0)["mean"] * unit
    )


def test_a_climb_cut_short_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        PPCA(3, max_iter=2).fit(with_holes(WINE, 0.5))


def test_tol_is_where_em_stops():
    X = with_holes(WINE, 0.5)
    loose, tight = (PPCA(3, tol=tol).fit(X) for tol in (1e-2, 1e-10))
    assert loose.n_iter_ < tight.n_iter_
    assert loose.score(X) < tight.score(X)


def test_codes_of_another_width_are_refused():
    with pytest.raises(ValueError, match="Z has 3 columns, but PPCA has 2 components"):
        PPCA(2).fit(WINE).inverse_transform(np.zeros((1, 3)))


def test_frozen_names():
    ppca = PPCA(2).fit(WINE)
    assert list(ppca.get_feature_names_out()) == ["ppca0", "ppca1"]
    assert ppca.__sklearn_tags__().input_tags.allow_nan


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (np.full((50, 5), 1e300), ValueError),
        (np.ones((50, 5)), ValueError),
        (with_holes(np.random.default_rng(0).normal(size=(12, 8)), 0.5), DivergenceError),
    ],
    ids=["before the fit", "in the fit", "in the climb"],
)
def test_a_refused_refit_leaves_the_first_fit(rows, error):
    ppca = PPCA(6 if rows.shape[1] == 8 else 2, max_iter=5000, tol=0.0).fit(WINE)
    before, codes = joblib.hash(vars(ppca)), ppca.transform(WINE)
    with pytest.raises(error):
        ppca.fit(rows)
    assert joblib.hash(vars(ppca)) == before
    assert_array_equal(ppca.transform(WINE), codes)
    with pytest.raises(ValueError, match="expecting 13 features"):
        ppca.transform(rows)


def test_refused_further_rows_leave_the_stream():
    ppca = PPCA(2).fit(WINE)
    before = joblib.hash(ppca.__dict__)
    with pytest.raises(ValueError, match="overflows"):
        ppca.partial_fit(np.full((3, 13), 1e300))
    assert joblib.hash(ppca.__dict__) == before
