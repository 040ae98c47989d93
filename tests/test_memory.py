"""Memory budgets count outputs: draws times rows times targets, and what is made of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skbayes import BayesianMLPClassifier
from skbayes.data._tiles import fitting_rows
from skbayes.inference import DeepEnsemble
from skbayes.posteriors._function_draws import OUTPUT_NUMBERS, TILE_ROWS
from tests.memory_process import BUDGET

#: Budgets that a prediction may take at its peak: temporary arrays come and go.
FEW = 3.0


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="resets the peak")
def test_predictions_of_many_outputs_stay_near_the_budget():
    command = [sys.executable, "-m", "tests.memory_process"]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    growth = json.loads(done.stdout)
    needed = {"classifier.predict", "regressor.predict_std", "autoencoder.log_predictive"}
    assert needed | {"density.score_samples"} <= {*growth}
    assert {verb: peak for verb, peak in growth.items() if peak > FEW * BUDGET} == {}


def test_tiles_hold_so_many_numbers():
    assert fitting_rows(TILE_ROWS, OUTPUT_NUMBERS, 1) == TILE_ROWS
    assert fitting_rows(TILE_ROWS, OUTPUT_NUMBERS, 400 * 1000) == 1
    assert fitting_rows(TILE_ROWS, OUTPUT_NUMBERS, 10**9) == 1
    assert fitting_rows(TILE_ROWS, 1000, 200) == 4


@pytest.fixture(scope="module")
def many_classes():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 3)), np.arange(300) % 50
    engine = DeepEnsemble(n_members=100, max_iter=2)
    return BayesianMLPClassifier((4,), inference=engine, random_state=0).fit(X, y), X


def test_labels_are_those_of_the_largest_probabilities(many_classes):
    clf, X = many_classes
    for rows in (X, X.astype(np.float32)):
        best = clf.predict_proba(rows).argmax(axis=1)
        np.testing.assert_array_equal(clf.predict(rows), clf.classes_[best])


def test_small_tiles_leave_rows_independent_and_budgets_without_say(many_classes):
    clf, X = many_classes
    whole = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.predict_proba(X[7:12]), whole[7:12])
    tight = BayesianMLPClassifier(
        (4,), inference=clf.inference, memory_budget=0.01, random_state=0
    ).fit(X, np.arange(300) % 50)
    np.testing.assert_array_equal(tight.predict_proba(X), whole)
