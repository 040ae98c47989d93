"""Logistic regression against quadrature, and its three engines against one another."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax
from scipy.stats import gamma, norm
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import BayesianLogisticRegression
from skbayes.exceptions import EvidenceUnavailableError, IncompatiblePartsError
from skbayes.linear_model._classification import N_EVIDENCE_DRAWS
from skbayes.linear_model._expectations import logit_moments

FIXED = {"hyperparameters": "fixed", "random_state": 0}
ONE_WEIGHT = {**FIXED, "alpha": 0.5, "fit_intercept": False}
QUICK = {"n_samples": 20, "n_chains": 2, "warmup": 20, "max_extensions": 0, "init_steps": 20}
ENGINES = ("laplace", "variational", "hmc")


def logistic(*args, inference="laplace", **params):
    return BayesianLogisticRegression(*args, inference=inference, **params)


def make_labels(n_rows=40, n_features=1, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)) + 0.3
    weights = 1.5 * rng.normal(size=(n_features, n_classes))
    return X, (X @ weights + rng.gumbel(size=(n_rows, n_classes))).argmax(axis=1)


class OneWeight:
    """Posterior of one weight, two classes, by the trapezoid rule.

    It converges exponentially: the integrand is analytic and falls to nothing.
    """

    def __init__(self, X, y, alpha=0.5, repeat=1):
        sign = 2 * y - 1
        self.w, step = np.linspace(-12, 12, 4001, retstep=True)
        log_joint = repeat * log_expit(np.outer(self.w, sign * X[:, 0])).sum(axis=1)
        log_joint += norm(0, alpha**-0.5).logpdf(self.w)
        self.log_z = logsumexp(log_joint) + np.log(step)
        self.mass = np.exp(log_joint - logsumexp(log_joint))
        self.mean = self.mass @ self.w
        self.sd = np.sqrt(self.mass @ (self.w - self.mean) ** 2)

    def probability(self, x):
        return self.mass @ expit(self.w * x)


# --- one weight, by quadrature ------------------------------------------------------------


def test_laplace_evidence_errs_by_one_over_n():
    """Its leading error falls fourfold when every row counts four times."""
    X, y = make_labels()
    errors = []
    for repeat in (4, 64, 256, 1024):
        exact = OneWeight(X, y, repeat=repeat)
        clf = logistic(**ONE_WEIGHT)
        clf.fit(X, y, sample_weight=np.full(len(y), float(repeat)))
        assert (clf.evidence_kind_, clf.evidence_se_) == ("laplace", 0.0)
        errors.append(clf.score_evidence() - exact.log_z)
    # The next order falls fourfold in turn.
    first, second = errors[1] / errors[2], errors[2] / errors[3]
    assert first == pytest.approx(4, abs=0.5)
    assert second == pytest.approx(4, abs=0.15)
    assert abs(errors[0]) < 0.01


@pytest.mark.parametrize("repeat", [1, 4, 64])
def test_variational_evidence_is_a_lower_bound(repeat):
    X, y = make_labels()
    exact = OneWeight(X, y, repeat=repeat)
    clf = logistic(inference="variational", **ONE_WEIGHT)
    clf.fit(X, y, sample_weight=np.full(len(y), float(repeat)))
    assert clf.evidence_kind_ == "elbo"
    assert clf.score_evidence() < exact.log_z


def best_jj_bound(x, sign):
    """Largest Jaakkola-Jordan bound over normals, of one weight with a N(0, 2) prior."""

    def bound(mean, sd):
        # At xi² = E (w x)², where the quadratic bound of each row is highest.
        xi = np.abs(x) * np.hypot(mean, sd)
        divergence = 0.5 * (0.5 * (mean**2 + sd**2) - 1 - np.log(0.5 * sd**2))
        return (log_expit(xi) + 0.5 * (sign * x * mean - xi)).sum() - divergence

    options = {"xatol": 1e-10, "fatol": 1e-12}
    start = [0.0, 0.0]
    return -minimize(
        lambda p: -bound(p[0], np.exp(p[1])), start, method="Nelder-Mead", options=options
    ).fun


def test_variational_bound_is_that_of_its_normal():
    """No normal has a better bound, and the value is the bound's (Bishop 2006, eq. 10.159)."""
    X, y = make_labels()
    clf = logistic(inference="variational", **ONE_WEIGHT).fit(X, y)
    assert clf.score_evidence() == pytest.approx(best_jj_bound(X[:, 0], 2 * y - 1), abs=1e-8)


