"""What a posterior over functions says of targets at rows, by averages over draws.

Where functions are linear in normal weights, the outputs of a row are normal, and what has a
closed form in them takes no draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize.elementwise import find_root
from scipy.special import ndtri
from torch import Tensor

from skbayes._model import Model
from skbayes.base._classifier import class_uncertainty
from skbayes.base._kinds import KINDS
from skbayes.base._predictive import (
    ClassPredictive,
    Estimate,
    NumericPredictive,
    PredictiveDistribution,
)
from skbayes.data._scaling import Standardizer
from skbayes.data._tensors import as_tensor
from skbayes.data._tiles import Rows
from skbayes.posteriors._averages import (
    ClassesOfDraws,
    ClassesOfNormals,
    NumbersOfDraws,
    NumbersOfNormals,
)
from skbayes.posteriors._base import Posterior
from skbayes.posteriors._function_draws import DrawTiles, FunctionDraws, Moments, RowDraws
from skbayes.posteriors._linearised import Linearised
from skbayes.utils._draws import seed_streams
from skbayes.utils._logs import LOG_2PI, LOG_2PI_E, log_mean_exp
from skbayes.utils._overrides import is_current
from skbayes.utils._random import make_generator
from skbayes.utils._sobol import sobol_normals

#: Draws behind joint densities, where the posterior can make new ones.
N_JOINT_DRAWS = 2000
#: Tails too small for their quantiles to be told from infinity.
SMALLEST_TAIL = 1e-15


class FunctionPredictive(PredictiveDistribution):
    """Base of the laws of targets that a posterior over functions gives.

    Parameters
    ----------
    model : Model
    posterior : Posterior
    rows : Rows
        As the network takes them.
    dtype : dtype
        Precision of the caller's rows.
    n_draws : int
        Draws behind averages that have no closed form.
    seed : int
        Of these draws, the same at each call.
    memory_budget : float
        MiB that intermediate values may take.
    """

    def __init__(
        self,
        model: Model,
        posterior: Posterior,
        rows: Rows,
        dtype: np.dtype,
        n_draws: int,
        seed: int,
        memory_budget: float,
    ) -> None:
        self.model, self.posterior, self.rows, self.dtype = model, posterior, rows, dtype
        self.n_draws, self.seed, self.memory_budget = n_draws, seed, memory_budget
        self.likelihood: Any = model.likelihood

    def _target_tensor(self, y: np.ndarray) -> Tensor:
        """Targets as the likelihood takes them."""
        raise NotImplementedError(f"{type(self).__name__} must define _target_tensor")

    def _log_scale(self) -> float:
        """Log of d(y) / d(targets as the likelihood takes them), summed over targets."""
        return 0.0

    def _exact_log_prob(self, y: Tensor) -> np.ndarray | None:
        """Log densities (N,) of scaled targets, where they have a closed form."""
        return None

    def functions(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Function values (S, rows, K) of draws of the outputs."""
        raise NotImplementedError(f"{type(self).__name__} must define functions")

    def targets(self, outputs: Tensor, hyper: Tensor, noise: torch.Generator) -> np.ndarray:
        """A new target for each draw of the outputs of each row: (S, rows, ...)."""
        raise NotImplementedError(f"{type(self).__name__} must define targets")

    # --- draws -----------------------------------------------------------------------

    def draws(self, params: Tensor) -> FunctionDraws:
        """Push packed vectors (S, n_params) through the network."""
        params = params.to(self.model.like)
        return FunctionDraws(self.model, self.posterior, params, self.memory_budget)

    def predictive_draws(self, n_draws: int | None = None) -> FunctionDraws:
        """Make the draws behind every prediction, the same at each call."""
        n_draws, generator = n_draws or self.n_draws, make_generator(self.seed)
        return self.draws(self.posterior.predictive_draws(n_draws, generator))

    def normals(self, joint: bool) -> Linearised | None:
        """Find the normals of each row's outputs, where they are to be had for no more work.

        ``joint`` asks for covariances of a row's outputs, not for their variances alone.
        """
        normals = self.posterior.normal_outputs(self.model)
        return normals if normals and normals.is_quicker(self.n_draws, joint) else None

    def _row_draws(self) -> DrawTiles:
        """Draws behind what is asked of single rows: from each row's normal, if it has one."""
        normals = self.normals(True)
        if normals is None:
            return self.predictive_draws()
        n_outputs = self.model.network.n_outputs
        return RowDraws(normals, sobol_normals(self.n_draws, n_outputs, self.seed))

    def _new_draws(self, n_samples: int, random_state: Any) -> tuple[FunctionDraws, int]:
        """New draws, and the seed of the noise of new targets that goes with them."""
        seeds = seed_streams(random_state)
        params = self.posterior.sample(n_samples, make_generator(seeds["draws"]))
        return self.draws(params), seeds["noise"]

    # --- averages --------------------------------------------------------------------

    def _average(
        self, names: Sequence[str], of_normals: Any, of_draws: Any, then: Any = None
    ) -> list[np.ndarray]:
        """Averages of `_averages` by name, over normals where that is exact, else over draws.

        ``then`` makes of the averages of a tile what is kept of them, where that is smaller.
        """
        tiles: Moments | DrawTiles
        normals, source = self.normals(False), of_normals
        if normals and of_normals.suit(self.likelihood):
            tiles = Moments(normals)
        else:
            tiles, source = self._row_draws(), of_draws

        def reduce(outputs: Any) -> list[Any]:
            averages = source(self.likelihood, outputs, tiles.hyper)
            found = [getattr(averages, name) for name in names]
            return then(*found) if then else found

        return tiles.reduce(self.rows, reduce)

    # --- densities -------------------------------------------------------------------

    def _log_prob_tiles(self, draws: DrawTiles, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield slices of rows and their log densities (S, rows) of scaled targets."""
        hyper = draws.hyper.double()
        for at, outputs in draws.tiles(self.rows):
            yield at, self.likelihood.log_prob(outputs.double(), y[at], hyper)

    def log_prob_by_draw(self, draws: DrawTiles, y: np.ndarray) -> np.ndarray:
        """Compute the log density (S, N) of each row's target under each draw."""
        found = np.empty((len(draws), len(self.rows)))
        for at, density in self._log_prob_tiles(draws, self._target_tensor(y)):
            found[:, at] = density.numpy()
        return found - self._log_scale()

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Compute the log density (N,) of each row's target, or its log probability."""
        targets = self._target_tensor(y)
        found = self._exact_log_prob(targets)
        if found is None:
            draws, found = self._row_draws(), np.empty(len(self.rows))
            for at, density in self._log_prob_tiles(draws, targets):
                found[at] = torch.logsumexp(density, 0).numpy() - np.log(len(draws))
        return found - self._log_scale()

    def log_prob_joint(self, y: np.ndarray) -> Estimate:
        """Estimate the log density of all targets together from draws."""
        targets, draws = self._target_tensor(y), self.predictive_draws(N_JOINT_DRAWS)
        total = torch.zeros(len(draws), dtype=torch.float64)
        for _, density in self._log_prob_tiles(draws, targets):
            total += density.sum(1)
        inefficiency = self.posterior.inefficiency
        value, se, ess = log_mean_exp(total.numpy(force=True), inefficiency=inefficiency)
        if not self.posterior.monte_carlo:
            se, ess = 0.0, np.inf
        return value - len(self.rows) * self._log_scale(), se, ess

    # --- new draws -------------------------------------------------------------------

    def by_draw(self, draws: FunctionDraws, of_tile: Callable[[Tensor], np.ndarray]) -> np.ndarray:
        """Join over rows what a function makes of tiles of outputs, (S, rows, ...) each."""
        (found,) = draws.reduce(self.rows, lambda outputs: [of_tile(outputs).swapaxes(0, 1)])
        return found.swapaxes(0, 1)

    def sample(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw targets (n_samples, N, T), or codes of labels (n_samples, N)."""
        draws, seed = self._new_draws(n_samples, random_state)
        noise = make_generator(seed)
        return self.by_draw(draws, lambda outputs: self.targets(outputs, draws.hyper, noise))

    def sample_functions(self, n_samples: int, random_state: Any) -> np.ndarray:
        """Draw function values (n_samples, N, K)."""
        draws, _ = self._new_draws(n_samples, random_state)
        return self.by_draw(draws, lambda outputs: self.functions(outputs, draws.hyper))


class NumericFunctions(FunctionPredictive, NumericPredictive):
    """Law of numbers that the likelihood sees standardised.

    Parameters
    ----------
    scaler : Standardizer
        Of the targets.
    **options : dict
        Parameters of `FunctionPredictive`.
    """

    def __init__(self, scaler: Standardizer, **options: Any) -> None:
        super().__init__(**options)
        self.scaler = scaler

    def _target_tensor(self, y: np.ndarray) -> Tensor:
        return as_tensor(self.scaler.transform(y), torch.float64)

    def _log_scale(self) -> float:
        return float(np.log(self.scaler.scale).sum())

    def functions(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Means of the targets, in their units."""
        means = self.likelihood.mean(outputs, hyper).double().numpy()
        return self.scaler.inverse_transform(means)

    def targets(self, outputs: Tensor, hyper: Tensor, noise: torch.Generator) -> np.ndarray:
        """A new target (S, rows, T) for each draw, in its units."""
        drawn = self.likelihood.sample(outputs, hyper, noise).double().numpy()
        return self.scaler.inverse_transform(drawn)

    def moments(self, *kinds: str) -> list[np.ndarray]:
        """Compute the mean, then standard deviations of some kinds, (N, T) each."""
        names = ("mean", *kinds)
        mean, *variances = self._average(names, NumbersOfNormals, NumbersOfDraws)
        spread = (np.sqrt(variance) * self.scaler.scale for variance in variances)
        return [self.scaler.inverse_transform(mean), *spread]

    def uncertainty(self) -> dict[str, np.ndarray]:
        """Compute standard deviations by kind, entropy and mutual information."""
        names = (*KINDS, "log_noise")
        *variances, log_noise = self._average(names, NumbersOfNormals, NumbersOfDraws)
        scale = self.scaler.scale
        spread = {k: np.sqrt(v) * scale for k, v in zip(KINDS, variances, strict=True)}
        log_total = np.log(spread["total"])
        entropy = (0.5 * LOG_2PI_E + log_total).sum(axis=1)
        # Rounding alone makes the noise more than all.
        information = np.maximum(log_total - np.log(scale) - log_noise, 0.0).sum(axis=1)
        return {**spread, "entropy": entropy, "mutual_information": information}

    def _has_normal_targets(self) -> bool:
        """Whether targets are normal where outputs are."""
        sources = ("log_prob", "cdf", "mean", "variance", "scale")
        return is_current(type(self.likelihood), "target_covariance", *sources)

    def _exact_log_prob(self, y: Tensor) -> np.ndarray | None:
        normals = self.normals(True)
        if normals is None or not self._has_normal_targets():
            return None

        def moments(outputs: Any) -> tuple[Tensor, Tensor]:
            return outputs.mean, self.likelihood.target_covariance(outputs, normals.hyper)

        mean, covariance = map(torch.from_numpy, Moments(normals).reduce(self.rows, moments))
        root = torch.linalg.cholesky(covariance)
        z = torch.linalg.solve_triangular(root, (y - mean)[..., None], upper=False)[..., 0]
        log_det = torch.log(torch.diagonal(root, dim1=1, dim2=2)).sum(1)
        return (-0.5 * (z**2 + LOG_2PI).sum(1) - log_det).numpy()

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Compute quantiles (N, T, n_levels): of the normal, or of the mixture over draws."""
        if self.normals(False) and self._has_normal_targets():
            mean, std = self.moments("total")
            unseen = np.minimum(levels, 1 - levels) < SMALLEST_TAIL
            z = np.where(unseen, np.copysign(np.inf, levels - 0.5), ndtri(levels))
            return mean[..., None] + z * std[..., None]
        draws, n_targets = self._row_draws(), len(self.scaler.scale)
        # Some four arrays of doubles are alive at once.
        fitting = self.memory_budget * 2**20 // (32 * len(draws) * n_targets)
        found = np.empty((len(self.rows), n_targets, len(levels)))
        for at, outputs in draws.tiles(self.rows):
            blocks = outputs.split(int(max(1, fitting)), dim=1)
            parts = [self._mixture_quantiles(block, draws.hyper, levels) for block in blocks]
            quantiles = np.concatenate(parts).swapaxes(1, 2)
            found[at] = self.scaler.inverse_transform(quantiles).swapaxes(1, 2)
        return found

    def _mixture_quantiles(self, outputs: Tensor, hyper: Tensor, levels: np.ndarray) -> np.ndarray:
        """Quantiles (n, T, n_levels) of equal mixtures, on the standardised scale."""
        centre = self.likelihood.mean(outputs, hyper).double().numpy()
        sd = np.sqrt(self.likelihood.variance(outputs, hyper).double().numpy())
        at = tuple(index.ravel().astype(float) for index in np.indices(centre.shape[1:]))
        found = np.empty((*centre.shape[1:], len(levels)))
        for number, level in enumerate(levels):
            tail = min(level, 1 - level)
            if tail < SMALLEST_TAIL:
                found[..., number] = np.inf if level > 0.5 else -np.inf
                continue
            # Cantelli's inequality bounds every component's quantile, and the mixture's lies
            # between its components'.
            wide = 1.01 * np.sqrt((1 - tail) / tail)
            low, high = (centre - wide * sd).min(0), (centre + wide * sd).max(0)

            def excess(
                y: np.ndarray, *at: np.ndarray, level: float = level, low: np.ndarray = low
            ) -> np.ndarray:
                # Of all rows and targets, those that are sought still.
                places = tuple(index.astype(int) for index in at)
                values = low.copy()
                values[places] = y
                return self.likelihood.cdf(values, outputs, hyper).mean(0)[places] - level

            brackets = low.ravel(), high.ravel()
            root = find_root(excess, brackets, args=at, tolerances={"xatol": 1e-6, "xrtol": 1e-6})
            found[..., number] = root.x.reshape(low.shape)
        return found


class ClassFunctions(FunctionPredictive, ClassPredictive):
    """Law of labels whose logits are the functions."""

    def _target_tensor(self, y: np.ndarray) -> Tensor:
        return as_tensor(y, torch.int64)

    def functions(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Logits."""
        return outputs.double().numpy()

    def probabilities(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Class probabilities (S, rows, n_classes) of draws of the outputs."""
        return self.likelihood.probabilities(outputs.double()).numpy()

    def targets(self, outputs: Tensor, hyper: Tensor, noise: torch.Generator) -> np.ndarray:
        """A new code (S, rows) for each draw."""
        return self.likelihood.sample(outputs, hyper, noise).numpy()

    def _classes(self, *names: str, then: Any = None) -> list[np.ndarray]:
        return self._average(names, ClassesOfNormals, ClassesOfDraws, then)

    def moments(self, *kinds: str) -> list[np.ndarray]:
        """Compute mean probabilities, then standard deviations of some kinds."""
        mean, *variances = self._classes("mean", *kinds)
        return [mean, *map(np.sqrt, variances)]

    def std(self, kind: str) -> np.ndarray:
        """Compute standard deviations (N, n_classes) of a kind."""
        return np.sqrt(self._classes(kind)[0])

    def most_probable(self) -> np.ndarray:
        """Find codes (N,) of the most probable classes, in the caller's precision."""

        def best(mean: Tensor) -> list[np.ndarray]:
            return [mean.numpy().astype(self.dtype, copy=False).argmax(axis=1)]

        return self._classes("mean", then=best)[0]

    def uncertainty(self) -> dict[str, np.ndarray]:
        """Compute spread by kind, entropy and mutual information (N,), tile by tile."""
        report: list[str] = []

        def sums(mean: Tensor, label_entropy: Tensor, *variances: Tensor) -> list[np.ndarray]:
            by_kind = {k: np.asarray(v) for k, v in zip(KINDS, variances, strict=True)}
            found = class_uncertainty(mean.numpy(), by_kind, np.asarray(label_entropy))
            report[:] = found
            return list(found.values())

        found = self._classes("mean", "conditional_entropy", *KINDS, then=sums)
        return dict(zip(report, found, strict=True))

    def _exact_log_prob(self, y: Tensor) -> np.ndarray | None:
        normals = self.normals(False)
        if normals is None or not ClassesOfNormals.suit(self.likelihood):
            return None

        def mean(outputs: Any) -> list[Tensor]:
            return [ClassesOfNormals(self.likelihood, outputs, normals.hyper).mean]

        (p,) = Moments(normals).reduce(self.rows, mean)
        with np.errstate(divide="ignore"):
            return np.log(p[np.arange(len(p)), y.numpy()])


class SiteFunctions(ClassFunctions):
    """Law of labels at several sites of a row, such as its pixels.

    Codes are (N, *shape); what is said of classes is (N, n_classes, *shape).

    Parameters
    ----------
    shape : tuple of int
        Of the sites of a row.
    several : bool
        Whether sites are labels that do not exclude one another: what is said of them is said
        of having the label, (N, *shape).
    **options : dict
        Parameters of `FunctionPredictive`.
    """

    def __init__(self, shape: tuple[int, ...], several: bool, **options: Any) -> None:
        super().__init__(**options)
        self.shape, self.several = shape, several

    def _target_tensor(self, y: np.ndarray) -> Tensor:
        return as_tensor(y.reshape(len(y), -1), torch.int64)

    def _of_sites(self, values: np.ndarray) -> np.ndarray:
        """Values (N, T, ...) of sites in their shape, classes before it."""
        if values.ndim == 2:
            return values.reshape(len(values), *self.shape)
        if self.several:
            return self._of_sites(values[..., 1])
        return np.moveaxis(values, 2, 1).reshape(len(values), -1, *self.shape)

    def _average(
        self, names: Sequence[str], of_normals: Any, of_draws: Any, then: Any = None
    ) -> list[np.ndarray]:
        def by_row(*averages: Tensor) -> list[Tensor]:
            found = then(*averages) if then else averages
            n_sites = self.likelihood.n_sites
            return [torch.as_tensor(f).unflatten(0, (-1, n_sites)) for f in found]

        found = super()._average(names, of_normals, of_draws, by_row)
        return [self._of_sites(values) for values in found]

    def functions(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Logits (S, rows, K, *shape)."""
        values = super().functions(outputs, hyper)
        n_each = values.shape[2] // self.likelihood.n_sites
        shape = self.shape if self.several else (n_each, *self.shape)
        return values.reshape(*values.shape[:2], *shape)

    def probabilities(self, outputs: Tensor, hyper: Tensor) -> np.ndarray:
        """Class probabilities (S, rows, n_classes, *shape) of draws of the outputs."""
        found = super().probabilities(outputs, hyper)
        by_row = found.reshape(-1, self.likelihood.n_sites, found.shape[2])
        shaped = self._of_sites(by_row)
        return shaped.reshape(len(outputs), -1, *shaped.shape[1:])

    def targets(self, outputs: Tensor, hyper: Tensor, noise: torch.Generator) -> np.ndarray:
        """New codes (S, rows, *shape) for each draw."""
        codes = super().targets(outputs, hyper, noise)
        return codes.reshape(*codes.shape[:2], *self.shape)


def named_draws(
    model: Model, posterior: Posterior, n_samples: int, random_state: Any
) -> dict[str, np.ndarray]:
    """Draw weights of each block, layer scales and noise (n_samples, ...), standardised."""
    generator = make_generator(seed_streams(random_state)["draws"])
    params = posterior.sample(n_samples, generator).to(model.like)
    return {name: draws.numpy() for name, draws in model.named(params).items()}
