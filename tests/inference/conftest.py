"""What tests of several files compare their runs with."""

import pytest

from tests.inference.resumable import SAMPLERS, draws_hash, fit


@pytest.fixture(scope="session")
def uninterrupted():
    """Hash of each sampler's draws without a checkpoint."""
    return {name: draws_hash(fit(name)) for name in SAMPLERS}
