"""The benchmarks' ledger: what one run wrote is not run again by the next."""

import pytest

from benchmarks import _common


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(_common, "RESULTS", tmp_path)
    return lambda stored=True: _common.Ledger("runs", ("set", "split", "rmse"), 2, stored)


def test_rows_are_found_again(ledger):
    ledger().add("a", 1, 0.5)
    ledger().add("a, with a comma", 1, 0.25)
    again = ledger()
    assert ("a", 1) in again
    assert ("a", 2) not in again
    assert again["a, with a comma", 1]["rmse"] == "0.25"


def test_a_smoke_run_leaves_no_file(ledger, tmp_path):
    smoke = ledger(stored=False)
    smoke.add("a", 1, 0.5)
    assert ("a", 1) in smoke
    assert not list(tmp_path.iterdir())
