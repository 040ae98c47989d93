"""Densities of rows with their latents integrated out, by importance sampling.

Latents are drawn from a mixture: what the encoder says, Laplace's approximation at the mode
of the latent's posterior, and the same widened, so that no weight is without bound where one
of them is off. The draws of a row follow from its own content, so that rows are
independent, and a row's density is the same in any company.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skbayes.data._canonical import row_hash
from skbayes.data._tensors import Data
from skbayes.data._tiles import MOST_ROWS, TILE_NUMBERS, by_tiles, fitting_rows, tile_rows
from skbayes.latent._latent_model import LatentModel, Parameters, count, double
from skbayes.latent._normal_latents import NormalLatents
from skbayes.posteriors._function_draws import OUTPUT_NUMBERS

#: Newton steps to the mode of a latent's posterior, and the shares of a step that are tried.
N_NEWTON, STEP_SHARES = 6, (1.0, 0.5, 0.2, 0.05, 0.0)
#: Latents are moved by this for central differences, whose error in double precision is 1e-10.
STEP = 1e-5
#: Share by which the curvatures of the latents are raised.
RIDGE = 1e-9
#: Shares of the draws: encoder, Laplace, widened Laplace; without a trained encoder the
#: second has the first's.
SHARES = (0.375, 0.375, 0.25)
#: Uniforms nearer to 0 or 1 than this are moved there.
EDGE = 1e-12
#: Numbers in an intermediate of a tile under a memory budget: the sampler holds twice as many of
#: them as a prediction.
BUDGET_NUMBERS = OUTPUT_NUMBERS // 2


def laplace(
    model: LatentModel, parameters: Parameters, rows: Data, start: Tensor, n_steps: int = N_NEWTON
) -> NormalLatents:
    """Normal approximation of latents at the mode of their posterior.

    Gauss-Newton steps, each the best of several shares of itself for each row.

    Parameters
    ----------
    model, parameters, rows
        In double precision.
    start : Tensor of shape (N, q)
        Where to start.
    n_steps : int
        Steps; with 0 the curvature is that at the start.

    Returns
    -------
    latents : NormalLatents
        With Cholesky factors.
    """
    z = start
    shares = z.new_tensor(STEP_SHARES)[:, None, None]
    density = model.latent_density(parameters)
    for _ in range(n_steps):
        gradient, precision = _derivatives(model, parameters, rows, z)
        root = torch.linalg.cholesky(precision)
        move = torch.cholesky_solve(gradient[..., None], root)[..., 0]
        trials = z + shares * move
        with torch.no_grad():
            joint = model.log_prob(parameters, rows, trials) + density.log_prob(trials)
        best = torch.nan_to_num(joint, nan=-math.inf).argmax(0)
        z = trials[best, torch.arange(len(z))]
    _, precision = _derivatives(model, parameters, rows, z)
    return NormalLatents(z, _inverse_root(precision))


def modes_cost(n_latents: int) -> int:
    """How often `laplace` decodes a row: to both sides of each latent, and the shares."""
    differences = 2 * n_latents + 1
    return N_NEWTON * (differences + len(STEP_SHARES)) + differences


def _derivatives(
    model: LatentModel, parameters: Parameters, rows: Data, z: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradient (N, q) of log p(x, z) in z, and a positive definite curvature (N, q, q)."""
    density = model.latent_density(parameters)
    nudges = STEP * torch.eye(z.shape[1], dtype=z.dtype)[:, None]
    with torch.no_grad():
        ahead, behind = (model.decode(parameters, z + n, rows.context) for n in (nudges, -nudges))
        jacobian = (ahead - behind) / (2 * STEP)
        outputs = model.decode(parameters, z, rows.context)
    outputs, latents = outputs.requires_grad_(), z.detach().requires_grad_()
    with torch.enable_grad():
        fit = model.log_prob_of(parameters, rows, outputs).sum()
        of_outputs = torch.autograd.grad(fit, outputs)[0]
        of_prior = torch.autograd.grad(density.log_prob(latents).sum(), latents)[0]
    with torch.no_grad():
        gradient = torch.einsum("qnk,nk->nq", jacobian, of_outputs) + of_prior
        white = model.whiten(parameters, rows, outputs.detach(), jacobian)
        white = white.transpose(0, 1)
        precision = white @ white.transpose(1, 2)
        # Rounding must not make a matrix of very unequal curvatures indefinite.
        precision.diagonal(dim1=1, dim2=2).mul_(1 + RIDGE)
        return gradient, precision + density.precision(z)


