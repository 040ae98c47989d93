"""Mistakes that users of scikit-learn make: each names what was given, and what to type."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skbayes
from skbayes import (
    PPCA,
    AutoencoderTransformer,
    BayesianAutoencoder,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianMLPClassifier,
    BayesianMLPRegressor,
    ConjugateDensity,
    SemiSupervisedVAEClassifier,
    VAETransformer,
    VariationalGMM,
)
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.inference import HMC, MAP
from skbayes.metrics import crps, interval_coverage
from skbayes.networks import MLP
from skbayes.priors import Normal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = X[:, 0] + RNG.normal(size=30)
C = (Y > 0).astype(int)
FRAME = pd.DataFrame(X, columns=list("abcd"))
HOLES = np.where(X[0, 0] == X, np.nan, X)
NAMES = np.where(C, "yes", "no")
QUICK = {"hidden_layer_sizes": (2,), "inference": MAP(max_iter=5), "random_state": 0}
REG, CLF = BayesianMLPRegressor(**QUICK), BayesianMLPClassifier(**QUICK)
LINEAR, LOGISTIC = BayesianLinearRegression(), BayesianLogisticRegression(inference="laplace")
GMM, CODER = VariationalGMM(2, n_moves=0, random_state=0), PPCA(1)
SMALL = {"encoder__hidden_layer_sizes": (2,), "training__max_iter": 5, "random_state": 0}
VAE = VAETransformer(1).set_params(**SMALL)
BAE = BayesianAutoencoder(
    1, density=None, encoder=MLP(2), inference=MAP(max_iter=5), random_state=0
)
TARGETS = {id(REG): Y, id(LINEAR): Y, id(CLF): C, id(LOGISTIC): C}


@cache
def fitted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so short a training says that it was
        return clone(model).fit(X, TARGETS.get(id(model)))


def fit(model, rows=X, targets=Y, **params):
    return clone(model).set_params(**params).fit(rows, targets)


def grid(model, **params):
    return GridSearchCV(model, {name: [value] for name, value in params.items()}, cv=2).fit(X, Y)


def labels(dtype):
    return pd.Series([pd.NA, *NAMES[1:]], dtype=dtype)


#: What was done, the error, and words that its message must hold.
MISTAKES = {
    # Missing values, and text where numbers belong.
    "NaN": (lambda: fit(REG, HOLES), ValueError, "Input X contains NaN", "SimpleImputer"),
    "NaN, linear": (lambda: fit(LINEAR, HOLES), ValueError, "contains NaN", "PPCA"),
    "NaN, VAE": (lambda: fit(VAE, HOLES), ValueError, "contains NaN", "allow_missing=True"),
    "NaN in new rows": (lambda: fitted(VAE).transform(HOLES), ValueError, "allow_missing=True"),
    "NA among objects": (
        lambda: fit(REG, FRAME.astype(object).replace({FRAME.a[0]: pd.NA})),
        ValueError,
        "Input X contains NaN",
    ),
    "NA labels, object": (lambda: fit(LOGISTIC, X, labels(object)), ValueError, "NA in 1 of 30"),
    "NA labels, string": (lambda: fit(CLF, X, labels("string")), ValueError, "row 0", "leave"),
    "NA labels, category": (lambda: fit(CLF, X, labels("category")), ValueError, "NA in 1 of"),
    "NA labels, half labelled": (
        lambda: SemiSupervisedVAEClassifier(1).set_params(**SMALL).fit(X, labels("string")),
        ValueError,
        "mark rows without a label by -1",
    ),
    "None labels": (lambda: fit(CLF, X, [None, *NAMES[1:]]), ValueError, "NaN, None or NA"),
    "NaN targets": (lambda: fit(LINEAR, X, pd.Series(HOLES[:, 0])), ValueError, "y contains NaN"),
    "category of text": (
        lambda: fit(
            VAE,
            FRAME.assign(a=pd.Categorical(NAMES)),
            likelihood={"gaussian": ["b", "c", "d"], "categorical": ["a"]},
        ),
        ValueError,
        "column 'a' of X",
        "OrdinalEncoder",
    ),
    "text column": (lambda: fit(LINEAR, FRAME.assign(c=NAMES)), ValueError, "'c'", "OneHotEncoder"),
    "text in an array": (lambda: fit(GMM, np.c_[X, NAMES]), ValueError, "column 4 of X"),
    "text in new rows": (lambda: fitted(LINEAR).predict(np.c_[X[:, :3], NAMES]), ValueError, "3"),
    "dates": (
        lambda: fit(LINEAR, FRAME.assign(b=pd.date_range("2020", periods=30))),
        ValueError,
        "column 'b' of X holds text or dates",
    ),
    # Targets of the wrong kind.
    "names for numbers": (lambda: fit(REG, X, NAMES), ValueError, "y holds text", "classifier"),
    "names, linear": (lambda: fit(LINEAR, X, list(NAMES)), ValueError, "y holds text"),
    "numbers for labels": (lambda: fit(CLF), ValueError, "continuous", "classifier"),
    "one class": (lambda: fit(LOGISTIC, X, 0 * C), ValueError, "at least 2 classes", "class: 0"),
    "column of labels": (lambda: fit(CLF, X, C[:, None]), UserWarning, "ravel()"),
    "X and y swapped": (lambda: fit(REG, Y, X), ValueError, "X comes first, fit(X, y)"),
    "X and labels swapped": (lambda: fit(LOGISTIC, C, X), ValueError, "X comes first"),
    "y too short": (lambda: fit(LINEAR, X, Y[1:]), ValueError, "[30, 29]"),
    "no y": (lambda: fit(REG, X, None), ValueError, "requires y"),
    "unseen label": (lambda: fitted(CLF).log_predictive(X, C + 5), ValueError, "[5, 6]"),
    # Rows of the wrong kind.
    "one row": (lambda: fitted(REG).predict(X[0]), ValueError, "2D array", "reshape(1, -1)"),
    "no rows": (lambda: fit(LOGISTIC, X[:0], C[:0]), ValueError, "0 sample(s)"),
    "sparse": (lambda: fit(LINEAR, sparse.csr_array(X)), TypeError, "Sparse", ".toarray()"),
    "tensor with gradient": (
        lambda: fit(LINEAR, torch.tensor(X, requires_grad=True)),
        RuntimeError,
        "detach()",
    ),
    "fewer columns": (lambda: fitted(GMM).predict(X[:, 1:]), ValueError, "3 features", "4"),
    "renamed column": (
        lambda: fit(LINEAR, FRAME).predict(FRAME.rename(columns={"a": "z"})),
        ValueError,
        "unseen at fit time:\n- z",
    ),
    "columns in another order": (
        lambda: fit(LINEAR, FRAME).predict(FRAME[list("dcba")]),
        ValueError,
        "same order",
    ),
    "codes for rows": (lambda: fitted(CODER).inverse_transform(X), ValueError, "1 components"),
    "counts that are none": (
        lambda: ConjugateDensity("gamma_poisson").fit(X),
        ValueError,
        "takes counts",
        "family='normal_gamma'",
    ),
    "weights of mean 1/n": (
        lambda: LINEAR.fit(X, Y, sample_weight=np.full(30, 1 / 30)),
        UserWarning,
        "sums to 1",
        "sample_weight * 30",
    ),
    "weights too short": (
        lambda: GMM.fit(X, sample_weight=np.ones(29)),
        ValueError,
        "sample_weight.shape",
    ),
    "as many codes as columns": (
        lambda: fit(BAE, n_components=4),
        UserWarning,
        "n_components=4",
        "at most 3",
    ),
    "as many codes, plain": (
        lambda: AutoencoderTransformer(5).set_params(**SMALL).fit(X),
        UserWarning,
        "n_components=5",
    ),
    # Names of parameters.
    "parameter of the engine": (
        lambda: BayesianMLPRegressor(step_size=0.1),
        TypeError,
        "'step_size'",
        "inference=HMC(step_size=...)",
        "set_params(inference='hmc', inference__step_size=...)",
        "'nuts'",
    ),
    "the same, set": (
        lambda: BayesianMLPClassifier().set_params(step_size=0.1),
        ValueError,
        "inference=HMC(step_size=...)",
    ),
    "the same, searched": (lambda: grid(REG, step_size=1), ValueError, "inference__step_size"),
    "parameter of the prior": (
        lambda: BayesianAutoencoder(df=3),
        TypeError,
        "prior=StudentT(df=...)",
    ),
    "nested in the constructor": (
        lambda: BayesianMLPRegressor(inference__max_iter=3),
        TypeError,
        "inference=MAP(max_iter=...)",
    ),
    "nested in auto": (
        lambda: BayesianMLPRegressor().set_params(inference__n_samples=3),
        ValueError,
        "inference='auto' is chosen in fit",
        "inference=HMC(n_samples=...)",
    ),
    "nested, mistyped": (
        lambda: BayesianMLPRegressor().set_params(inference__max_itr=3),
        ValueError,
        "did you mean 'max_iter'",
    ),
    "nested in a part": (lambda: grid(REG, prior__scal=1), ValueError, "Normal", "mean 'scale'"),
    "mistyped": (lambda: BayesianMLPRegressor(hidden_layers=3), TypeError, "'hidden_layer_sizes'"),
    "mistyped, set": (lambda: clone(GMM).set_params(n_component=3), ValueError, "'n_components'"),
    "mistyped in an engine": (lambda: HMC(n_sample=3), TypeError, "HMC", "mean 'n_samples'"),
    "mistyped in a prior": (lambda: Normal(std=3), TypeError, "Normal", "it has", "scale"),
    "mistyped for a sampler": (
        lambda: BayesianLogisticRegression(inference="hmc", hmc_params={"warm_up": 3}).fit(X, C),
        TypeError,
        "mean 'warmup'",
    ),
    # Names that scikit-learn has for them.
    "alpha": (lambda: BayesianMLPClassifier(alpha=1), TypeError, "prior=Normal(scale=...)"),
    "solver": (lambda: BayesianMLPRegressor(solver="adam"), TypeError, "'solver'", "inference"),
    "max_iter": (lambda: BayesianMLPClassifier(max_iter=9), TypeError, "inference=MAP(max_iter"),
    "alpha_1": (lambda: BayesianLinearRegression(alpha_1=1), TypeError, "beta_prior="),
    "lambda_1": (lambda: BayesianLinearRegression(lambda_1=1), TypeError, "alpha_prior="),
    "C": (lambda: BayesianLogisticRegression(C=1), TypeError, "alpha=1/C", "'fixed'"),
    "weight_concentration_prior": (
        lambda: VariationalGMM(weight_concentration_prior=1),
        TypeError,
        "use weight_concentration",
    ),
    "reg_covar": (lambda: VariationalGMM(reg_covar=1e-6), TypeError, "covariance_prior"),
    "share of variance": (lambda: fit(CODER, n_components=0.95), ValueError, "0.95", "'evidence'"),
    "all components": (lambda: fit(CODER, n_components=None), ValueError, "None", "below"),
    "svd_solver": (lambda: PPCA(svd_solver="full"), TypeError, "solver, 'closed_form'"),
    "latent_dim": (lambda: VAETransformer(latent_dim=3), TypeError, "use n_components"),
    # Values of parameters.
    "engine, mistyped": (
        lambda: fit(REG, inference="hcm"),
        ValueError,
        "{'auto', 'deep_ensemble', 'gaussian_vi', 'hmc'",
        "or an instance of 'Inference'",
        "Got 'hcm' instead. Did you mean 'hmc'?",
    ),
    "engine, class": (lambda: fit(REG, inference=HMC), ValueError, "inference=HMC()", "class"),
    "engine, elsewhere": (
        lambda: BayesianLogisticRegression(inference=HMC()).fit(X, C),
        ValueError,
        "inference='hmc' and hmc_params={...}",
    ),
    "prior, another name": (lambda: fit(REG, prior="gaussian"), ValueError, "prior='normal'"),
    "prior, mistyped": (lambda: fit(REG, prior="horshoe"), ValueError, "prior='student_t'"),
    "prior, number": (lambda: fit(REG, prior=0.5), ValueError, "prior=Normal(scale=...)"),
    "likelihood": (lambda: fit(REG, likelihood="normal"), ValueError, "likelihood='gaussian'"),
    "family": (lambda: ConjugateDensity("normal_gama").fit(X), ValueError, "'normal_gamma'?"),
    "no hidden layers": (lambda: fit(REG, hidden_layer_sizes=None), ValueError, "Use ()"),
    "hidden layer of none": (lambda: fit(REG, hidden_layer_sizes=(0,)), ValueError, "(0,)", "()"),
    "device": (lambda: fit(REG, device="gpu"), ValueError, "device='gpu'", "'cuda' or 'cpu'"),
    "device, mistyped": (lambda: fit(GMM, device="cudda"), ValueError, "mean 'cuda'"),
    "too many components": (lambda: fit(CODER, n_components=4), ValueError, "at most 3"),
    # Verbs.
    "unfitted": (lambda: REG.predict_interval(X), NotFittedError, "BayesianMLPRegressor", "'fit'"),
    "unfitted density": (lambda: GMM.score_samples(X), NotFittedError, "VariationalGMM"),
    "std of labels": (
        lambda: fitted(CLF).predict(X, return_std=True),
        TypeError,
        "['return_std']",
        "predict_std(X)",
    ),
    "std of labels, logistic": (
        lambda: fitted(LOGISTIC).predict(X, return_std=True),
        TypeError,
        "predict_std(X)",
    ),
    "interval of labels": (
        lambda: fitted(CLF).predict_interval(X),
        AttributeError,
        "'predict_interval'",
        "predict_std(X)",
    ),
    "interval of labels, verb": (
        lambda: skbayes.predict_interval(make_pipeline(fitted(CLF)), X),
        TypeError,
        "skbayes.predict_std",
    ),
    "probability of numbers": (
        lambda: fitted(LINEAR).predict_proba(X),
        AttributeError,
        "log_predictive(X, y)",
    ),
    "variance": (lambda: fitted(REG).predict_var(X), AttributeError, "predict_std(X)"),
    "verb, mistyped": (lambda: fitted(REG).score_evidance(), AttributeError, "'score_evidence'"),
    "bic": (lambda: fitted(GMM).bic(X), AttributeError, "score_evidence()"),
    "density that was left out": (
        lambda: fitted(BAE).score_samples(X),
        AttributeError,
        "density=None",
        "density='dpmm'",
    ),
    "half of the data": (lambda: fitted(LINEAR).score_evidence(X), ValueError, "both X and y"),
    "evidence of a mode": (
        lambda: fitted(REG).score_evidence(),
        EvidenceUnavailableError,
        "MAP has no evidence",
        "inference='laplace'",
    ),
    "spread of a mode": (
        lambda: fitted(REG).predict_std(X, kind="epistemic"),
        UserWarning,
        "MAP keeps one set of weights",
        "'deep_ensemble'",
    ),
    "spread of reconstructions": (
        lambda: fitted(BAE).predict_std(X, kind="epistemic"),
        UserWarning,
        "is zero everywhere",
    ),
    "kind": (lambda: fitted(LINEAR).predict_std(X, "epistemc"), ValueError, "mean 'epistemic'"),
    "percent": (lambda: fitted(LINEAR).predict_interval(X, 90), ValueError, "got 90", "0.9?"),
    "draws at rows": (
        lambda: fitted(REG).sample_posterior(n_samples=X),
        ValueError,
        "a table of shape (30, 4)",
        "sample_posterior(X, 10)",
    ),
    "rows and number swapped": (
        lambda: fitted(LINEAR).sample_y(5, X),
        ValueError,
        "n_samples",
        "sample_y(X, n_samples=10)",
    ),
    "another library's model": (
        lambda: skbayes.predict_std(Ridge().fit(X, Y), X),
        TypeError,
        "Ridge",
        "skbayes estimator",
    ),
    "search without a best": (
        lambda: skbayes.predict_std(
            GridSearchCV(LINEAR, {"alpha": [1.0]}, refit=False, cv=2).fit(X, Y), X
        ),
        TypeError,
        "set refit=True",
    ),
    "import, mistyped": (lambda: skbayes.BayesianMLP, AttributeError, "did you mean 'BayesianMLP"),
    "load": (lambda: skbayes.load("model"), AttributeError, "skbayes.io.load"),
    # Metrics.
    "score of means": (lambda: crps(Y, Y), ValueError, "y_draws", "mean_absolute_error"),
    "interval and y swapped": (
        lambda: interval_coverage(np.c_[Y, Y], Y),
        ValueError,
        "interval must end",
        "y_true comes first",
    ),
    "interval with NaN": (
        lambda: interval_coverage(Y, np.c_[Y, HOLES[:, 0]]),
        ValueError,
        "interval",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_mistakes_are_named_with_their_remedy(mistake):
    call, error, *words = MISTAKES[mistake]
    with pytest.raises(error) as caught:  # warnings are errors here
        call()
    message = str(caught.value)
    for word in words:
        assert word in message
    # A message is read on a screen: no tables, no homes of classes.
    assert len(message) < 1000
    assert "skbayes._" not in message
    assert "._" not in message


def test_a_message_is_the_same_every_time():
    """Names in sets came in another order in each process."""
    with pytest.raises(ValueError, match="'cauchy', 'flat', 'laplace', 'normal'"):
        fit(REG, prior="cosine")


def test_markers_in_objects_are_missing_values():
    objects = FRAME.astype(object).mask(FRAME.a[0] == FRAME, pd.NA)
    numbers = pd.DataFrame(HOLES, columns=list("abcd"))
    for model in (CODER, GMM, clone(VAE).set_params(allow_missing=True)):
        found, expected = (
            clone(model).fit(rows).score_samples(rows) for rows in (objects, numbers)
        )
        np.testing.assert_array_equal(found, expected)
    assert objects.isna().sum().sum() == 1, "the caller's table stays as it was"


def test_the_name_of_pca_for_the_choice_by_evidence():
    by_name = clone(CODER).set_params(n_components="mle").fit(X)
    assert by_name.n_components_ == PPCA("evidence").fit(X).n_components_


def test_no_warning_where_none_is_due():
    """A warning that always comes is not read."""
    one = np.eye(30)[0]
    LINEAR.fit(X, Y, sample_weight=one)  # the weight of one row
    LINEAR.fit(X, Y, sample_weight=np.full(30, 0.1))
    fitted(REG).predict_std(X)
    fitted(REG).predict_uncertainty(X)
    fitted(LINEAR).predict_std(X, kind="epistemic")
    AutoencoderTransformer(5, corruption="mask").set_params(**SMALL).fit(X)  # denoises


def test_asking_for_attributes_still_works():
    assert not hasattr(CLF, "predict_interval")
    assert not hasattr(REG, "posterior_")
    assert getattr(REG, "coef_", None) is None


def test_parts_of_ones_own_take_their_own_parameters():
    class Slow(MAP):
        def __init__(self, pause=0, **params):
            super().__init__(**params)
            self.pause = pause

    assert Slow(pause=1, max_iter=3).max_iter == 3
