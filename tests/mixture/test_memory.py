"""Matrices of many columns: their memory is told, or refused, before any work."""

import numpy as np
import pytest

from skbayes import VariationalGMM
from skbayes.exceptions import InsufficientMemoryError
from skbayes.mixture import _variational
from skbayes.mixture._variational import bytes_needed, check_memory
from skbayes.utils._memory import GIB

REMEDY = r"covariance_type='(full|tied)' takes about .* GiB .*use covariance_type='diag'.*PPCA"
WIDE = np.zeros((3, 2000))


@pytest.fixture(autouse=True)
def plenty(monkeypatch):
    monkeypatch.setattr(_variational, "available_bytes", lambda: 64 * GIB)


def nothing_started(*_, **__):
    raise AssertionError("the fit has begun")


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("way", ["fit", "partial_fit", "passes"])
def test_a_large_fit_says_so_before_it_begins(kind, way, monkeypatch):
    for name in ("fit_rows", "Stream"):
        monkeypatch.setattr(_variational, name, nothing_started)
    monkeypatch.setattr("skbayes.mixture._stream.measured", nothing_started)
    gmm = VariationalGMM(10, covariance_type=kind)
    call = {
        "fit": lambda: gmm.fit(WIDE),
        "partial_fit": lambda: gmm.partial_fit(WIDE),
        "passes": lambda: gmm.fit(lambda: iter([WIDE])),
    }[way]
    with pytest.warns(UserWarning, match=REMEDY) as seen, pytest.raises(AssertionError):
        call()
    assert seen[0].filename == __file__


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(_variational, "available_bytes", lambda: GIB)
    gmm = VariationalGMM(10)
    with pytest.raises(InsufficientMemoryError, match=f"{REMEDY}.*1 GiB are free"):
        gmm.fit(WIDE)
    assert not hasattr(gmm, "weights_")


def test_others_are_silent(monkeypatch):
    check_memory(VariationalGMM(10), 900)
    check_memory(VariationalGMM(10, covariance_type="diag"), 100_000)
    monkeypatch.setattr(_variational, "available_bytes", lambda: None)
    check_memory(VariationalGMM(10), 900)


def test_bytes_grow_with_components_and_squared_columns():
    assert bytes_needed(2000, 5) == 4 * bytes_needed(1000, 5)
    step = bytes_needed(100, 2) - bytes_needed(100, 1)
    assert step == bytes_needed(100, 12) - bytes_needed(100, 11) > 8 * 100**2
    # A thousand columns and one component: the process grew by 577 MB.
    assert bytes_needed(1000, 1) == pytest.approx(577e6, rel=0.1)