def _inverse_root(precision: Tensor) -> Tensor:
    """Lower Cholesky factors of the inverses of matrices (N, q, q)."""
    # Of the matrix turned about both axes; its inverse factor turned back is lower again.
    flipped = torch.linalg.cholesky(precision.flip(-1, -2))
    identity = torch.eye(precision.shape[-1], dtype=precision.dtype).expand_as(precision)
    inverse = torch.linalg.solve_triangular(flipped, identity, upper=False)
    return inverse.transpose(-1, -2).flip(-1, -2)


@dataclass(frozen=True)
class Weighted:
    """Weighted draws of the latents of a tile of rows.

    Attributes
    ----------
    latents : Tensor of shape (K, N, q)
    log_weight : Tensor of shape (K, N)
        Log p(x, z) / q(z), in double precision.
    counts : list of int
        Draws from each part of the mixture, one after the other.
    """

    latents: Tensor
    log_weight: Tensor
    counts: list[int]

    @property
    def log_density(self) -> Tensor:
        """Log mean weight (N,)."""
        return torch.logsumexp(self.log_weight, 0) - math.log(len(self.log_weight))

    @property
    def shares(self) -> Tensor:
        """Weights (K, N) that sum to one."""
        return torch.softmax(self.log_weight, 0)

    @property
    def std_error(self) -> Tensor:
        """Standard error (N,) of the log density, to first order; infinite for one draw.

        The parts of the mixture have fixed numbers of draws, so that only the spread within
        each of them counts.
        """
        counts = self.counts if min(self.counts) > 1 else [sum(self.counts)]
        if counts == [1]:
            return torch.full_like(self.log_weight[0], math.inf)
        parts = self.shares.split(counts)
        return sum(n * part.var(0) for n, part in zip(counts, parts, strict=True)).sqrt()  # type: ignore[union-attr]

    @property
    def n_effective(self) -> Tensor:
        """Kish's effective number of draws (N,)."""
        return 1 / self.shares.square().sum(0)


