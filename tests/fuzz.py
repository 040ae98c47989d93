"""Seeded fits to data of any kind: each ends right, or in an error that names what to change.

A thousand of them: ``python -m tests.fuzz 0 1000``.
"""

import re
import sys
import traceback
import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

import skbayes
from skbayes.networks import MLP
from skbayes.training import Training
from tests.engine_configs import CHEAP, cheap_engines

#: Parameters under which a fit is short, and the choices that are drawn from.
VAE = {
    "n_components": [1, 2],
    "encoder": [MLP((3,)), MLP((4, 3))],
    "training": [Training(max_iter=4)],
    "random_state": [0],
    "scale_inputs": ["column", "global", None],
    "likelihood": [
        "gaussian",
        "shared_gaussian",
        "heteroscedastic",
        "student_t",
        "bernoulli",
        "categorical",
    ],
}
NETWORK = {
    "hidden_layer_sizes": [(), (3,), (3, 2)],
    "activation": ["tanh", "relu"],
    "inference": [*cheap_engines().values()],
    "prior": ["normal", "student_t", "laplace", "flat"],
    "scale_inputs": ["column", "global", None],
    "n_predictive_samples": [8],
    "dtype": ["auto", "float64"],
    "random_state": [0],
}
LINEAR = {"alpha": [1.0, 1e-8, 1e8], "fit_intercept": [True, False], "ard": [False, True]}
LEARNED = ["bayes", "evidence", "fixed"]
CHOICES = {
    "BayesianLinearRegression": {**LINEAR, "hyperparameters": LEARNED, "beta": [1.0, 1e8]},
    "BayesianLogisticRegression": {
        **LINEAR,
        "hyperparameters": LEARNED,
        "inference": ["variational", "laplace", "hmc"],
        "hmc_params": [CHEAP["hmc"]],
        "n_predictive_samples": [16],
        "random_state": [0],
    },
    "BayesianMLPRegressor": {**NETWORK, "scale_targets": [True, False]},
    "BayesianMLPClassifier": NETWORK,
    "VariationalGMM": {
        "n_components": [1, 2, 4],
        "covariance_type": ["full", "tied", "diag", "spherical"],
        "weight_prior": ["dirichlet", "dirichlet_process"],
        "max_iter": [50],
        "random_state": [0],
    },
    "PPCA": {
        "n_components": [1, 2, "evidence", "ard"],
        "whiten": [False, True],
        "solver": ["auto", "em"],
        "max_iter": [50],
    },
    "ConjugateDensity": {
        "family": [
            "beta_bernoulli",
            "dirichlet_categorical",
            "gamma_poisson",
            "normal_gamma",
            "normal_inverse_wishart",
        ]
    },
    "VAETransformer": VAE,
    "AutoencoderTransformer": {
        **{name: VAE[name] for name in ("encoder", "training", "random_state")},
        "n_components": [1, 2],
    },
    "SemiSupervisedVAEClassifier": VAE,
    "BayesianAutoencoder": {
        **{k: v for k, v in NETWORK.items() if k not in ("hidden_layer_sizes", "activation")},
        "n_components": [1, 2],
        "encoder": [MLP(()), MLP((3,), "relu")],
        "likelihood": ["shared_gaussian", "gaussian", "bernoulli"],
        "prior": ["auto", "empirical_bayes", "optimized", "student_t"],
        "density": ["dpmm", "dpmm", None],
    },
}
SCALES = [1e-300, 1e-160, 1e-8, 1.0, 1.0, 1.0, 1e8, 1e150, 1e300]
OFFSETS = [0.0, 0.0, 0.0, 1e4, 1e8, 1e12, 1e15]
ALLOWED = (ConvergenceWarning, DataConversionWarning)


def draw_column(rng, n_rows):
    """Numbers of some kind."""
    kind = rng.integers(8)
    if kind == 0:
        return np.full(n_rows, rng.choice([0.0, 0.1, -3.0, 1e300]))
    if kind == 1:
        return rng.integers(0, 2, n_rows).astype(float)
    if kind == 2:
        return rng.integers(0, 50, n_rows).astype(float)
    if kind == 3:
        return rng.standard_cauchy(n_rows)
    return rng.normal(size=n_rows) * rng.choice(SCALES) + rng.choice(OFFSETS)


