"""Variational inference by a normal whose entries go together."""

from __future__ import annotations

import math
import os
from numbers import Integral

import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.evidence import log_joint_of_draws
from skbayes.exceptions import InsufficientMemoryError
from skbayes.inference._base import Run
from skbayes.inference.mode._curvature import (
    DualCurvature,
    FullCurvature,
    affordable_curvature,
)
from skbayes.inference.vi._mean_field import (
    N_EVIDENCE_DRAWS,
    START_SD,
    MeanFieldVI,
    store_bound,
)
from skbayes.posteriors import DenseFactor, GaussianPosterior, LowRankFactor, to_numpy
from skbayes.training._trainer import History
from skbayes.utils._logs import LOG_2PI
from skbayes.utils._random import make_generator, randn
from skbayes.utils._sklearn import Interval, StrOptions

#: Unknowns beyond which a whole covariance is refused: it would have so many squared numbers.
MOST_PARAMS = 5000
#: Size at which directions of a low rank start, in standard deviations.
START_DIRECTIONS = 0.1


class GaussianVI(MeanFieldVI):
    """One normal over whitened weights, log scales and log noise, with a covariance.

    Maximises the evidence lower bound as `MeanFieldVI` does. Where the posterior is normal,
    ``structure="full"`` finds it exactly: gradients go along the draws alone, and vanish with
    their variance at the answer.

    Parameters
    ----------
    structure : {"full", "low_rank"}, default="full"
        All of the covariance, of 5000 unknowns at most; or independent standard deviations and
        ``rank`` directions in which unknowns move together.
    rank : int, default=10
        Directions of "low_rank".
    max_iter : int, default=2000
        Optimiser steps.
    n_particles : int, default=4
        Monte Carlo draws behind each gradient.
    learning_rate : float, default=0.03
        Adam's first rate, decayed along a cosine.
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    tol : float, default=0.0
        Stop when the bound improves relatively less than this over five fiftieths
        (of ten steps at least) of the budget.
    temperature : "auto" or float, default="auto"
        Weight of the divergence from the prior in what is maximised, as in `MeanFieldVI`.
    evidence : {"auto", "importance"} or None, default="auto"
        "auto" keeps the bound as evidence, of kind "elbo"; "importance" samples from
        the approximation, its tails widened; there is no evidence where fewer than 50
        effective draws carry it.
    callbacks : list of skorch callbacks or None, default=None
        Copies of them hear of every training of the fit: `EarlyStopping`, `LRScheduler` in place
        of the cosine, or classes of one's own. An epoch is a fiftieth of a training's steps.
    checkpoint : str, path-like or None, default=None
        Folder in which the run's state is kept, so that a fit of the same model to the same
        data goes on where the last one stopped; needs an integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two states on file.

    Raises
    ------
    InsufficientMemoryError
        If the whole covariance of so many unknowns is asked for.

    References
    ----------
    Kucukelbir et al. (2017), Automatic differentiation variational inference (full rank); Ong
    et al. (2018), Gaussian variational approximation with a factor covariance structure;
    Roeder et al. (2017), Sticking the landing, eq. 9.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbayes import BayesianMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor((), inference="gaussian_vi", random_state=0).fit(X, y)
    >>> reg.evidence_kind_
    'elbo'
    """

    _parameter_constraints: dict = {
        **{k: v for k, v in MeanFieldVI._parameter_constraints.items() if k != "gradient"},
        "structure": [StrOptions({"full", "low_rank"})],
        "rank": [Interval(Integral, 1, None, closed="left")],
    }
    test_params = {
        "max_iter": 60,
        "n_particles": 4,
        "learning_rate": 0.01,
        "temperature": 1.0,
    }

    def __init__(
        self,
        structure: str = "full",
        rank: int = 10,
        max_iter: int = 2000,
        n_particles: int = 4,
        learning_rate: float = 0.03,
        batch_size: int | str | None = "auto",
        tol: float = 0.0,
        temperature: float | str = "auto",
        evidence: str | None = "auto",
        callbacks: list | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.structure = structure
        self.rank = rank
        self.max_iter = max_iter
        self.n_particles = n_particles
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.temperature = temperature
        self.evidence = evidence
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def check(self, model: Model) -> None:
        """Raise if the covariance would be too large."""
        super().check(model)
        if self.structure == "full" and model.n_params > MOST_PARAMS:
            raise InsufficientMemoryError(
                f"GaussianVI(structure='full') would keep the covariance of {model.n_params} "
                f"unknowns, and does so for {MOST_PARAMS} at most; use structure='low_rank', or "
                "inference='mean_field_vi'"
            )

    def _climb(
        self,
        model: Model,
        data: Data,
        run: Run,
        mean: Tensor,
        temperature: float,
        share: int = 1,
    ) -> tuple[dict[str, Tensor], int, History]:
        """Maximise from a mean (1, n_params), in one of ``share`` parts of the steps."""
        start = {"mean": mean, **self._first_spread(model, data, mean, run)}
        objective = NegativeBound(model, self.n_particles, temperature, run.training)
        training = self.training_options(data, model)
        training["max_iter"] = self._steps(share)
        return run.train(start, objective, data, **training)

    def _first_spread(self, model: Model, data: Data, mean: Tensor, run: Run) -> dict[str, Tensor]:
        """Spread to start from: that of Laplace's approximation, where it is to be had."""
        log_sd = mean.new_full((1, model.n_params), math.log(START_SD))
        if self.structure == "low_rank":
            shape = (1, model.n_params, min(self.rank, model.n_params))
            directions = START_DIRECTIONS * START_SD * randn(shape, mean, run.training)
            return {"log_sd": log_sd, "directions": directions}
        root = torch.diag(log_sd[0].exp())
        if affordable_curvature(model, data) in (FullCurvature, DualCurvature):
            inverse_root = FullCurvature(model, data, mean).inverse_root
            n = model.n_weights
            root[:n, :n] = inverse_root.T
        lower = torch.zeros_like(root)
        return {
            "root": root[None],
            "log_volume": torch.linalg.slogdet(root)[1],
            "shift": torch.zeros_like(mean),
            "log_diagonal": torch.zeros_like(mean),
            "lower": lower[None],
        }

    def _posterior(self, trained: dict[str, Tensor]) -> GaussianPosterior:
        """The normal that was trained."""
        return normal_of(trained)

    def _evidence(
        self,
        model: Model,
        data: Data,
        trained: dict[str, Tensor],
        run: Run,
        posterior: GaussianPosterior,
    ) -> None:
        """The bound, from fresh draws."""
        seed = torch.randint(2**31 - 1, (1,), generator=run.evidence, device=run.evidence.device)
        generator = make_generator(int(seed))
        draws, log_q = posterior.sample_with_density(N_EVIDENCE_DRAWS, generator)
        log_joint = log_joint_of_draws(model, data, draws.to(model.like))
        store_bound(posterior, log_joint - log_q.to(log_joint))


def normal_of(state: dict[str, Tensor]) -> GaussianPosterior:
    """The normal at a state of the training."""
    if "root" in state:
        whole = _Whole(state)
        root = whole.root @ whole.lower
        mean = state["mean"][0] + whole.root @ state["shift"][0]
        return GaussianPosterior(to_numpy(mean), [DenseFactor(0, to_numpy(root))])
    mean, sd = state["mean"][0], torch.exp(state["log_sd"][0])
    directions = to_numpy(state["directions"][0])
    return GaussianPosterior(to_numpy(mean), [LowRankFactor(0, to_numpy(sd), directions)])


class _Whole:
    """Draws mean + R (shift + L e), with R held and L a lower triangle."""

    def __init__(self, params: dict[str, Tensor]) -> None:
        self.root, self.shift = params["root"][0], params["shift"]
        self.log_volume = params["log_volume"]
        self.diagonal = torch.exp(params["log_diagonal"][0])
        # Of many unknowns a step of all entries would move each draw by their sum.
        self.unit = len(self.root) ** -0.5
        self.lower = self.unit * torch.tril(params["lower"][0], -1) + torch.diag(self.diagonal)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Moves (n, P) from the held mean, and their log density (n,)."""
        self.noise = randn((n, len(self.root)), self.root, generator)
        log_det = torch.log(self.diagonal).sum() + self.log_volume
        log_q = -0.5 * (self.noise**2).sum(1, dtype=torch.float64) - log_det
        return (self.shift + self.noise @ self.lower.T) @ self.root.T, log_q

    def pull(self) -> Tensor:
        """Inverse covariance times what draws are away from the mean, in units of R: (n, P)."""
        return torch.linalg.solve_triangular(self.lower.T, self.noise.T, upper=True).T

    def grads(self, slope: Tensor, pull: float) -> dict[str, Tensor]:
        """Negative gradients, of the log joint's (n, P) and ``pull`` times that of the density."""
        slope = slope @ self.root + pull * self.pull()
        moved = slope.T @ self.noise / len(slope)
        return {
            "shift": -slope.mean(0, keepdim=True),
            "log_diagonal": -(torch.diagonal(moved) * self.diagonal)[None],
            "lower": -self.unit * torch.tril(moved, -1)[None],
        }


class _LowRank:
    """Draws mean + sd e + U f."""

    def __init__(self, params: dict[str, Tensor]) -> None:
        self.sd, self.directions = torch.exp(params["log_sd"]), params["directions"][0]

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Moves (n, P) from the mean, and their log density (n,)."""
        self.noise = randn((n, self.sd.shape[1]), self.sd, generator)
        self.more = randn((n, self.directions.shape[1]), self.sd, generator)
        moves = self.sd * self.noise + self.more @ self.directions.T
        self._pull, log_det = _woodbury(self.sd[0], self.directions, moves)
        return moves, -0.5 * (self._pull * moves).sum(1, dtype=torch.float64) - log_det

    def grads(self, slope: Tensor, pull: float) -> dict[str, Tensor]:
        """Negative gradients, of the log joint's (n, P) and ``pull`` times that of the density."""
        slope = slope + pull * self._pull
        return {
            "mean": -slope.mean(0, keepdim=True),
            "log_sd": -(slope * self.sd * self.noise).mean(0, keepdim=True),
            "directions": -(slope.T @ self.more / len(slope))[None],
        }


class NegativeBound:
    """Negative evidence lower bound of a normal, and gradients along its draws.

    The score of the normal itself is left out of the gradients: it is zero on average, and
    without it they vanish where the normal is the posterior.
    """

    def __init__(
        self, model: Model, n_particles: int, temperature: float, generator: torch.Generator
    ) -> None:
        self.model, self.n_particles = model, n_particles
        self.temperature, self.generator = temperature, generator

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mean, warm = params["mean"], self.temperature
        normal = _Whole(params) if "root" in params else _LowRank(params)
        moves, log_q = normal.draw(self.n_particles, self.generator)
        value, slope = self.model.value_and_grad(mean + moves, batch, scale / warm)
        log_q = log_q - 0.5 * mean.shape[1] * LOG_2PI
        return -warm * (value - log_q).mean()[None], normal.grads(warm * slope, warm)


def _woodbury(sd: Tensor, directions: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse of diag(sd²) + UU' times moves (S, P), and half its log determinant."""
    scaled = directions / sd[:, None] ** 2
    inner = torch.eye(directions.shape[1]).to(sd) + directions.T @ scaled
    lower = torch.linalg.cholesky(inner)
    across = torch.cholesky_solve((moves @ scaled).T, lower).T
    half = torch.log(sd).sum() + torch.log(torch.diagonal(lower)).sum()
    return moves / sd**2 - across @ scaled.T, half