class ImportanceSampler:
    """Draws latents of rows and weighs them.

    Parameters
    ----------
    model : LatentModel
    parameters : Parameters
        In single precision, on the CPU.
    trained : bool
        Whether the encoder's widths were trained by a divergence from the prior.
    n_draws : int
        Draws K a row.
    seed : int
        Decides the draws, together with the rows.
    width : int or None
        Of the widest layer of a decoder whose intermediates are to stay under a memory budget;
        None for larger tiles, which count the outputs alone.
    """

    def __init__(
        self,
        model: LatentModel,
        parameters: Parameters,
        trained: bool,
        n_draws: int,
        seed: int,
        width: int | None = None,
    ) -> None:
        self.model, self.parameters, self.trained = model, parameters, trained
        self.n_draws, self.seed = n_draws, seed
        self.double = double(parameters)
        self.n_latents = model.network.n_latents
        self._numbers, self._width = TILE_NUMBERS, model.network.n_outputs
        self.size = tile_rows(self.n_latents * max(self._width, n_draws))
        if width is not None:
            self._numbers, self._width = BUDGET_NUMBERS, max(self._width, width)
            of_row = max(self.n_latents, len(STEP_SHARES)) * self._width
            self.size = fitting_rows(
                MOST_ROWS, BUDGET_NUMBERS, max(of_row, self.n_latents * n_draws)
            )
        uniform = np.random.default_rng(seed).uniform(size=(n_draws, self.n_latents))
        self._uniform = torch.from_numpy(uniform)

    def scores(self, rows: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log density, standard error and effective draws of each encoded row (N,)."""

        def score(tile: Data, _: slice) -> tuple[Tensor, ...]:
            drawn = self.draw(tile)
            return drawn.log_density, drawn.std_error, drawn.n_effective

        log_density, error, effective = by_tiles(rows, self.size, score, self.work)
        return log_density, error, effective

    def draw(self, tile: Data) -> Weighted:
        """Weighted latents of the rows of a tile."""
        proposals, shares = self._proposals(tile)
        counts = np.diff(np.round(np.cumsum([0.0, *shares]) * self.n_draws).astype(int))
        noise = self.noise(tile)
        start, latents, log_weight = 0, [], []
        used = [(p, c) for p, c in zip(proposals, counts, strict=True) if c]
        mixture = _Mixture([p for p, _ in used], [c / self.n_draws for _, c in used])
        with torch.no_grad():
            for proposal, count in used:
                for part in noise[start : start + count].split(self.at_once):
                    z = proposal.draw(part)
                    latents.append(z)
                    log_weight.append(self._log_joint(tile, z) - mixture.log_prob(z).double())
                start += count
        return Weighted(torch.cat(latents), torch.cat(log_weight), [int(c) for _, c in used])

    @property
    def at_once(self) -> int:
        """Draws a row that go through the decoder together."""
        return max(1, self._numbers // (self.size * self._width))

    @property
    def work(self) -> float:
        """Multiply-adds of a tile that go on together."""
        return float(self.size * min(self.at_once, self.n_draws) * count(self.parameters))

    def _log_joint(self, tile: Data, z: Tensor) -> Tensor:
        log_prior = self.model.latent_density(self.parameters).log_prob(z)
        return self.model.log_prob(self.parameters, tile, z).double() + log_prior.double()

    def _proposals(self, tile: Data) -> tuple[list[NormalLatents], list[float]]:
        with torch.no_grad():
            encoded = self.model.encode(self.parameters, tile)
        start = encoded.mean.double()
        mode = laplace(self.model, self.double, tile.to(torch.float64), start)
        mode = NormalLatents(mode.mean.to(start.float()), mode.root.to(start.float()))
        wide = mode.widened(1 + 2 / math.sqrt(self.n_latents))
        if self.trained:
            return [encoded, mode, wide], [*SHARES]
        return [mode, wide], [SHARES[0] + SHARES[1], SHARES[2]]

    def noise(self, tile: Data) -> Tensor:
        """Standard normal noise (K, N, q): shared uniforms, shifted around by each row's hash."""
        content = tile.y if tile.context is None else torch.cat([tile.y, tile.context], 1)
        hashed = row_hash(content.double().numpy() + 0.0)
        steps = np.arange(1, self.n_latents + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = hashed[:, None] + steps
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        shift = torch.from_numpy((mixed ^ (mixed >> np.uint64(31))) / 2.0**64)
        uniform = (self._uniform[:, None] + shift) % 1.0
        return torch.special.ndtri(uniform.clamp(EDGE, 1 - EDGE)).to(tile.X.dtype)


class _Mixture:
    """Log density of a mixture of normals, the inverse of each root computed once."""

    def __init__(self, parts: list[NormalLatents], shares: list[float]) -> None:
        self.parts, self.shares = parts, shares
        self._inverses = [None if p.is_diagonal else _inverse(p.root) for p in parts]

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density (K, N) of latents (K, N, q)."""
        terms = []
        for part, share, inverse in zip(self.parts, self.shares, self._inverses, strict=True):
            gap = z - part.mean
            if inverse is None:
                noise = gap / part.root
            else:
                noise = torch.einsum("nij,knj->kni", inverse, gap)
            terms.append(math.log(share) + part.log_prob_of(noise))
        return torch.logsumexp(torch.stack(terms), 0)


def _inverse(root: Tensor) -> Tensor:
    identity = torch.eye(root.shape[-1], dtype=root.dtype).expand_as(root)
    return torch.linalg.solve_triangular(root, identity, upper=False)