def test_hmc_is_the_posterior_up_to_monte_carlo_error():
    X, y = make_labels()
    exact = OneWeight(X, y)
    clf = logistic(inference="hmc", **ONE_WEIGHT).fit(X, y)
    value, se = clf.score_evidence(return_std=True)
    assert clf.evidence_kind_ == "importance"
    assert abs(value - exact.log_z) < 4 * se
    assert se < 0.05
    n_effective = len(clf.posterior_.draws) / clf.posterior_.inefficiency
    assert abs(clf.coef_[0, 0] - exact.mean) < 4 * exact.sd / np.sqrt(n_effective)
    row = np.array([[1.3]])
    spread = clf.predict_std(row, "epistemic")[0, 1]
    error = abs(clf.predict_proba(row)[0, 1] - exact.probability(1.3))
    assert error < 4 * spread / np.sqrt(n_effective)


@pytest.mark.parametrize("engine", ["laplace", "variational"])
def test_normal_engines_near_the_posterior_as_rows_grow(engine):
    """Predictive errors are of order 1/n, more than a square root would give."""
    X, y = make_labels()
    errors = []
    for repeat in (4, 64):
        exact = OneWeight(X, y, repeat=repeat)
        clf = logistic(inference=engine, **ONE_WEIGHT)
        clf.fit(X, y, sample_weight=np.full(len(y), float(repeat)))
        probability = clf.predict_proba([[1.3]])[0, 1]
        errors.append(abs(probability - exact.probability(1.3)))
    assert errors[0] < 0.01
    assert errors[1] < errors[0] / 8


@pytest.mark.parametrize("engine", ENGINES)
def test_evidence_of_new_rows(engine):
    """log p(new | old) by quadrature under the estimator's own posterior."""
    X, y = make_labels()
    old, new = slice(0, 30), slice(30, 40)
    clf = logistic(inference=engine, **ONE_WEIGHT).fit(X[old], y[old])
    value, se = clf.score_evidence(X[new], y[new], return_std=True)
    if engine == "hmc":
        # The chain rule: log p(all) - log p(old), both exact.
        expected = OneWeight(X, y).log_z - OneWeight(X[old], y[old]).log_z
    else:
        draws = clf.sample_posterior(N_EVIDENCE_DRAWS, random_state=1)["coef"]
        sd = float(clf.posterior_.root[0, 0]) * 0.5**-0.5
        law = norm(clf.coef_[0, 0], sd)
        assert draws.std() == pytest.approx(sd, rel=5 / np.sqrt(2 * N_EVIDENCE_DRAWS))

        def joint(w):
            return law.pdf(w) * np.exp(log_expit((2 * y[new] - 1) * X[new, 0] * w).sum())

        expected = np.log(quad(joint, -12, 12, points=[-1, 0, 1], epsabs=0, epsrel=1e-10)[0])
    assert 0 < se < 0.1
    assert abs(value - expected) < 4 * se


def test_chain_rule_of_laplace_holds_to_its_error():
    """Both sides are exact up to Laplace's O(1/n), which quadrature gives."""
    X, y = make_labels(400)
    clf = logistic(**ONE_WEIGHT)
    whole, half = (clf.fit(X[:n], y[:n]).score_evidence() for n in (400, 390))
    errors = [abs(v - OneWeight(X[:n], y[:n]).log_z) for v, n in ((whole, 400), (half, 390))]
    value, se = clf.score_evidence(X[390:], y[390:], return_std=True)
    exact = OneWeight(X, y).log_z - OneWeight(X[:390], y[:390]).log_z
    assert abs((whole - half) - exact) <= sum(errors) + 1e-9
    assert abs(value - exact) < 4 * se + 2e-3


