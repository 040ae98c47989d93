"""What the package shows of itself: names, versions, links from an estimator to its page."""

import sys

import pytest

import skbayes
from skbayes import PPCA, BayesianMLPRegressor
from skbayes.inference import HMC


def test_dir_shows_public_names_and_nothing_else():
    names = dir(skbayes)
    assert set(names) == {*skbayes.__all__, "inspection", "io", "metrics"}
    assert [name for name in names if name.startswith("_")] == ["__version__"]
    assert not {"Any", "import_module"} & set(vars(skbayes))


def test_show_versions_prints_what_is_installed(capsys):
    import sklearn
    import torch

    skbayes.show_versions()
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed["python"] == sys.version.split()[0]
    assert printed["scikit-learn"] == sklearn.__version__
    assert printed["torch"] == torch.__version__


def test_show_versions_survives_a_missing_package(capsys, monkeypatch):
    from skbayes.utils import _versions

    monkeypatch.setattr(_versions, "PACKAGES", ("no-such-package",))
    skbayes.show_versions()
    assert "not installed" in capsys.readouterr().out


class _Mine(BayesianMLPRegressor):
    """Somebody's own estimator has no page here."""


@pytest.mark.parametrize(
    ("estimator", "page"),
    [
        (BayesianMLPRegressor(), "skbayes.neural_network.BayesianMLPRegressor"),
        (PPCA(), "skbayes.decomposition.PPCA"),
        (HMC(), "skbayes.inference.HMC"),
    ],
)
def test_html_links_to_the_page_of_the_class(monkeypatch, estimator, page):
    monkeypatch.setenv("SKBAYES_DOCS", "https://site.local/docs/")
    link = f"https://site.local/docs/api/generated/{page}.html"
    assert estimator._get_doc_link() == link
    assert f'href="{link}"' in estimator._repr_html_()


def test_no_link_without_a_site_or_a_page(monkeypatch):
    monkeypatch.delenv("SKBAYES_DOCS", raising=False)
    assert PPCA()._get_doc_link() == ""
    monkeypatch.setenv("SKBAYES_DOCS", "https://site.local")
    assert _Mine()._get_doc_link() == ""


def test_html_says_what_a_parameter_is(monkeypatch):
    monkeypatch.setenv("SKBAYES_DOCS", "https://site.local")
    assert "param-doc-link" in PPCA()._repr_html_()
    assert "Most steps of EM" in PPCA()._repr_html_()
