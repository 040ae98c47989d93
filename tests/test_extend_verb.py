"""The verb `extend` reaches through wrappers and gives the bits of the longer fit."""

import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbayes
from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.exceptions import DataMismatchError, DrawsUnavailableError
from skbayes.inference import HMC
from tests.engine_configs import CHEAP

X, Y = (a[:60] for a in load_diabetes(return_X_y=True))
WEIGHT = [1.0, 2.0] * 30
# Few draws need not agree.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def regressor(n_samples):
    engine = HMC(**{**CHEAP["hmc"], "n_samples": n_samples})
    return BayesianMLPRegressor((), inference=engine, random_state=0)


WRAPPED = {
    "bare": lambda reg: reg,
    "pipeline": lambda reg: make_pipeline(StandardScaler(), reg),
    "search": lambda reg: GridSearchCV(reg, {"prior__scale": [1.0]}, cv=2),
    "target": lambda reg: TransformedTargetRegressor(reg, transformer=StandardScaler()),
    "nested": lambda reg: make_pipeline(
        StandardScaler(), TransformedTargetRegressor(reg, transformer=StandardScaler())
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_an_extended_wrapper_predicts_as_the_longer_fit(name):
    short, long = (WRAPPED[name](regressor(n)).fit(X, Y) for n in (20, 30))
    before = short.predict(X)
    assert skbayes.extend(short, X, Y, 10) is short
    assert_array_equal(short.predict(X), long.predict(X))
    assert (short.predict(X) != before).any()


def test_weights_are_those_of_the_fit():
    short = make_pipeline(regressor(20)).fit(X, Y, bayesianmlpregressor__sample_weight=WEIGHT)
    with pytest.raises(DataMismatchError):
        skbayes.extend(short, X, Y, 10)
    skbayes.extend(short, X, Y, 10, sample_weight=WEIGHT)
    assert_array_equal(short.predict(X), regressor(30).fit(X, Y, WEIGHT).predict(X))


def test_labels():
    rows, species = load_iris(return_X_y=True)
    names = load_iris().target_names[species]
    clf = BayesianMLPClassifier((), inference=HMC(**CHEAP["hmc"]), random_state=0)
    pipe = make_pipeline(StandardScaler(), clf).fit(rows, names)
    assert skbayes.extend(pipe, rows, names, 10)[-1].posterior_.particles.shape[1] == 30


def test_what_cannot_be_extended():
    reg = regressor(20).fit(X, Y)
    for frozen in (FrozenEstimator(reg), FrozenEstimator(make_pipeline(reg))):
        with pytest.raises(TypeError, match="met a FrozenEstimator"):
            skbayes.extend(frozen, X, Y, 10)
        with pytest.raises(TypeError, match="met a FrozenEstimator"):
            skbayes.extend(make_pipeline(StandardScaler(), frozen).fit(X, Y), X, Y, 10)
    with pytest.raises(TypeError, match=r"skbayes\.extend met Ridge, which has no extend method"):
        skbayes.extend(make_pipeline(Ridge()).fit(X, Y), X, Y, 10)
    mode = clone(reg).set_params(inference="map").fit(X, Y)
    with pytest.raises(DrawsUnavailableError, match="keeps no chains"):
        skbayes.extend(make_pipeline(mode), X, Y, 10)
