"""The site: `python -m sphinx -W -b html docs docs/_build/html` (extra `docs`)."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "examples"), str(HERE.parent)]
# Before torch and NumPy load: small fits only wait for a second thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from sphinx_gallery.sorting import ExplicitOrder  # noqa: E402

import skbayes  # noqa: E402

warnings.filterwarnings("ignore", message=".*non-interactive.*", category=UserWarning)

project, author = "skbayes", "The skbayes developers"
copyright = author
version = release = skbayes.__version__
html_baseurl = os.environ.get("SKBAYES_DOCS", "")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinxext.opengraph",
    "sphinx_llms_txt",
    # Our own, in _ext: pages of the API, pictures of snippets, links from code to the API.
    "api_pages",
    "snippet_pictures",
    "outside_links",
    "code_links",
    "docstrings",
]
exclude_patterns = ["_build", "_ext", "**/sg_execution_times.rst", "sg_execution_times.rst"]
exclude_patterns += ["**/GALLERY_HEADER.rst", "gallery/**/*.ipynb", "gallery/**/*.py"]
suppress_warnings = ["ref.citation"]  # lists of references that no sentence cites
default_role = "code"

autosummary_generate = False  # api_pages writes them
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^_",  # of the file name
    "subsection_order": ExplicitOrder(
        [
            f"../examples/{folder}"
            for folder in ("linear", "uncertainty", "mixture", "engines", "latent", "beside")
        ]
    ),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "reset_modules": ("figure_style.reset",),
    "image_srcset": ["2x"],
    "doc_module": ("skbayes",),
    "reference_url": {"skbayes": None},
    "backreferences_dir": "api/backreferences",
    "inspect_global_variables": False,
    "min_reported_time": 0,
    "show_signature": False,
    "remove_config_comments": True,
    "plot_gallery": os.environ.get("SKBAYES_GALLERY", "1") == "1",
}

html_theme = "pydata_sphinx_theme"
html_title = "skbayes"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_theme_options = {
    "logo": {"text": "skbayes", "image_light": "_static/favicon.svg", "alt_text": "skbayes"},
    "show_nav_level": 1,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 5,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "api/index": ["sidebar-nav-bs"], "**": ["sidebar-nav-bs"]}
html_show_sourcelink = False

ogp_site_url = html_baseurl or "/"
ogp_site_name = "skbayes"
ogp_image = "_static/social.png"
ogp_image_alt = "A curve with error bars that widen where there are no data"
ogp_enable_meta_description = True

llms_txt_summary = (
    "Bayesian models as scikit-learn estimators: fit and predict on raw columns give error "
    "bars, calibrated probabilities and a model evidence."
)
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
