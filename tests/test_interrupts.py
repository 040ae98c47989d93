"""Ctrl-C at any line of a fit leaves what was fitted before, or the whole of what is new."""

import inspect
import random
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

import skbayes
from skbayes import (
    PPCA,
    AutoencoderTransformer,
    BayesianAutoencoder,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    BayesianModuleClassifier,
    BayesianModuleRegressor,
    ConjugateDensity,
    SemiSupervisedVAEClassifier,
    VAETransformer,
    VariationalGMM,
)
from skbayes.inference import HMC, MAP, SGHMC, Laplace
from skbayes.networks import GRU, MLP
from skbayes.priors import EmpiricalBayes
from tests.interrupting import interrupted, lines_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Lines tried of each case: in the files of the estimator's own folder, and anywhere.
N_OWN, N_OTHER = 20, 5

RNG = np.random.default_rng(0)
X, WIDER = RNG.normal(size=(24, 3)), 3 + RNG.normal(size=(20, 4))
Y, NUMBERS = X[:, 0] + 0.3 * RNG.normal(size=24), WIDER[:, 0] + 0.3 * RNG.normal(size=20)
LABELS, OTHERS = np.where(Y > 0, "yes", "no"), np.where(NUMBERS > 3, "b", "a")
SOME = np.where(np.arange(20) % 2, OTHERS.astype(object), -1)
MORE = X[:10] + 1, Y[:10]

HAMILTONIAN = HMC(
    n_samples=4, n_chains=2, warmup=4, max_leapfrog=3, init_steps=2, max_extensions=0, evidence=None
)
SHORT = SGHMC(
    n_samples=4, n_chains=1, warmup=4, thinning=1, init_steps=2, max_extensions=0, evidence=None
)
LOGISTIC = BayesianLogisticRegression(max_iter=2, random_state=0)
LOGISTIC_HMC = {"n_samples": 4, "n_chains": 2, "warmup": 4, "evidence": None}
NETWORK = {"hidden_layer_sizes": (2,), "random_state": 0}
TRAINED = {"encoder__hidden_layer_sizes": (2,), "training__max_iter": 2, "random_state": 0}
VAE = VAETransformer(1, n_score_samples=4).set_params(**TRAINED)
REGRESSOR = BayesianMLPRegressor(**NETWORK, inference=HAMILTONIAN)
GMM = VariationalGMM(2, max_iter=3, n_init=1, n_moves=0, random_state=0)

#: An estimator, its first targets, and what is interrupted.
CASES = {
    "linear": (BayesianLinearRegression(), Y, lambda e: e.fit(WIDER, NUMBERS)),
    "linear partial_fit": (BayesianLinearRegression(), Y, lambda e: e.partial_fit(*MORE)),
    "logistic": (LOGISTIC, LABELS, lambda e: e.fit(WIDER, OTHERS)),
    "logistic hmc": (
        clone(LOGISTIC).set_params(inference="hmc", hmc_params=LOGISTIC_HMC),
        LABELS,
        lambda e: e.fit(WIDER, OTHERS),
    ),
    "regressor": (REGRESSOR, Y, lambda e: e.fit(WIDER, NUMBERS)),
    "regressor warm": (
        BayesianMLPRegressor(**NETWORK, inference=MAP(max_iter=2), warm_start=True),
        Y,
        lambda e: e.fit(*MORE),
    ),
    "regressor extend": (REGRESSOR, Y, lambda e: e.extend(X, Y, 4)),
    "classifier": (
        BayesianMLPClassifier(**NETWORK, inference=Laplace(max_iter=2)),
        LABELS,
        lambda e: e.fit(WIDER, OTHERS),
    ),
    "module regressor": (
        BayesianModuleRegressor(GRU(2), inference=MAP(max_iter=2), random_state=0),
        Y,
        lambda e: e.fit(WIDER, NUMBERS),
    ),
    "module classifier": (
        BayesianModuleClassifier(
            MLP((2,)), bayesian="last", inference=MAP(max_iter=2), random_state=0
        ),
        LABELS,
        lambda e: e.fit(WIDER, OTHERS),
    ),
    "mixture": (GMM, None, lambda e: e.fit(WIDER)),
    "mixture passes": (GMM, None, lambda e: e.fit(lambda: [WIDER[:9], WIDER[9:]])),
    "mixture partial_fit": (GMM, None, lambda e: e.partial_fit(MORE[0])),
    "conjugate": (ConjugateDensity("normal_gamma"), None, lambda e: e.fit(WIDER)),
    "conjugate partial_fit": (
        ConjugateDensity("normal_gamma"),
        None,
        lambda e: e.partial_fit(MORE[0]),
    ),
    "ppca": (PPCA(1), None, lambda e: e.fit(WIDER)),
    "ppca partial_fit": (PPCA(1), None, lambda e: e.partial_fit(MORE[0])),
    "autoencoder": (AutoencoderTransformer(1).set_params(**TRAINED), None, lambda e: e.fit(WIDER)),
    "vae": (VAE, None, lambda e: e.fit(WIDER)),
    "vae warm": (clone(VAE).set_params(warm_start=True), None, lambda e: e.fit(MORE[0])),
    "vae partial_fit": (VAE, None, lambda e: e.partial_fit(MORE[0])),
    "semi-supervised": (
        SemiSupervisedVAEClassifier(1, n_members=2).set_params(**TRAINED),
        LABELS,
        lambda e: e.fit(WIDER, SOME),
    ),
    "bayesian autoencoder": (
        BayesianAutoencoder(
            1, inference=SHORT, prior=EmpiricalBayes(max_iter=1), density=None
        ).set_params(encoder__hidden_layer_sizes=(2,), random_state=0),
        None,
        lambda e: e.fit(WIDER),
    ),
}


