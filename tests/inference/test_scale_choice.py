"""Scales by cross-validation, against a loop over scikit-learn's own regressions."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes._model import Model
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference import DeepEnsemble
from skbayes.inference.mode import _deep_ensemble
from skbayes.inference.mode._cross_validation import (
    ENOUGH_ROWS,
    N_FOLDS,
    SCALES,
    SHARPER,
    cross_validated_scale,
    held_out_sharpness,
    sharpened,
)
from skbayes.likelihoods import Bernoulli, Categorical
from skbayes.networks import MLPNetwork
from skbayes.priors import Normal
from tests.scenarios import LIKE, make_run, to_data, with_bias

N_ROWS, N_FEATURES = 60, 4


def linear_classes(slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels whose log odds are ``slope`` times the first column."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    return X, (rng.random(N_ROWS) < expit(slope * X[:, 0])).astype(int)


def held_out_losses(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Of penalised regressions, on the folds that the seed draws, for each scale."""
    # The prior of weights is scale / sqrt(fan in); the bias has the scale as it is.
    columns = with_bias(X) * np.r_[np.full(N_FEATURES, N_FEATURES**-0.5), 1.0]
    fold = torch.randperm(len(X), generator=make_run().training).numpy() % N_FOLDS
    losses = np.zeros(len(SCALES))
    for held_out in range(N_FOLDS):
        test = fold == held_out
        for index, scale in enumerate(SCALES):
            model = LogisticRegression(C=scale**2, fit_intercept=False, tol=1e-10, max_iter=10_000)
            model.fit(columns[~test], y[~test], sample_weight=weight[~test])
            proba = model.predict_proba(columns[test])[:, 1]
            losses[index] += log_loss(
                y[test], proba, sample_weight=weight[test], normalize=False, labels=[0, 1]
            )
    return losses


def test_the_scale_with_the_least_held_out_loss():
    model = Model(MLPNetwork(N_FEATURES, 1, (), "tanh"), Normal(), Bernoulli(), 2, LIKE)
    ensemble = DeepEnsemble(max_iter=500, learning_rate=0.05, batch_size=None, tol=0.0)
    weight, best = 1.0 + np.arange(N_ROWS) % 3, []
    for slope in (0.0, 40.0, 1e6):
        X, y = linear_classes(slope)
        best.append(SCALES[int(held_out_losses(X, y, weight).argmin())])
        found, n_iter = cross_validated_scale(
            model,
            to_data(X, y, weight),
            make_run(),
            partial(ensemble.training_options, model=model),
        )
        assert np.exp(found) == pytest.approx(best[-1])
        assert n_iter == N_FOLDS * 500
    assert len(set(best)) == 3, "the problems do not tell the scales apart"


def classifier(**params) -> BayesianMLPClassifier:
    engine = DeepEnsemble(n_members=2, max_iter=60, **params)
    return BayesianMLPClassifier((8,), inference=engine, random_state=0)


def test_auto_is_by_cross_validation_for_plain_ensembles_of_classes():
    X, y = linear_classes(40.0)
    proba = {
        way: classifier(hyperparameters=way).fit(X, y).predict_proba(X)
        for way in ("auto", "cross_validation", "evidence", "fixed")
    }
    np.testing.assert_array_equal(proba["auto"], proba["cross_validation"])
    assert not np.allclose(proba["auto"], proba["evidence"])
    assert not np.allclose(proba["auto"], proba["fixed"])
    anchored = [
        classifier(hyperparameters=way, anchored=True).fit(X, y).predict_proba(X)
        for way in ("auto", "evidence")
    ]
    np.testing.assert_array_equal(*anchored)


def test_one_row_has_nothing_to_hold_out():
    fitted = classifier().fit(np.zeros((2, 1)), ["a", "b"])
    assert np.isfinite(fitted.predict_proba(np.ones((1, 1)))).all()


def test_noise_is_not_chosen_by_cross_validation():
    X, y = linear_classes(1.0)
    reg = BayesianMLPRegressor(inference=DeepEnsemble(hyperparameters="cross_validation"))
    with pytest.raises(IncompatiblePartsError, match="use hyperparameters='evidence'"):
        reg.fit(X, y)


def many_classes(n_rows: int, n_features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Rows around twelve centres, whose labels chance does not touch."""
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(12, n_features))
    y = rng.integers(0, 12, n_rows)
    return centres[y] + rng.normal(size=(n_rows, n_features)), y


def sharpness(n_rows: int, n_members: int) -> tuple[float, int]:
    X, y = many_classes(n_rows)
    model = Model(MLPNetwork(4, 12, (8,)), Normal(), Categorical(), 12, LIKE)
    ensemble = DeepEnsemble(max_iter=40, batch_size=None, tol=0.0)
    data = to_data(X, y, np.ones(n_rows))
    return held_out_sharpness(
        model,
        data,
        make_run(),
        np.log(2.0),
        n_members,
        partial(ensemble.training_options, model=model),
    )


def test_sharpening_multiplies_the_outputs():
    model = Model(MLPNetwork(4, 3, (5, 5)), Normal(), Categorical(), 3, LIKE)
    params = model.init(2, make_run().training)
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(7, 4))).to(LIKE)
    before, after = (
        model.network.forward(model.weights(p), X)
        for p in (params, sharpened(model, params, np.log(1.5)))
    )
    torch.testing.assert_close(after, 1.5 * before)


def test_averages_of_many_classes_are_sharpened():
    """Of networks that have not been trained to their end, sure of too little."""
    log_factor, n_iter = sharpness(1600, 3)
    assert np.exp(log_factor) == pytest.approx(max(SHARPER))
    assert n_iter == 40


def test_few_rows_and_single_members_are_not():
    assert sharpness(N_FOLDS * ENOUGH_ROWS - 1, 3) == (0.0, 0)
    assert sharpness(1600, 1) == (0.0, 0)


def test_the_factor_reaches_the_members(monkeypatch):
    X, y = linear_classes(40.0)
    plain = classifier().fit(X, y)
    monkeypatch.setattr(_deep_ensemble, "held_out_sharpness", lambda *a, **k: (np.log(2.0), 0))
    sharp = classifier().fit(X, y)
    logits = [np.log(p[:, 1] / p[:, 0]) for p in (latent(plain, X), latent(sharp, X))]
    np.testing.assert_allclose(logits[1], 2 * logits[0], rtol=1e-3, atol=1e-3)


def latent(clf, X):
    """Probabilities by the first member."""
    model = clf._model()
    params = torch.from_numpy(clf.posterior_.particles[0])
    rows = torch.as_tensor(clf._x_scaler.transform(X), dtype=params.dtype)
    outputs = model.network.forward(model.weights(params), rows)
    return model.likelihood.probabilities(outputs)[0].double().numpy()
