"""What a report of a fault has to say about the machine."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

#: What a result may depend on; none is imported, so that a broken one is reported too.
PACKAGES = (
    "skbayes",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "skorch",
    "joblib",
    "threadpoolctl",
    "arviz-stats",
    "skops",
    "pandas",
    "polars",
    "matplotlib",
    "arviz",
)


def show_versions() -> None:
    """Print the versions of Python, of this package and of those that it uses.

    Paste the output into a report of a fault.

    Examples
    --------
    >>> import skbayes
    >>> skbayes.show_versions()
    python         3...
    """
    lines = {"python": sys.version.split()[0], "machine": platform.platform()}
    lines |= {name: _version(name) for name in PACKAGES}
    print("\n".join(f"{name:14s} {text}" for name, text in lines.items()))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