def draw_table(rng):
    """Rows (N, D), some of them twice, of some type."""
    n_rows, n_columns = int(rng.integers(1, 61)), int(rng.integers(1, 9))
    plain = rng.random() < 0.4
    columns = [rng.normal(size=n_rows) if plain else draw_column(rng, n_rows)
               for _ in range(n_columns)]  # fmt: skip
    X = np.column_stack(columns)
    if rng.random() < 0.3:
        X = X[rng.integers(0, max(1, n_rows // 2), n_rows)]
    if rng.random() < 0.1:
        X[rng.integers(n_rows), rng.integers(n_columns)] = rng.choice([np.nan, np.inf])
    if rng.random() < 0.15:
        X = np.abs(np.round(np.clip(X, -9, 9)))
    return as_type(X, rng)


def as_type(X, rng):
    """The table in another type, or with names."""
    kind = rng.integers(10)
    small = np.isfinite(X).all() and np.abs(X).max() < 1e30
    if kind == 0 and small:
        return X.astype(np.float32)
    if kind == 1 and small:
        return np.clip(X, -1e15, 1e15).astype(int)
    if kind == 2:
        return np.nanmedian(X) < X
    if kind == 3:
        return X.astype(object)
    if kind == 4:
        odd = ["", " ", "é", "a b", "__class__", "0", "\n", "X"]
        return pd.DataFrame(X, columns=odd[: X.shape[1]])
    if kind == 5:
        return np.asfortranarray(X)[::-1]
    return X


def draw_targets(rng, n_rows, labels):
    """Labels of a few kinds, or numbers of one or two targets."""
    if labels:
        codes = rng.integers(0, rng.integers(1, 5), n_rows)
        kinds = [codes, codes > 0, np.array(["b", "a", "é", ""])[codes], codes - 1.0,
                 codes.astype(object), np.array(["x", 1, 2, 3], dtype=object)[codes]]  # fmt: skip
        return kinds[rng.integers(len(kinds))]
    if rng.random() < 0.2:
        return np.column_stack([draw_column(rng, n_rows) for _ in range(2)])
    y = draw_column(rng, n_rows)
    if rng.random() < 0.05:
        y[0] = np.nan
    return y.astype(np.float32) if rng.random() < 0.1 and np.abs(y).max() < 1e30 else y


def draw_weights(rng, n_rows):
    if rng.random() < 0.7:
        return None
    weight = rng.choice([0.0, 1.0, 1.0, 2.0, 0.3, 1e-6, 1e6], n_rows)
    if rng.random() < 0.1:
        weight[0] = rng.choice([-1.0, np.nan, 1e300])
    return weight


def draw_case(seed):
    """Estimator, rows, targets and weights."""
    rng = np.random.default_rng([31, seed])
    name = list(CHOICES)[rng.integers(len(CHOICES))]
    choices = CHOICES[name]
    params = {key: values[rng.integers(len(values))] for key, values in choices.items()}
    if rng.random() < 0.05:
        key = list(params)[rng.integers(len(params))]
        params[key] = [-1, "nonsense", None, np.nan][rng.integers(4)]
    estimator = getattr(skbayes, name)(**params)
    X = draw_table(rng)
    y = draw_targets(rng, len(X), "Classif" in name or "Logistic" in name)
    return estimator, X, y, draw_weights(rng, len(X))


def require(holds, what):
    if not holds:
        raise AssertionError(what)


def check_log(what, values, shape):
    """Logs of normal densities may be beyond double precision, on the one side."""
    check_finite(what, np.where(values == -np.inf, 0.0, values), shape)


def check_finite(what, values, shape=None):
    values = np.asarray(values)
    require(np.isfinite(values).all(), f"{what} is not finite: {values.ravel()[:3]}")
    require(shape is None or values.shape == shape, f"{what} has shape {values.shape}")


def check_regressor(reg, X, y):
    shape = np.shape(y)
    mean, std = reg.predict(X, return_std=True)
    check_finite("predict", mean, shape)
    check_finite("predict_std", std, shape)
    require((std >= 0).all(), "predict_std is negative")
    interval = reg.predict_interval(X)
    check_finite("predict_interval", interval, (*shape, 2))
    require((interval[..., 0] <= interval[..., 1]).all(), "an interval is turned round")
    for name, value in reg.predict_uncertainty(X).items():
        check_finite(f"predict_uncertainty {name}", value)
    check_log("log_predictive", reg.log_predictive(X, y), shape[:1])
    check_finite("sample_y", reg.sample_y(X, 2), (2, *shape))


def check_classifier(clf, X, y):
    proba = clf.predict_proba(X)
    check_finite("predict_proba", proba, (len(X), len(clf.classes_)))
    require(np.allclose(proba.sum(axis=1), 1, atol=1e-5), "probabilities do not sum to one")
    require(((proba >= 0) & (proba <= 1)).all(), "a probability is none")
    require(np.isin(clf.predict(X), clf.classes_).all(), "predict gives an unknown label")
    if hasattr(clf, "predict_uncertainty"):
        for name, value in clf.predict_uncertainty(X).items():
            check_finite(f"predict_uncertainty {name}", value, (len(X),))


def check_density(est, X):
    if hasattr(est, "score_samples"):
        check_log("score_samples", est.score_samples(X), (len(X),))
    if hasattr(est, "transform"):
        codes = est.transform(X)
        require(len(codes) == len(X), "transform loses rows")
        check_finite("transform", codes)
    if hasattr(est, "sample"):
        drawn = est.sample(3, random_state=0) if not hasattr(est, "weights_") else est.sample(3)[0]
        check_finite("sample", drawn)


def use(estimator, X, y, weight):
    """Fit, and every verb that the estimator has."""
    supervised = is_classifier(estimator) or is_regressor(estimator)
    given = {} if weight is None else {"sample_weight": weight}
    estimator.fit(X, y, **given) if supervised else estimator.fit(X, **given)
    if is_regressor(estimator):
        check_regressor(estimator, X, y)
    elif is_classifier(estimator):
        check_classifier(estimator, X, y)
    else:
        check_density(estimator, X)
    if getattr(estimator, "evidence_kind_", None) is not None:
        check_finite("evidence", estimator._log_evidence)


def fault(error, estimator):
    """What is wrong with an error: its type, its place, or that it names nothing."""
    if not isinstance(error, (ValueError, TypeError)) or isinstance(error, np.linalg.LinAlgError):
        return "an error of this type says nothing to a user"
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    if not any(home in last for home in ("skbayes", "sklearn")):
        return f"raised in {last}"
    text = str(error)
    parts = [estimator, *(v for v in estimator.get_params(deep=False).values()
                          if hasattr(v, "get_params"))]  # fmt: skip
    names = {name for part in parts for name in part.get_params(deep=False)}
    names |= {"X", "y", "sample_weight", "Sample weights", "array", "column", "sample"}
    return None if any(name in text for name in names) else "the message names nothing"


def run_case(seed):
    """None where all is well, else what is wrong with the fit of this seed."""
    estimator, X, y, weight = draw_case(seed)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            use(clone(estimator), X, y, weight)
        except AssertionError as error:
            return f"{error}"
        except Exception as error:
            wrong = fault(error, estimator)
            if wrong:
                where = traceback.extract_tb(error.__traceback__)[-3:]
                place = " < ".join(f"{f.filename.split('/')[-1]}:{f.lineno}" for f in where[::-1])
                return f"{wrong}: {type(error).__name__}: {error} [{place}]"
    for warning in seen:
        # Its place is that of the call, which scikit-learn wraps.
        own = warning.category is UserWarning and re.search(r"\bX\b", str(warning.message))
        if not own and not issubclass(warning.category, ALLOWED):
            place = f"{warning.filename.split('/')[-1]}:{warning.lineno}"
            return f"leaked {warning.category.__name__}: {warning.message} [{place}]"
    return None


def main(start, stop):
    found = 0
    for seed in range(start, stop):
        wrong = run_case(seed)
        if wrong:
            found += 1
            estimator, X, _, weight = draw_case(seed)
            print(f"{seed} {estimator} X {np.shape(X)} weights {weight is not None}", flush=True)
            print(f"    {wrong}", flush=True)
    print(f"{found} of {stop - start} fits end wrong")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
