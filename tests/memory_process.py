"""Run by a process of its own: MiB by which predictions of many outputs grow it at their peak.

Prints a JSON object by estimator and verb; what is returned is not counted.
"""

import ctypes
import gc
import json
import warnings
from pathlib import Path

import numpy as np
import torch

from skbayes import BayesianAutoencoder, BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import DeepEnsemble

#: MiB allowed.
BUDGET = 16.0
N_ROWS, N_OUTPUTS = 256, 100
VERBS = (
    *("predict", "predict_proba", "predict_std", "predict_uncertainty", "log_predictive"),
    "score_samples",
)


def mebibytes(name):
    """A line of what Linux says about the process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith(name))
    return int(found.split()[1]) / 1024


def growth(call):
    """MiB that a call takes at its peak, beyond what it returns."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before, answer = mebibytes("VmRSS"), call()
    arrays = answer.values() if isinstance(answer, dict) else [answer]
    return mebibytes("VmHWM") - before - sum(array.nbytes for array in arrays) / 2**20


def fitted():
    """Estimators of many outputs, with many draws that cost little to make."""
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(N_ROWS, 5)), rng.normal(size=(N_ROWS, N_OUTPUTS))
    labels = np.arange(N_ROWS) % N_OUTPUTS
    common = {
        "inference": DeepEnsemble(n_members=400, max_iter=2),
        "memory_budget": BUDGET,
        "random_state": 0,
    }
    yield "classifier", BayesianMLPClassifier((10,), **common).fit(X, labels), X, labels
    yield "regressor", BayesianMLPRegressor((10,), **common).fit(X, Z), X, Z
    autoencoder = BayesianAutoencoder(density=None).set_params(
        encoder__hidden_layer_sizes=(10,), **common
    )
    yield "autoencoder", autoencoder.fit(Z), Z, Z
    for name, units in (("density", 10), ("density of wide layers", 400)):
        engine = DeepEnsemble(n_members=8, max_iter=2)
        wide = BayesianAutoencoder().set_params(
            encoder__hidden_layer_sizes=(units,), **{**common, "inference": engine}
        )
        yield name, wide.fit(Z), Z, Z


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {}
    for name, estimator, X, y in fitted():
        for verb in VERBS:
            method = getattr(estimator, verb, None)
            arguments = (X, y) if verb == "log_predictive" else (X,)
            if method is not None:
                found[f"{name}.{verb}"] = growth(lambda: method(*arguments))  # noqa: B023
    print(json.dumps(found))
