"""Logistic regression against quadrature, and its three engines against one another."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.linalg import helmert
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax
from scipy.stats import norm

from skbayes.linear_model._classification import N_EVIDENCE_DRAWS
from skbayes.linear_model._gaussian_vi import MANY_WEIGHTS, _Climb, variational
from skbayes.linear_model._logit_means import _best_tilt, label_means
from skbayes.linear_model._normal_families import FullNormal, MatrixNormal
from skbayes.linear_model._normal_fits import Start
from skbayes.linear_model._softmax import LabelledRows
from skbayes.utils._logit_normal import logit_moments, loss_moments
from tests.linear_model.problems import (
    FIXED,
    ONE_WEIGHT,
    OneWeight,
    best_normal_bound,
    logistic,
    make_labels,
    tilted_bound,
    whitened,
)

QUICK = {"n_samples": 20, "n_chains": 2, "warmup": 20, "max_extensions": 0, "init_steps": 20}
ENGINES = ("laplace", "variational", "hmc")


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


def test_variational_bound_is_that_of_its_normal():
    """No normal has a better bound, and the value is the bound's."""
    X, y = make_labels()
    clf = logistic(inference="variational", **ONE_WEIGHT).fit(X, y)
    assert clf.score_evidence() == pytest.approx(best_normal_bound(X[:, 0], 2 * y - 1), abs=1e-8)


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
        draws = clf.sample_posterior(n_samples=N_EVIDENCE_DRAWS, random_state=1)["coef"]
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
    loss = loss_moments(np.array([mean]), np.array([sd**2]))
    assert_allclose(loss.loss, average(lambda f: np.logaddexp(0, f)), atol=1e-10)
    assert_allclose([loss.slope, loss.curvature], [found.one, found.aleatoric], atol=1e-12)


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


# --- Laplace and the best normal by another road -----------------------------------------------


def raw_laplace(X, y, n_classes, alpha):
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
    centred = clf._prior.design(rows)
    covariance = np.linalg.inv(precision).reshape(*2 * (clf.coef_.shape[0], n_features + 1))
    expected = np.einsum("ni,kilj,nj->nkl", design, covariance, design)
    assert_allclose(clf.posterior_._moments(centred)[1], expected, rtol=1e-4, atol=1e-7)


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
    """The best bound by SciPy's optimiser over mean and deviation."""
    X, y = make_labels(30)
    weight = np.random.default_rng(0).integers(0, 4, size=30)
    clf = logistic(inference="variational", **ONE_WEIGHT).fit(X, y, sample_weight=weight)
    x, sign = np.repeat(X[:, 0], weight), np.repeat(2 * y - 1, weight)
    assert clf.score_evidence() == pytest.approx(best_normal_bound(x, sign), abs=1e-6)


def test_softmax_bound_is_that_of_its_normal():
    X, y = make_labels(30, 2, 3)
    clf = logistic(0.7, inference="variational", fit_intercept=False, **FIXED).fit(X, y)
    covariance = clf.posterior_.root @ clf.posterior_.root.T
    vectors = np.kron(np.eye(3), clf.posterior_.sd[:, None] * clf.posterior_.vectors.T)
    covariance = vectors @ covariance @ vectors.T
    found = tilted_bound(X, y, clf.coef_, covariance, 0.7)
    assert clf.score_evidence() == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_normal_near_by_has_a_better_bound(n_classes):
    """The bound is concave: a maximum near by is the maximum."""
    data = whitened(*make_labels(30, 2, n_classes), n_classes)
    fit = variational(data, Start(np.zeros((data.n_outputs, 2)), None), 1e-12, 500)
    climb = _Climb(FullNormal.begin(data, Start(fit.mean, fit.curvature)), data)
    origin, rng = climb.family.origin, np.random.default_rng(0)
    loss, gradient = climb._loss(origin)
    assert -loss == pytest.approx(fit.log_evidence, abs=1e-10)
    assert np.abs(gradient).max() < 1e-4
    for _ in range(20):
        step = rng.normal(size=len(origin))
        step *= 0.3 / np.linalg.norm(step)
        assert climb._loss(origin + step)[0] > loss


@pytest.mark.parametrize("family", [FullNormal, MatrixNormal])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_gradient_of_the_bound(family, n_classes):
    if family is MatrixNormal and n_classes == 2:
        n_classes = 4
    data = whitened(*make_labels(30, 2, n_classes), n_classes)
    start = Start(np.zeros((data.n_outputs, 2)), None)
    climb = _Climb(family.begin(data, start), data)
    x = climb.family.origin + 0.2 * np.random.default_rng(1).normal(size=climb.family.origin.size)
    numeric = approx_fprime(x, lambda at: climb._loss(at)[0], 1e-6)
    assert_allclose(climb._loss(x)[1], numeric, atol=2e-5)