# --- the predictive, given a normal --------------------------------------------------------


@pytest.mark.parametrize("mean", [0.0, 0.7, -4.0, 15.0])
@pytest.mark.parametrize("sd", [1e-3, 0.4, 0.999, 1.001, 3.0, 40.0])
def test_logit_moments_by_adaptive_quadrature(mean, sd):
    found = logit_moments(np.array([mean]), np.array([sd**2]))

    def average(function):
        edges = (np.array([-40, -8, -2, 0, 2, 8, 40]) - mean) / sd
        points = sorted({*np.clip(edges, -11.9, 11.9), -3.0, 0.0, 3.0})

        def value(z):
            return function(mean + sd * z) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

        return quad(value, -12, 12, points=points, epsabs=1e-14, epsrel=1e-12, limit=1000)[0]

    assert_allclose(found.one, average(expit), atol=1e-10)
    assert_allclose(found.zero, average(lambda f: expit(-f)), atol=1e-10)
    assert_allclose(found.aleatoric, average(lambda f: expit(f) * expit(-f)), atol=1e-10)
    entropy = average(lambda f: -expit(f) * log_expit(f) - expit(-f) * log_expit(-f))
    assert_allclose(found.entropy, entropy, atol=1e-10)


def test_small_probabilities_keep_their_digits():
    found = logit_moments(np.array([-60.0]), np.array([0.25]))
    # Where p = exp(f) to rounding, the mean is a log-normal's.
    assert_allclose(found.one, np.exp(-60 + 0.125), rtol=1e-10)


def test_multinomial_predictive_by_tensor_quadrature():
    """Three classes: 1024 quasi-random draws against 30³ Gauss-Hermite nodes."""
    X, y = make_labels(60, 2, 3)
    clf = logistic(**FIXED).fit(X, y)
    rows = np.array([[0.5, -0.3], [6.0, 5.0]])
    mean, covariance = clf.posterior_._moments(clf._prior.design(rows))
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    grid = np.stack(np.meshgrid(nodes, nodes, nodes), -1).reshape(-1, 3)
    mass = np.prod(np.meshgrid(weights, weights, weights), axis=0).ravel()
    mass /= mass.sum()
    p = clf.predict_proba(rows)
    epistemic = clf.predict_std(rows, "epistemic")
    for i in range(2):
        values = softmax(mean[i] + grid @ np.linalg.cholesky(covariance[i]).T, axis=1)
        exact = mass @ values
        spread = np.sqrt(mass @ values**2 - exact**2)
        # Quasi-random draws do no worse than random ones.
        assert (np.abs(p[i] - exact) < 3 * spread / np.sqrt(1024)).all()
        assert_allclose(epistemic[i], spread, rtol=0.1)


# --- Laplace and Böhning by another road ---------------------------------------------------


def raw_laplace(X, y, n_classes, alpha, curvature=None):
    """Mode and evidence in raw weights (intercepts first), by BFGS and a dense Hessian."""
    design = np.column_stack([np.ones(len(X)), X])
    n_outputs = 1 if n_classes == 2 else n_classes
    size = n_outputs * design.shape[1]

    def logits(w):
        f = design @ w.reshape(n_outputs, -1).T
        return np.column_stack([0 * f, f]) if n_outputs == 1 else f

    def loss(w):
        return -log_softmax(logits(w), axis=1)[np.arange(len(y)), y].sum() + alpha / 2 * w @ w

    mode = minimize(loss, np.zeros(size), method="BFGS", options={"gtol": 1e-7}).x
    precision = alpha * np.eye(size)
    for row, f in zip(design, logits(mode), strict=True):
        p = softmax(f)
        information = np.diag(p) - np.outer(p, p)
        information = information[1:, 1:] if n_outputs == 1 else information
        information = information if curvature is None else curvature
        precision += np.kron(information, np.outer(row, row))
    volume = np.linalg.slogdet(precision)[1] - size * np.log(alpha)
    return mode, precision, -loss(mode) - 0.5 * volume


