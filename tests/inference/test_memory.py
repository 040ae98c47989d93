"""A run that cannot fit says so before it starts; draws are stored as they were asked for."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes

from skbayes.exceptions import InsufficientMemoryError
from skbayes.inference import INFERENCES
from skbayes.inference.mcmc import _chains, _draw_memory
from skbayes.inference.mcmc._chains import ChainSampler
from skbayes.utils._memory import available_bytes, container_memory, free_memory
from tests.engine_configs import quick_engine, quick_regressor

pytestmark = pytest.mark.filterwarnings("ignore::skbayes.exceptions.ConvergenceWarning")
X, Y = (a[:40] for a in load_diabetes(return_X_y=True))
SAMPLERS = sorted(name for name, kind in INFERENCES.items() if issubclass(kind, ChainSampler))


def free(monkeypatch, n_bytes):
    """Let so many bytes be free."""
    monkeypatch.setattr(_draw_memory, "available_bytes", lambda device: n_bytes)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_need_is_that_of_the_longest_run(name, dtype, monkeypatch):
    """Chains that never agree are lengthened to the number of draws that was counted."""
    engine = quick_engine(name, max_extensions=2, n_samples=10, evidence=None)
    seen = []
    judged = ChainSampler.judged

    def watched(self, state, particles):
        seen.append((len(state.draws), sum(draw.nbytes for draw in state.draws)))
        return judged(self, state, particles)

    monkeypatch.setattr(ChainSampler, "judged", watched)
    monkeypatch.setattr(_chains, "converged", lambda report: False)
    fitted = quick_regressor(dtype=dtype).set_params(inference=engine).fit(X, Y)
    n_draws, size = seen[-1]
    needed = _draw_memory.bytes_needed(engine, fitted._model())
    assert n_draws == _draw_memory.largest_number_of_draws(engine) > 10
    vector = size // n_draws  # of all four chains
    chains = (_draw_memory.COPIES * n_draws + _draw_memory.VECTORS) * vector
    held = chains + min(256, 4 * n_draws) * vector // 4
    assert held * 1.1 < needed < held * 1.3
    # Kept thinned, in the precision that was asked for.
    assert fitted.posterior_.particles.shape[:2] == (4, 10)
    assert fitted.posterior_.particles.dtype == dtype


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_run_that_cannot_fit_says_so_at_once(name, monkeypatch):
    reg = quick_regressor(name, dtype="float64")
    needed = _draw_memory.bytes_needed(reg.inference, reg.fit(X, Y)._model())
    free(monkeypatch, needed)
    before = reg.fit(X, Y).posterior_
    free(monkeypatch, needed - 1)
    for method in ("init", "step"):
        monkeypatch.setattr(type(reg.inference), method, lambda *args: pytest.fail("it began"))
    message = (
        r"needs \S+ GiB for 4 chains of up to 20 draws of \d+ unknowns in float64, but \S+ GiB "
        r"are free on 'cpu'; lower inference__n_samples \(now 20\), inference__n_chains "
        r"\(now 4\) or inference__max_extensions \(now 0\), or set dtype='float32'"
    )
    with pytest.raises(InsufficientMemoryError, match=message) as caught:
        reg.fit(X, Y)
    assert isinstance(caught.value, MemoryError)
    assert reg.posterior_ is before


def test_an_extension_that_cannot_fit_leaves_the_fit_alone(monkeypatch):
    reg = quick_regressor("hmc").fit(X, Y)
    free(monkeypatch, _draw_memory.bytes_needed(reg.inference, reg._model()))
    with pytest.raises(InsufficientMemoryError, match="up to 120 draws"):
        reg.extend(X, Y, 100)
    assert reg.posterior_.particles.shape[1] == 20


def test_a_huge_run_is_refused_on_this_machine():
    """Petabytes of draws, held against what the system itself says is free."""
    reg = quick_regressor("hmc").set_params(inference__n_samples=10**11)
    if available_bytes(torch.device("cpu")) is not None:  # else nothing can be said
        with pytest.raises(InsufficientMemoryError, match="GiB are free"):
            reg.fit(X, Y)


def test_free_memory_is_read_from_the_system(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 4000 kB\nMemAvailable:   1500 kB\n")
    assert free_memory(tmp_path / "meminfo") == 1500 * 1024
    assert free_memory(tmp_path / "nothing") is None
    (tmp_path / "meminfo").write_text("MemTotal: 4000 kB\n")
    assert free_memory(tmp_path / "meminfo") is None


@pytest.mark.parametrize(("limit", "expected"), [("1000", 1000 - 700 + 150), ("max", None)])
def test_a_containers_limit_counts(limit, expected, tmp_path):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 150\n")
    assert container_memory(tmp_path) == expected
    assert container_memory(tmp_path / "none") is None


def test_what_is_free_is_less_than_there_is():
    found = available_bytes(torch.device("cpu"))
    assert found is None or 0 < found < np.iinfo(np.int64).max
    assert available_bytes(torch.device("meta")) is None
