"""The guide's tables list what is registered."""

import pytest

from skbayes.latent import DIVERGENCES, LATENT_PRIORS
from tests.test_docs import ROOT, table


@pytest.mark.parametrize(
    ("header", "registry"), [("`latent_prior=`", LATENT_PRIORS), ("`divergence=`", DIVERGENCES)]
)
def test_tables_list_what_is_registered(header, registry):
    rows = table(ROOT / "docs" / "latent_spaces.md", header)
    assert sorted(row[0].strip('`"') for row in rows) == sorted(registry)
