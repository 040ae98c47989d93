"""Named arrays as the object that the installed ArviZ takes; the one place that imports it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from skbayes import __version__

#: Variable -> names of its dimensions, and its values.
Group = dict[str, tuple[tuple[str, ...], np.ndarray]]


def import_arviz() -> Any:
    """ArviZ, without the notice of its coming version that it gives once a day."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"\s*ArviZ is undergoing", FutureWarning)
            import arviz
    except ImportError as error:
        raise ImportError('to_arviz needs arviz; type: pip install "arviz>=0.23,<2"') from error
    return arviz


def to_arviz_object(
    arviz: Any, groups: dict[str, Group], coords: dict[str, np.ndarray], attrs: dict[str, Any]
) -> Any:
    """Groups of variables as InferenceData before ArviZ 1, as an xarray DataTree from then on.

    Parameters
    ----------
    arviz : module
        What `import_arviz` gave.
    groups : dict of Group
        Empty groups are left out.
    coords : dict of ndarray
        Labels along a dimension; 0, 1, ... where there are none.
    attrs : dict
        Attributes of every group.

    Returns
    -------
    data : arviz.InferenceData or xarray.DataTree

    Examples
    --------
    >>> import numpy as np
    >>> from skbayes.utils._arviz_objects import import_arviz, to_arviz_object
    >>> draws = (("chain", "draw"), np.zeros((4, 100)))
    >>> data = to_arviz_object(import_arviz(), {"posterior": {"scale": draws}}, {}, {})
    >>> dict(data["posterior"].sizes)
    {'chain': 4, 'draw': 100}
    """
    import xarray

    attrs = {"inference_library": "skbayes", "inference_library_version": __version__, **attrs}
    datasets = {
        name: xarray.Dataset(group, coords=_labels(group, coords), attrs=attrs)
        for name, group in groups.items()
        if group
    }
    if int(arviz.__version__.split(".")[0]) < 1:
        return arviz.InferenceData(attrs=attrs, **datasets)
    tree = xarray.DataTree.from_dict(datasets)
    tree.attrs = attrs
    return tree


def _labels(group: Group, coords: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Labels of every dimension of a group."""
    sizes = {
        dim: size
        for dims, values in group.values()
        for dim, size in zip(dims, values.shape, strict=True)
    }
    return {dim: coords.get(dim, np.arange(size)) for dim, size in sizes.items()}
