"""An evidence on few effective draws is no evidence: fit goes on, score_evidence says why."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

import skbayes
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.inference import HMC, Laplace, MeanFieldVI
from tests.inference.draw_checks import check_error_of_new_rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + 0.05 * RNG.normal(size=40)
SHORT = {"n_samples": 10, "n_chains": 2, "warmup": 20, "max_extensions": 0}


def poor(engine, **params):
    """A network whose posterior no normal follows."""
    return BayesianMLPRegressor((8,), inference=engine, random_state=0, **params)


@pytest.mark.parametrize(
    ("engine", "remedy"),
    [
        (HMC(evidence="importance", **SHORT), "inference='laplace'"),
        (Laplace(max_iter=50, evidence="importance"), "inference__evidence='auto'"),
        (MeanFieldVI(max_iter=50, evidence="importance"), "inference__evidence='auto'"),
    ],
    ids=["hmc", "laplace", "mean_field_vi"],
)
def test_training_rows(engine, remedy):
    """The remedies, typed, work."""
    reg = poor(engine).fit(X, Y)
    assert reg.evidence_kind_ is None
    assert reg.evidence_se_ is None
    with pytest.raises(EvidenceUnavailableError, match="effective draws") as caught:
        reg.score_evidence()
    assert remedy in str(caught.value)
    name, value = remedy.split("=")
    reg.set_params(**{name: value.strip("'")}).fit(X, Y)
    assert np.isfinite(skbayes.score_evidence(reg))


def test_new_rows():
    clf = BayesianMLPClassifier((4,), inference=HMC(**SHORT), random_state=0).fit(X, Y > 1)
    with pytest.raises(EvidenceUnavailableError, match=r"effective draws.*log_predictive\(X, y\)"):
        clf.score_evidence(X, Y > 1)
    assert np.isfinite(clf.log_predictive(X, Y > 1)).all()


def test_error_of_new_rows_counts_autocorrelation():
    check_error_of_new_rows()


def evidence(estimator, X, y):
    return estimator.score_evidence()


def test_a_search_fails_with_the_reason():
    """Or leaves a candidate without a score, where it is told to go on."""
    engines = {"inference": [Laplace("full", max_iter=50), HMC(evidence="importance", **SHORT)]}
    whole = [(np.arange(40), np.arange(40))]
    search = GridSearchCV(poor("laplace"), engines, scoring=evidence, cv=whole, error_score="raise")
    with pytest.raises(EvidenceUnavailableError, match="effective draws"):
        search.fit(X, Y)
    with pytest.warns(UserWarning) as caught:  # noqa: PT030
        search.set_params(error_score=np.nan).fit(X, Y)
    assert any("effective draws" in str(warning.message) for warning in caught)
    assert search.best_index_ == 0
    assert np.isnan(search.cv_results_["mean_test_score"][1])
