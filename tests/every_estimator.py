"""A quick configuration of every public estimator, for promises that all of them make."""

from contextlib import suppress
from copy import deepcopy

import numpy as np
from sklearn.base import clone, is_classifier

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
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.inference import HMC, DeepEnsemble, GaussianVI, Laplace, MeanFieldVI
from skbayes.networks import GRU
from skbayes.testing._problems import Problem, is_predictor, quiet
from skbayes.testing._state import verbs

#: Several configurations of one estimator take ways of their own through its verbs.
ESTIMATORS = {
    "linear": BayesianLinearRegression(),
    "logistic": BayesianLogisticRegression(),
    "logistic_hmc": BayesianLogisticRegression(
        inference="hmc", hmc_params={"n_samples": 20, "warmup": 20, "max_extensions": 0}
    ),
    "regressor_laplace": BayesianMLPRegressor((20,), inference="laplace"),
    "regressor_draws": BayesianMLPRegressor(
        (20,), likelihood="heteroscedastic", inference=MeanFieldVI(max_iter=30)
    ),
    "regressor_hmc": BayesianMLPRegressor(
        (20,), inference=HMC(n_samples=20, warmup=20, max_extensions=0, max_leapfrog=6)
    ),
    "classifier": BayesianMLPClassifier(
        (20,), inference=DeepEnsemble(n_members=3, max_iter=30, anchored=True)
    ),
    "module_regressor": BayesianModuleRegressor(GRU(4), inference=Laplace(max_iter=30)),
    "module_classifier": BayesianModuleClassifier(
        bayesian="last", inference=GaussianVI(max_iter=30)
    ),
    "mixture": VariationalGMM(3, max_iter=20),
    "conjugate": ConjugateDensity("normal_inverse_wishart"),
    "ppca": PPCA(2),
    "autoencoder": AutoencoderTransformer(2).set_params(
        encoder__hidden_layer_sizes=(20,), training__max_iter=20
    ),
    "vae": VAETransformer(2, n_score_samples=64).set_params(
        encoder__hidden_layer_sizes=(20,), training__max_iter=20
    ),
    "bayesian_autoencoder": BayesianAutoencoder(2, inference=MeanFieldVI(max_iter=30)).set_params(
        encoder__hidden_layer_sizes=(20,)
    ),
    "semi_supervised": SemiSupervisedVAEClassifier(2).set_params(
        encoder__hidden_layer_sizes=(20,), training__max_iter=20
    ),
}
#: Classes that the package exports.
PUBLIC = [kind for name in skbayes._HOMES if isinstance(kind := getattr(skbayes, name), type)]

#: Verbs beyond those of the contract, as calls of an estimator and a problem.
FURTHER = {
    "anomaly_score": lambda e, p: e.anomaly_score(p.X),
    "elbo": lambda e, p: e.elbo(p.X),
    "extend": lambda e, p: deepcopy(e).extend(p.X, p.y, 5),
    "fit_predict": lambda e, p: clone(e).fit_predict(p.X),
    "fit_transform": lambda e, p: clone(e).fit_transform(p.X),
    "impute": lambda e, p: e.impute(p.X),
    "partial_fit": lambda e, p: clone(e).partial_fit(p.X, p.y),
    "predict_log_proba": lambda e, p: e.predict_log_proba(p.X),
    "reconstruct": lambda e, p: e.reconstruct(p.X),
    "score_evidence": lambda e, p: evidence(e, p),
    "sample_prior": lambda e, p: e.sample_prior(p.X, random_state=0),
    "score": lambda e, p: e.score(p.X, p.y),
    "to_arviz": lambda e, p: e.to_arviz(p.X, p.y, 5),
}


def evidence(estimator, problem):
    """Log evidence of new rows; None where too few draws are behind it."""
    with suppress(EvidenceUnavailableError):
        return estimator.score_evidence(problem.X, problem.y)


def problem_of(estimator, n_rows=150):
    """Rows, and targets that the estimator takes; many enough for threads to be worth a thought."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    y = X[:, 0] + np.sin(2 * X[:, 1]) + 0.3 * rng.normal(size=n_rows)
    if not is_predictor(estimator):
        y = None
    elif is_classifier(estimator):
        y = np.where(y > 0, "yes", "no")
    return Problem("rows", X, y, X, y)


def fitted(name, random_state=0):
    """A problem and the estimator of this name fitted to it."""
    estimator = clone(ESTIMATORS[name])
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=random_state)
    problem = problem_of(estimator)
    with quiet():
        return problem, estimator.fit(problem.X, problem.y)


def calls(estimator, problem):
    """Every public verb of a fitted estimator, by name: functions without arguments."""
    found = {
        verb: lambda call=call: call(estimator)
        for verb, call in verbs(estimator, problem).items()
        if hasattr(estimator, verb.partition("(")[0]) and not verb.startswith("score_evidence(")
    }
    sampled = getattr(getattr(estimator, "posterior_", None), "stopped", None) is not None
    further = {
        verb: lambda call=call: call(estimator, problem)
        for verb, call in FURTHER.items()
        if hasattr(estimator, verb) and (verb != "extend" or sampled)
    }
    return found | further
