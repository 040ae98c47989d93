"""Scales by cross-validation, against a loop over scikit-learn's own regressions."""

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
from skbayes.inference._cross_validation import N_FOLDS, SCALES, cross_validated_scale
from skbayes.likelihoods import Bernoulli
from skbayes.networks import MLP
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
    model = Model(MLP(N_FEATURES, 1, (), "tanh"), Normal(), Bernoulli(), 2, LIKE)
    training = {"max_iter": 500, "learning_rate": 0.05, "batch_size": None, "tol": 0.0}
    weight, best = 1.0 + np.arange(N_ROWS) % 3, []
    for slope in (0.0, 40.0, 1e6):
        X, y = linear_classes(slope)
        best.append(SCALES[int(held_out_losses(X, y, weight).argmin())])
        found, n_iter = cross_validated_scale(
            model, to_data(X, y, weight), make_run(), engine="test", **training
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