def places(estimator, lines, rng):
    """Numbers of lines to stop at: each of a file's last time, and some of any."""
    folder = str(Path(inspect.getfile(type(estimator))).parent)
    own = {line: number for number, line in enumerate(lines, 1) if line[0].startswith(folder)}
    own = list(own.values())
    chosen = rng.sample(own, min(N_OWN, len(own))) + rng.choices(range(1, len(lines)), k=N_OTHER)
    return sorted(set(chosen) - {len(lines)})


@pytest.mark.parametrize("case", CASES)
def test_ctrl_c_leaves_the_old_or_the_new(case):
    estimator, y, act = CASES[case]
    fitted, done = (clone(estimator).fit(X, y) for _ in range(2))
    act(clone(estimator).fit(X, y))  # what is found of modules is found once
    lines = lines_of(lambda: act(done))
    before = dict(vars(fitted))
    old, new = joblib.hash(vars(fitted)), joblib.hash(vars(done))
    assert old != new
    for number in places(estimator, lines, random.Random(case)):
        interrupted(lambda: act(fitted), number)
        # The last lines put threads' counts back: by then the estimator may have what is new.
        assert joblib.hash(vars(fitted)) in (old, new), lines[number - 1]
        fitted.__dict__ = dict(before)
        assert joblib.hash(vars(fitted)) == old, lines[number - 1]
    interrupted(lambda: act(fitted), len(lines))
    assert joblib.hash(vars(fitted)) == new


@pytest.mark.parametrize("case", CASES)
def test_a_refused_fit_leaves_the_old(case):
    estimator, y, _ = CASES[case]
    fitted = clone(estimator).fit(X, y)
    old = joblib.hash(vars(fitted))
    with pytest.raises(ValueError, match=r"Negative values|expecting 3 features"):
        fitted.fit(WIDER, None if y is None else y[:20], sample_weight=-np.ones(20))
    assert joblib.hash(vars(fitted)) == old


def test_every_estimator_and_verb_is_interrupted():
    public = (getattr(skbayes, name) for name in skbayes.__all__)
    kinds = [kind for kind in public if inspect.isclass(kind) and issubclass(kind, BaseEstimator)]
    interrupted_kinds = [(type(estimator), case) for case, (estimator, *_) in CASES.items()]
    for kind in (kind for kind in kinds if hasattr(kind, "fit")):
        own = [case for tried, case in interrupted_kinds if tried is kind]
        assert own, kind
        if hasattr(kind, "partial_fit"):
            assert any("partial_fit" in case for case in own), kind
