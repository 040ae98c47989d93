"""One thread, array API dispatch on, and global state that every test leaves alone."""

import os
from pathlib import Path

# Read when SciPy and the thread pools are loaded, so before any other import.
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch

torch.set_num_threads(1)

#: What `pytest -m quick` runs, by the beginning of a test's name: every room once, in less
#: than two minutes on two cores. Exact laws first; of checks those of one estimator.
QUICK = (
    "autoencoder/test_columns.py",
    "autoencoder/test_divergences.py",
    "autoencoder/test_objective.py",
    "base/",
    "conjugate/test_draws.py",
    "conjugate/test_strong_priors.py",
    "data/",
    "decomposition/test_completion.py",
    "decomposition/test_ppca_rows.py",
    "evidence/test_log_joint.py",
    "inference/test_coordinates.py",
    "inference/test_step_size.py",
    "inspection/test_displays.py",
    "likelihoods/",
    "linear_model/test_linear.py",
    "linear_model/test_linear_evidence.py",
    "metrics/",
    "mixture/test_bound.py",
    "mixture/test_weights.py",
    "networks/test_networks.py",
    "posteriors/",
    "priors/",
    "scale_priors/",
    "test_common.py::test_scikit_learn_checks_outside_its_list",
    "test_docs.py::test_tables",
    "test_imports.py",
    "test_io.py::test_densities",
    "test_model.py",
    "testing/test_estimator_checks.py::test_a_",
    "test_verbs.py::test_estimator_without_the_verb",
    "test_verbs.py::test_unfitted",
    "training/test_encoding.py",
    "training/test_lock.py",
    "utils/",
)


#: What the default run leaves out, beside what is marked where it stands: each takes ten
#: seconds or more, and a quicker relative of each stays.
SLOW = (
    "inference/test_hmc.py::test_dual_averaging_reaches_its_target",
    "inference/test_hmc.py::test_linear_model[identity]",
    "inference/test_journal.py::test_a_fit_that_was_killed_goes_on_to_the_same_bits[a",
    "inference/test_journal.py::test_a_fit_that_was_killed_goes_on_to_the_same_bits[d",
    "inference/test_journal.py::test_a_fit_that_was_killed_goes_on_to_the_same_bits[laplace-n",
    "inference/test_journal.py::test_a_fit_that_was_killed_goes_on_to_the_same_bits[mc",
    "inference/test_journal.py::test_a_fit_that_was_killed_goes_on_to_the_same_bits[mean",
    "inference/test_mclmc.py::test_tuning_reaches_the_energy_variance_aimed_at",
    "inference/test_mean_field_vi.py::test_learned_scale_and_noise[local]",
    "inference/test_mean_field_vi.py::test_logistic_model[local]",
    "inference/test_mean_field_vi.py::test_the_automatic_temperature",
    "test_determinism.py::test_search_over_jobs",
    "test_docs.py::test_page_runs_and_prints_what_it_shows[autoencoders",
    "test_docs.py::test_page_runs_and_prints_what_it_shows[bayesian_autoencoder",
    "test_docs.py::test_page_runs_and_prints_what_it_shows[latent_spaces",
    "test_docs.py::test_page_runs_and_prints_what_it_shows[samplers",
    "test_docs.py::test_quickstart",
    "test_scoreboard.py::test_default_is_no_worse_than_map",
)


def pytest_collection_modifyitems(items):
    """Mark the quick and the slow tier."""
    here = Path(__file__).parent
    for item in items:
        name = f"{item.path.relative_to(here).as_posix()}::{item.name}"
        if name.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if name.startswith(QUICK) and "slow" not in item.keywords:
            item.add_marker(pytest.mark.quick)


@pytest.fixture(autouse=True)
def torch_state_stays():
    """Fail a test that moves torch's global generator or leaves another thread count."""
    before = torch.get_rng_state()
    yield
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 1, f"the test left torch with {threads} threads"
    assert torch.equal(torch.get_rng_state(), before), "the test moved torch's global generator"


@pytest.fixture(autouse=True)
def numpy_state_stays():
    """Fail a test that moves NumPy's global generator: every estimator takes a seed."""
    before = np.random.get_state()  # noqa: NPY002
    yield
    after = np.random.get_state()  # noqa: NPY002
    moved = after[2] != before[2] or not np.array_equal(after[1], before[1])
    assert not moved, "the test moved NumPy's global generator; give random_state a number"
