"""Whether a fitted network is a straight line where the data are not."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.neighbors import kneighbors_graph

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.exceptions import ConvergenceWarning
from skbayes.posteriors import Posterior
from skbayes.utils._threads import limit_sklearn
from skbayes.utils._warnings import warn

#: Rows and draws that the question is asked of, and fewest rows of which it is.
N_ROWS, N_DRAWS, LEAST_ROWS = 1000, 16, 20
#: Share of a function's variance, and of the targets', that counts as nothing.
NOTHING = 0.02
#: Shares of the targets' variance, and of their squares, beneath which residuals may be rounding.
ROUNDING, EPS = 1e-3, np.finfo(np.float32).eps ** 2
#: Neighbours of a row, and z-score of their likeness that chance does not reach.
N_NEIGHBOURS, LIKENESS = 3, 4.0


@torch.no_grad()
def warn_if_linear(model: Model, posterior: Posterior, data: Data, engine: str) -> None:
    """Warn where the network explains no more than a linear model, and rows say there is more.

    There is more to explain where neighbouring rows have like residuals from the least
    squares, by Moran's I. Chance alone has that in one of a thousand data sets. Of numbers
    only.
    """
    if model.network.n_layers == 1 or len(data) < LEAST_ROWS or data.X.dim() != 2:
        return
    if not data.y.is_floating_point():
        # Labels less a model's cautious probabilities are alike wherever a class is alone.
        return
    generator = torch.Generator().manual_seed(0)
    if len(data) > N_ROWS:
        data = data.rows(torch.randperm(len(data), generator=generator)[:N_ROWS].to(data.X.device))
    params = posterior.predictive_draws(N_DRAWS, generator).to(model.like)
    outputs = posterior.function(model, params)(data.X).double()
    mean = model.likelihood.mean(outputs, model.hyper(params).double()).mean(0)
    X, y, function = (t.double().numpy(force=True) for t in (data.X, data.y, mean))
    if _is_linear(X, y, function) and _is_more_than_linear(X, y):
        warn(
            f"{engine}: the network explains no more than a linear model, though neighbouring "
            "rows depart from one alike. Use inference='hmc', fewer hidden_layer_sizes, or a "
            "wider prior.",
            ConvergenceWarning,
        )


def _is_linear(X: np.ndarray, y: np.ndarray, function: np.ndarray) -> bool:
    """Whether a linear model explains all but `NOTHING` of the function, for each target."""
    varies = function.var(0)
    linear = _residuals(X, function).var(0) <= NOTHING * varies
    return bool(np.all(linear | (varies <= NOTHING * y.var(0))))


def _is_more_than_linear(X: np.ndarray, y: np.ndarray) -> bool:
    """Whether neighbours depart alike from the linear model of some target."""
    residuals = _residuals(X, y)
    residuals = residuals[:, residuals.var(0) > ROUNDING * y.var(0) + EPS * (y**2).mean(0)]
    return residuals.size > 0 and morans_z(X, residuals) > LIKENESS


def _residuals(X: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What the least squares leave of the values' columns."""
    columns = np.c_[np.ones(len(X)), X]
    return values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]


def morans_z(X: np.ndarray, values: np.ndarray) -> float:
    """Largest z-score of Moran's I over columns of values (n, T), neighbours by distance in X.

    References
    ----------
    Moran (1950), Notes on continuous stochastic phenomena; Cliff and Ord (1981), Spatial
    processes, eq. 1.43 (the variance under normality).
    """
    n = len(X)
    with limit_sklearn():
        near = kneighbors_graph(X, min(N_NEIGHBOURS, n - 1))
    total = near.sum()
    both = near + near.T
    s1, s2 = 0.5 * both.multiply(both).sum(), (np.asarray(both.sum(0)) ** 2).sum()
    expected = -1 / (n - 1)
    variance = (n * n * s1 - n * s2 + 3 * total**2) / ((n * n - 1) * total**2) - expected**2
    centred = values - values.mean(0)
    squares = np.maximum((centred**2).sum(0), np.finfo(float).tiny)
    index = n / total * (centred * (near @ centred)).sum(0) / squares
    return float(((index - expected) / np.sqrt(variance)).max())
