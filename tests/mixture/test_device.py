"""The torch path against NumPy's; torch's own name for the CPU, "cpu:0", runs it anywhere."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skbayes import VariationalGMM
from skbayes.mixture import _mixture
from tests.mixture.models import TYPES
from tests.mixture.test_bound import blobs


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("type_", TYPES)
def test_torch_gives_the_fit_of_numpy(type_, dtype, monkeypatch):
    X = blobs(500, 3).astype(dtype)
    weight = np.random.default_rng(0).uniform(0.5, 2, 500)
    params = {"n_components": 4, "covariance_type": type_, "random_state": 0}
    numpy = VariationalGMM(**params).fit(X, sample_weight=weight)
    calls = []
    original = _mixture.Mixture._add_placed
    monkeypatch.setattr(
        _mixture.Mixture, "_add_placed", lambda *args: calls.append(1) or original(*args)
    )
    monkeypatch.setattr(_mixture, "DEVICE_BYTES", 2**12)  # several chunks
    torch = VariationalGMM(device="cpu:0", **params).fit(X, sample_weight=weight)
    assert len(calls) == torch.n_iter_
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    assert_allclose(torch.lower_bound_, numpy.lower_bound_, rtol=rtol)
    assert_allclose(torch.score_samples(X), numpy.score_samples(X), rtol=100 * rtol)


def test_rows_with_missing_values_stay_with_numpy():
    X = blobs(100, 2)
    X[0, 0] = np.nan
    fits = [VariationalGMM(3, device=name, random_state=0).fit(X) for name in ("cpu", "cpu:0")]
    assert fits[0].lower_bound_ == fits[1].lower_bound_


@pytest.mark.parametrize("device", ["toaster", "cuda:77"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used here"):
        VariationalGMM(2, device=device).fit(blobs())


def test_a_fit_without_a_device_loads_no_torch():
    code = (
        "import sys, numpy as np; from skbayes import VariationalGMM; "
        "gmm = VariationalGMM(2, random_state=0).fit(np.arange(20.0)[:, None]); "
        "gmm.predict_std([[1.0]], 'epistemic'), gmm.score_evidence([[1.0], [2.0]]); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