@pytest.mark.parametrize("family", [FullNormal, MatrixNormal])
def test_divergence_of_a_family(family):
    """Against the textbook's, of mean and covariance."""
    data = whitened(*make_labels(30, 2, 3), 3)
    q = family.begin(data, Start(np.zeros((3, 2)), None))
    q = q.moved(q.origin + 0.1 * np.random.default_rng(0).normal(size=len(q.origin)))
    covariance = q.covariance()
    expected = 0.5 * ((q.mean**2).sum() + np.trace(covariance) - 6)
    expected -= 0.5 * np.linalg.slogdet(covariance)[1]
    assert q.divergence() == pytest.approx(expected, abs=1e-10)
    blocks = covariance.reshape(3, 2, 3, 2)
    logits = np.einsum("ni,kilj,nj->nkl", data.rows, blocks, data.rows)
    contrasts = helmert(3)
    assert_allclose(
        contrasts @ q.logit_covariance() @ contrasts.T, contrasts @ logits @ contrasts.T
    )


def test_one_column_has_the_same_best_normal_in_both_families():
    """With one column a Kronecker product is no restriction."""
    data = whitened(*make_labels(30, 1, 3), 3)
    bounds = []
    for family in (FullNormal, MatrixNormal):
        climb = _Climb(family.begin(data, Start(np.zeros((3, 1)), None)), data)
        climb.family.relative_tol = 1e-15
        climb.run(200, 1e-12)
        bounds.append((climb.bound, climb.family.covariance()))
    assert bounds[0][0] == pytest.approx(bounds[1][0], abs=1e-8)
    assert_allclose(bounds[0][1], bounds[1][1], atol=1e-4)


def test_many_weights_have_a_matrix_normal():
    """Its bound is below that of the best normal, and both are below the evidence."""
    X, y = make_labels(200, 50, 4)
    clf = logistic(inference="variational", **FIXED).fit(X, y)
    assert MANY_WEIGHTS < 4 * 51
    data = whitened(np.column_stack([np.ones(200), X]), y, 4)
    climb = _Climb(FullNormal.begin(data, Start(np.zeros((4, 51)), None)), data)
    climb.run(100, 1e-6)
    assert clf.score_evidence() < climb.bound
    own = clf.posterior_._moments(clf._prior.design(X[:1]))[1][0]
    assert own.shape == (4, 4)


@pytest.mark.parametrize("sd", [0.01, 0.5, 3.0, 30.0])
def test_softmax_bound_against_quadrature(sd):
    """Below the mean log likelihood, and to the second order of the spread equal to it."""
    rng = np.random.default_rng(0)
    mean, root = rng.normal(size=(4, 3)), sd * rng.normal(size=(4, 3, 3))
    data = LabelledRows(np.zeros((4, 0)), np.array([0, 1, 2, 0]), np.ones(4), 3)
    covariance = root @ root.swapaxes(1, 2)
    found = label_means(data, mean, covariance)
    assert_allclose(found.p.sum(axis=1), 1)
    nodes, mass = np.polynomial.hermite_e.hermegauss(40)
    grid = np.stack(np.meshgrid(nodes, nodes, nodes), -1).reshape(-1, 3)
    mass = np.prod(np.meshgrid(mass, mass, mass), axis=0).ravel() / mass.sum() ** 3
    logits = mean[:, None, :] + grid @ root.swapaxes(1, 2)
    picked = log_softmax(logits, axis=2)[np.arange(4), :, data.codes]
    exact = picked @ mass
    assert (found.log_likelihood < exact + 1e-12).all()
    plain = log_softmax(mean, axis=1)[np.arange(4), data.codes]
    if sd == 0.01:
        assert_allclose(found.log_likelihood, exact, atol=1e-7)
        assert (np.abs(plain - exact) > 1e-6).any()


@pytest.mark.parametrize("n_classes", [3, 10])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_best_tilts_are_found_from_anywhere(scale, n_classes):
    """A tilt is best where it is its own softmax; full Newton steps would often overshoot."""
    rng = np.random.default_rng(0)
    mean = scale * rng.normal(size=(200, n_classes))
    root = scale * rng.normal(size=(200, n_classes, n_classes))
    covariance = root @ root.swapaxes(1, 2)
    start = rng.dirichlet(np.full(n_classes, 0.2), size=200)
    tilt = _best_tilt(start, mean, covariance)
    own = mean + np.einsum("nkk->nk", covariance) / 2 - np.einsum("nkl,nl->nk", covariance, tilt)
    assert_allclose(softmax(own, axis=1), tilt, atol=1e-9)


def test_softmax_bound_is_below_the_evidence():
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
    assert exact - 0.5 < bound.score_evidence() < exact
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
