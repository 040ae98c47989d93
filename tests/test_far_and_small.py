"""Densities of rows in any place and of any size: finite, without warnings, or refused by name."""

import contextlib

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skbayes import (
    PPCA,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPRegressor,
    ConjugateDensity,
    VAETransformer,
    VariationalGMM,
)

TYPES = ["full", "tied", "diag", "spherical"]


def rows(offset=0.0, scale=1.0):
    return np.random.default_rng(0).normal(size=(60, 3)) * scale + offset


@pytest.mark.parametrize("type_", TYPES)
def test_a_mixture_has_straight_tails(type_):
    """A Student-t density falls by dof + columns, times the log of the distance."""
    gmm = VariationalGMM(2, covariance_type=type_, random_state=0).fit(rows())

    def density(exponent):
        return gmm.score_samples([[10.0**exponent] * 3])[0]

    slope = (density(140) - density(100)) / 40
    for exponent in (149, 151, 154, 160, 250, 300):
        expected = density(140) + slope * (exponent - 140)
        assert density(exponent) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("family", ["normal_gamma", "normal_inverse_wishart"])
def test_a_conjugate_density_has_straight_tails(family):
    fitted = ConjugateDensity(family).fit(rows())
    far = fitted.score_samples(np.array([[1e100], [1e140], [1e160], [1e300]]) * np.ones(3))
    slope = (far[1] - far[0]) / 40
    assert_allclose(far[2:], far[1] + slope * np.array([20, 160]), rtol=1e-6)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("offset", [1e4, 1e8, 1e12, 1e15])
def test_a_mixture_far_from_zero(type_, offset):
    far = rows(offset)
    near = far - offset
    here, there = (
        VariationalGMM(2, covariance_type=type_, random_state=0).fit(X) for X in (near, far)
    )
    last_place = np.spacing(offset)
    assert_allclose(there.score_samples(far), here.score_samples(near), atol=0.01 + 2 * last_place)
    assert there.score_evidence() == pytest.approx(here.score_evidence(), rel=1e-3 + last_place)


def test_a_covariance_that_doubles_cannot_hold_is_refused_by_name():
    with pytest.raises(ValueError, match=r"column .* subtract X\.mean"):
        ConjugateDensity().fit(rows(1e12))
    ConjugateDensity().fit(rows(1e4))


@pytest.mark.parametrize(("scale", "what"), [(1e-160, "underflow"), (1e-300, "underflow"),
                                             (1e160, "overflow")])  # fmt: skip
def test_ppca_refuses_what_has_no_squares(scale, what):
    with pytest.raises(ValueError, match=f"X .*squares?.*{what}.*divide X"):
        PPCA(1).fit(rows(scale=scale))


@pytest.mark.parametrize(("offset", "scale"), [(1e12, 1.0), (0.0, 1e-300), (0.0, 1e300)])
def test_an_autoencoder_wherever_its_columns_are(offset, scale):
    far = rows(offset, scale)
    near = (far - offset) / scale
    quick = {
        "n_components": 1,
        "encoder__hidden_layer_sizes": (4,),
        "training__max_iter": 20,
        "random_state": 0,
    }
    here, there = (VAETransformer().set_params(**quick).fit(X) for X in (near, far))
    assert_allclose(there.transform(far), here.transform(near), atol=0.01)


@pytest.mark.parametrize(
    ("X_size", "y_size", "params", "match"),
    [
        (1e300, 1.0, {"hyperparameters": "fixed"}, "column 0 of X .* divide X"),
        (1.0, 1e300, {"hyperparameters": "fixed"}, "y is of a size .* divide y"),
        (1e-200, 1e200, {}, "column 0 of X leaves double precision"),
    ],
)
def test_a_regression_refuses_what_doubles_cannot_hold(X_size, y_size, params, match):
    X = rows()
    reg = BayesianLinearRegression(**params).fit(X, X[:, 0])
    before = reg.posterior_
    with pytest.raises(ValueError, match=match):
        reg.fit(X[:, :1] * X_size, X[:, 0] * y_size)
    assert reg.posterior_ is before


def test_rows_that_are_refused_leave_those_before():
    X = rows()
    reg = BayesianLinearRegression(hyperparameters="fixed").fit(X, X[:, 0])
    before = reg.predict(X)
    with pytest.raises(ValueError, match="divide y"):
        reg.partial_fit(X, X[:, 0] * 1e300)
    reg.partial_fit(X, X[:, 0])
    again = BayesianLinearRegression(hyperparameters="fixed").fit(X, X[:, 0], np.full(60, 2.0))
    assert_allclose(reg.predict(X), again.predict(X), rtol=1e-10)
    assert not np.allclose(before, reg.predict(X), rtol=1e-6)


def test_targets_that_single_precision_cannot_square_are_refused():
    X = rows()
    reg = BayesianMLPRegressor((2,), inference="map", scale_targets=False, random_state=0)
    with pytest.raises(ValueError, match=r"y reaches .* scale_targets=True"):
        reg.fit(X, X[:, 0] * 1e30)


def test_codes_that_are_too_large_to_count_are_refused():
    with pytest.raises(ValueError, match=r"column 1 of X .* OrdinalEncoder"):
        ConjugateDensity("dirichlet_categorical").fit([[0, 1], [1, 1e15]])


@pytest.mark.parametrize("hyperparameters", ["evidence", "bayes"])
def test_a_classifier_of_columns_of_all_sizes_ends(hyperparameters):
    """Three hundred decades between columns: found, or refused by name, in silence."""
    X = rows() * [1e300, 1.0, 1e-160]
    clf = BayesianLogisticRegression(inference="laplace", hyperparameters=hyperparameters)
    with contextlib.suppress(ValueError):
        clf.fit(X, X[:, 1] > 0)
    if hasattr(clf, "posterior_"):
        assert np.isfinite(clf.predict_proba(X)).all()
    else:
        with pytest.raises(ValueError, match="columns of X that reach"):
            clf.fit(X, X[:, 1] > 0)