@pytest.mark.parametrize(("n_rows", "n_features"), [(50, 3), (6, 8)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_laplace_in_raw_coordinates(n_rows, n_features, n_classes):
    X, y = make_labels(n_rows, n_features, n_classes)
    y[:n_classes] = np.arange(n_classes)
    clf = logistic(0.7, **FIXED).fit(X, y)
    mode, precision, evidence = raw_laplace(X, y, n_classes, 0.7)
    found = np.column_stack([clf.intercept_, clf.coef_]).ravel()
    assert_allclose(found, mode, atol=1e-5)
    assert clf.score_evidence() == pytest.approx(evidence, abs=1e-6)
    rows = np.random.default_rng(1).normal(size=(4, n_features))
    design = np.column_stack([np.ones(4), rows])
    covariance = np.linalg.inv(precision).reshape(*2 * (clf.coef_.shape[0], n_features + 1))
    expected = np.einsum("ni,kilj,nj->nkl", design, covariance, design)
    assert_allclose(clf.posterior_._moments(design)[1], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_weighted_laplace_is_that_of_repeated_rows(n_classes):
    """By another road: merging rows must not hide a weight."""
    X, y = make_labels(30, 2, n_classes)
    weight = np.random.default_rng(0).integers(0, 4, size=30)
    clf = logistic(0.7, **FIXED).fit(X, y, sample_weight=weight)
    repeated = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    mode, _, evidence = raw_laplace(*repeated, n_classes, 0.7)
    assert_allclose(np.column_stack([clf.intercept_, clf.coef_]).ravel(), mode, atol=1e-5)
    assert clf.score_evidence() == pytest.approx(evidence, abs=1e-6)


def test_weighted_bound_is_that_of_its_repeated_rows():
    """Jaakkola and Jordan's bound by SciPy's optimiser over mean and deviation."""
    X, y = make_labels(30)
    weight = np.random.default_rng(0).integers(0, 4, size=30)
    clf = logistic(inference="variational", **ONE_WEIGHT).fit(X, y, sample_weight=weight)
    x, sign = np.repeat(X[:, 0], weight), np.repeat(2 * y - 1, weight)
    assert clf.score_evidence() == pytest.approx(best_jj_bound(x, sign), abs=1e-6)


def test_boehning_is_a_lower_bound_of_known_curvature():
    X, y = make_labels(30, 1, 3)
    clf = logistic(0.7, inference="variational", **FIXED).fit(X, y)
    bound = 0.5 * (np.eye(3) - 1 / 3)
    _, _, value = raw_laplace(X, y, 3, 0.7, curvature=bound)
    assert clf.score_evidence() == pytest.approx(value, abs=1e-6)


def test_boehning_bound_is_below_the_evidence():
    """Three weights, by Gauss-Hermite quadrature over the prior."""
    X, y = make_labels(25, 1, 3)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    grid = np.stack(np.meshgrid(nodes, nodes, nodes), -1).reshape(-1, 3)
    log_mass = np.log(np.prod(np.meshgrid(weights, weights, weights), axis=0)).ravel()
    log_mass -= logsumexp(log_mass)
    values = [log_softmax(x * grid, axis=1)[:, label] for x, label in zip(X[:, 0], y, strict=True)]
    exact = logsumexp(log_mass + np.sum(values, axis=0))
    params = {**ONE_WEIGHT, "alpha": 1.0}
    bound = logistic(inference="variational", **params).fit(X, y)
    laplace = logistic(**params).fit(X, y)
    assert bound.evidence_kind_ == "elbo"
    assert bound.score_evidence() < exact
    assert abs(laplace.score_evidence() - exact) < 0.2
    hmc = logistic(inference="hmc", **params).fit(X, y)
    value, se = hmc.score_evidence(return_std=True)
    assert abs(value - exact) < 4 * se


@pytest.mark.parametrize("n_classes", [2, 3])
def test_engines_agree_on_many_rows(n_classes):
    X, y = make_labels(1000, 3, n_classes)
    fits = {engine: logistic(inference=engine, random_state=0).fit(X, y) for engine in ENGINES}
    rows = np.random.default_rng(5).normal(size=(50, 3))
    reference = fits["hmc"].predict_proba(rows)
    spread = fits["hmc"].predict_std(rows, "epistemic")
    n_effective = len(fits["hmc"].posterior_.draws) / fits["hmc"].posterior_.inefficiency
    for engine in ("laplace", "variational"):
        # Differences of order 1/n, a share of order 1/sqrt(n) = 0.03 of the spread.
        share = 3 * 0.03 if engine == "laplace" else 20 * 0.03
        allowed = (5 / np.sqrt(n_effective) + share) * spread
        assert (np.abs(fits[engine].predict_proba(rows) - reference) < allowed).all()
    values = {engine: fit.score_evidence() for engine, fit in fits.items()}
    assert values["variational"] < values["hmc"]
    assert abs(values["laplace"] - values["hmc"]) < 5 * fits["hmc"].evidence_se_ + 0.05


def test_variational_mean_nears_the_mode_faster_than_the_spread_falls():
    """Sixteen times the rows divide their distance, in units of the spread, by four."""
    rows = np.random.default_rng(5).normal(size=(50, 3))
    distances = []
    for n_rows in (750, 12000):
        X, y = make_labels(n_rows, 3)
        normal, bound = (
            logistic(0.3, inference=engine, **FIXED).fit(X, y)
            for engine in ("laplace", "variational")
        )
        gap = np.abs(normal.predict_proba(rows) - bound.predict_proba(rows))
        distances.append((gap / normal.predict_std(rows, "epistemic")).max())
    assert distances[0] / distances[1] > 2


# --- learned precisions ----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("engine", ["laplace", "variational"])
def test_evidence_is_maximised(engine, n_classes):
    X, y = make_labels(80, 3, n_classes)
    X = X - 1.0
    clf = logistic(inference=engine, random_state=0).fit(X, y)
    top = clf.score_evidence()

    def evidence(alpha, own):
        other = logistic(alpha, intercept_alpha=own, inference=engine, **FIXED)
        return other.fit(X, y).score_evidence()

    alpha, own = clf.alpha_, clf.intercept_alpha_
    assert evidence(alpha, own) == pytest.approx(top, abs=1e-7)
    for factor in (0.8, 1.25):
        assert evidence(alpha * factor, own) < top
        # An intercept that is not needed has no finite optimum.
        assert evidence(alpha, own * factor) < top + 1e-6


def test_ard_switches_a_useless_feature_off():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = (X[:, 0] + rng.logistic(size=400) > 0).astype(int)
    clf = logistic(ard=True, random_state=0).fit(X, y)
    assert clf.alpha_[1:].min() > 10 * clf.alpha_[0]
    assert clf.evidence_kind_ == "plugin"


def test_gamma_posterior_of_the_precision_is_the_best_given_the_weights():
    X, y = make_labels(80, 3)
    params = {"alpha_prior": (0.8, 0.5), "fit_intercept": False, "tol": 1e-12}
    clf = logistic(inference="variational", hyperparameters="bayes", random_state=0, **params).fit(
        X, y
    )
    rows = np.eye(3)
    _, variances = clf.posterior_._moments(rows)
    size = (clf.coef_**2).sum() + variances.sum()
    assert clf.alpha_ == pytest.approx((0.8 + 1.5) / (0.5 + 0.5 * size), rel=1e-5)


def test_bayes_bound_is_below_the_evidence_and_holds_its_constants():
    X, y = make_labels(30)
    spike = {"alpha_prior": (1e8, 1e8 / 0.5), "fit_intercept": False}
    params = {"inference": "variational", "random_state": 0}
    bound = logistic(hyperparameters="bayes", **spike, **params).fit(X, y)
    fixed = logistic(inference="variational", **ONE_WEIGHT).fit(X, y)
    assert bound.score_evidence() == pytest.approx(fixed.score_evidence(), abs=1e-6)
    wide = logistic(
        hyperparameters="bayes", alpha_prior=(2.0, 1.5), fit_intercept=False, **params
    ).fit(X, y)
    law = gamma(2.0, scale=1 / 1.5)
    grid = np.linspace(0.02, 12, 150)
    joint = [law.pdf(a) * np.exp(OneWeight(X, y, alpha=a).log_z) for a in grid]
    assert wide.score_evidence() < np.log(np.trapezoid(joint, grid))


# --- what users meet -------------------------------------------------------------------------


def test_only_hmc_needs_torch():
    code = (
        "import sys; from skbayes import BayesianLogisticRegression as B, "
        "BayesianLinearRegression as L; X = [[0.], [1.], [2.], [3.]]; "
        "B().fit(X, [0, 1, 0, 1]).predict_proba(X); L().fit(X, [0, 1, 0, 2]).predict_std(X); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("engine", ["laplace", "variational"])
def test_weights_repeat_rows(engine):
    X, y = make_labels(40, 3, 3)
    weight = np.random.default_rng(0).integers(0, 3, size=40)
    clf = logistic(inference=engine, random_state=0)
    weighted = clf.fit(X, y, sample_weight=weight).predict_proba(X)
    repeated = clf.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)).predict_proba(X)
    assert_array_equal(weighted, repeated)
    # Fractions are exponents: half and half make one.
    halves = clf.fit(np.vstack([X, X]), np.tile(y, 2), sample_weight=np.full(80, 0.5))
    assert_array_equal(halves.predict_proba(X), clf.fit(X, y).predict_proba(X))


def test_separable_classes_and_raw_columns():
    """A proper prior keeps separable classes finite, in whatever units the columns are."""
    X, y = load_iris(return_X_y=True)
    for engine in ("laplace", "variational"):
        clf = logistic(inference=engine, random_state=0).fit(X[:100], y[:100])
        assert clf.score(X[:100], y[:100]) == 1
        p = clf.predict_proba([[100.0, -100, 100, -100]])
        assert np.isfinite(p).all()
    X, y = load_breast_cancer(return_X_y=True)
    clf = logistic(random_state=0).fit(X[:400], y[:400])
    assert clf.score(X[400:], y[400:]) > 0.9


def test_huge_columns():
    X, y = make_labels(40, 2)
    plain = logistic(random_state=0).fit(X, y).predict_proba(X)
    huge = logistic(random_state=0).fit(X * 1e100, y)
    assert_allclose(huge.predict_proba(X * 1e100), plain, atol=1e-4)


def test_constant_and_duplicate_columns():
    X, y = make_labels(40, 2)
    X = np.column_stack([X, X[:, 0], np.ones(40), np.zeros(40)])
    clf = logistic(random_state=0).fit(X, y)
    assert np.isfinite(clf.predict_std(X)).all()
    assert clf.coef_[0, 0] == pytest.approx(clf.coef_[0, 2])
    assert clf.coef_[0, 4] == pytest.approx(0, abs=1e-12)


def test_string_labels_frames_and_single_precision():
    import pandas as pd

    X, y = make_labels(60, 2, 3)
    labels = np.array(["no", "maybe", "yes"])[y]
    frame = pd.DataFrame(X.astype(np.float32), columns=["a", "b"])
    clf = logistic(random_state=0).fit(frame, labels)
    assert list(clf.feature_names_in_) == ["a", "b"]
    assert clf.predict_proba(frame).dtype == clf.predict_std(frame).dtype == np.float32
    assert set(clf.predict(frame)) <= set(labels)
    assert clf.sample_y(frame, 3).shape == (60, 3)


def test_verbs_reach_through_a_pipeline():
    X, y = make_labels(60, 2, 3)
    pipe = make_pipeline(StandardScaler(), logistic(random_state=0)).fit(X, y)
    inner, rows = pipe[-1], pipe[0].transform(X)
    assert_array_equal(skbayes.predict_std(pipe, X), inner.predict_std(rows))
    assert skbayes.score_evidence(pipe) == inner.score_evidence()
    assert skbayes.predict_uncertainty(pipe, X).entropy.shape == (60,)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_fewer_rows_than_columns_leave_the_prior_where_no_row_points(engine):
    X, y = make_labels(5, 9)
    y[:2] = [0, 1]
    clf = logistic(0.5, inference=engine, hmc_params={**QUICK, "n_samples": 400}, **FIXED).fit(X, y)
    basis = np.linalg.svd(np.column_stack([np.ones(5), X]))[2]
    unseen = basis[-1]
    draws = clf.sample_posterior(800, random_state=0)
    logits = draws["coef"][:, 0] @ unseen[1:] + draws["intercept"][:, 0] * unseen[0]
    assert logits.std() == pytest.approx(np.sqrt(2), rel=5 / np.sqrt(1600))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hmc_without_an_evidence_says_what_to_do():
    X, y = make_labels(40, 2)
    clf = logistic(inference="hmc", hmc_params={**QUICK, "evidence": None})
    with pytest.raises(EvidenceUnavailableError, match="hmc_params="):
        clf.fit(X, y).score_evidence()


def test_hmc_warns_in_the_words_of_this_estimator():
    X, y = make_labels(40, 2)
    params = {**QUICK, "warmup": 0, "step_size": 1e-3, "init_steps": 0}
    with pytest.warns(ConvergenceWarning, match=r"hmc_params\['n_samples'\]"):
        logistic(inference="hmc", hmc_params=params, random_state=0).fit(X, y)


def test_hmc_and_gamma_priors_do_not_fit():
    with pytest.raises(IncompatiblePartsError, match="use hyperparameters='evidence'"):
        logistic(inference="hmc", hyperparameters="bayes").fit([[0.0]], [0])


def test_a_search_cut_short_warns():
    X, y = make_labels(40, 2)
    for params in ({"hyperparameters": "fixed"}, {}):
        with pytest.warns(ConvergenceWarning, match="raise max_iter"):
            logistic(max_iter=1, **params).fit(X, y)


CHANGES = {
    "alpha": (FIXED, 7.0),
    "prior_covariance": ({}, [1.0, 9.0]),
    "fit_intercept": ({}, False),
    "intercept_alpha": (FIXED, 50.0),
    "inference": ({}, "variational"),
    "hyperparameters": ({}, "fixed"),
    "ard": ({}, True),
    "alpha_prior": ({"hyperparameters": "bayes"}, (3.0, 5.0)),
    "max_iter": ({}, 1),
    "tol": (FIXED, 10.0),
    "n_predictive_samples": ({}, 64),
    "hmc_params": ({"inference": "hmc", "hmc_params": QUICK}, {**QUICK, "n_samples": 30}),
    "random_state": ({}, 1),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CHANGES)
def test_parameter_changes_the_prediction(name):
    X, y = make_labels(40, 2, 3)
    base, value = CHANGES[name]
    base = {"random_state": 0, **base}
    plain = logistic(**base).fit(X, y)
    other = logistic(**{**base, name: value}).fit(X, y)
    assert not np.array_equal(plain.predict_proba(X), other.predict_proba(X))


def test_every_parameter_is_in_the_table():
    assert set(CHANGES) == set(BayesianLogisticRegression().get_params())
