"""Mean-field variational inference (Bayes by Backprop)."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor

from skbayes._model import Model
from skbayes.data._tensors import Data
from skbayes.evidence import corrected_evidence, log_joint_of_draws
from skbayes.inference._base import Run, TrainedInference
from skbayes.inference.mode._cross_validation import held_out_third
from skbayes.inference.mode._search import near_mode, near_mode_steps
from skbayes.inference.mode._temperature import draws_of, log_loss
from skbayes.posteriors import DiagonalFactor, GaussianPosterior, to_numpy
from skbayes.training._trainer import History
from skbayes.utils._logs import LOG_2PI, LOG_2PI_E
from skbayes.utils._random import randn
from skbayes.utils._sklearn import Interval, StrOptions

#: Standard deviation at which whitened weights start (the prior's is 1).
START_SD = 0.1
N_EVIDENCE_DRAWS = 500
#: What "auto" tries for classes, in one of so many parts of the steps, and fewest rows of
#: which a third tells between them.
TEMPERATURES, SHARE, LEAST_ROWS = (1.0, 0.3), 4, 12
#: Share of the bound's log loss that another temperature must stay below: the bound itself
#: gains most from the rows that were held out.
CLEARLY_LESS = 0.9


class MeanFieldVI(TrainedInference):
    """Independent normals over whitened weights, log scales and log noise.

    Maximises the evidence lower bound by stochastic gradients over Monte Carlo draws,
    which are particles of one batched program.

    Parameters
    ----------
    max_iter : int, default=2000
        Optimiser steps.
    n_particles : int, default=4
        Monte Carlo draws behind each gradient.
    learning_rate : float, default=0.03
        Adam's first rate, decayed along a cosine (a constant rate leaves standard
        deviations 10 to 20% off).
    batch_size : "auto", int or None, default="auto"
        Rows in a step; None for all, "auto" for all up to 2048 distinct rows, else 512.
    tol : float, default=0.0
        Stop when the bound improves relatively less than this over five fiftieths
        (of ten steps at least) of the budget.
    gradient : {"local", "shared"}, default="local"
        Draw the units' inputs for each row (local reparameterisation, lower variance), or
        draw weights shared by the rows of a batch, as networks that are modules of torch do
        always.
    temperature : "auto" or float, default="auto"
        Weight of the divergence from the prior in what is maximised. 1 is the evidence
        lower bound, which prefers wide layers on few rows to say nothing (see the guide's
        page on engines). "auto" is 1 for numbers, and for classes .3 where that
        has a tenth less log loss on a held-out third of the rows. Evidence is the bound itself
        either way, which a fit at 1 brings nearest to the evidence: set 1 to compare models
        by it.
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

    References
    ----------
    Blundell et al. (2015), Weight uncertainty in neural networks, eq. 2; Kingma et al.
    (2015), Variational dropout and the local reparameterization trick, eq. 6; Wenzel et al.
    (2020), How good is the Bayes posterior in deep neural networks really? (temperatures).

    Examples
    --------
    >>> from skbayes.inference import MeanFieldVI
    >>> MeanFieldVI(n_particles=8).n_particles
    8
    """

    _parameter_constraints: dict = {
        **TrainedInference._parameter_constraints,
        "n_particles": [Interval(Integral, 1, None, closed="left")],
        "gradient": [StrOptions({"local", "shared"})],
        "temperature": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "evidence": [StrOptions({"auto", "importance"}), None],
    }
    test_params = {"max_iter": 60, "n_particles": 2, "temperature": 1.0}
    needs = ("proper_prior",)
    evidence_kind = "elbo"

    def __init__(
        self,
        max_iter: int = 2000,
        n_particles: int = 4,
        learning_rate: float = 0.03,
        batch_size: int | str | None = "auto",
        tol: float = 0.0,
        gradient: str = "local",
        temperature: float | str = "auto",
        evidence: str | None = "auto",
        callbacks: list | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
    ) -> None:
        self.max_iter = max_iter
        self.n_particles = n_particles
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.gradient = gradient
        self.temperature = temperature
        self.evidence = evidence
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def n_planned_steps(self, model: Model, data: Data, run: Run) -> int:
        """The choice of a temperature, a mode, and two climbs, of which the second may not be."""
        n_mode = near_mode_steps(self.max_iter)
        chosen = n_mode + len(TEMPERATURES) * self._steps(SHARE)
        anew = n_mode + self.max_iter if run.start is None else 0
        return chosen * self._chooses(model, data) + self.max_iter + anew

    def _steps(self, share: int) -> int:
        """Steps in one of so many parts of them."""
        return max(1, self.max_iter // share)

    def _chooses(self, model: Model, data: Data) -> bool:
        """Whether the temperature is to be found."""
        classes = model.likelihood.target == "classes"
        return self.temperature == "auto" and classes and len(data) >= LEAST_ROWS

    def infer(self, model: Model, data: Data, run: Run) -> GaussianPosterior:
        """Maximise the bound, or what the temperature makes of it."""
        temperature, n_chosen = self._choose_temperature(model, data, run)
        found, n_found = self._mode(model, data, run)
        trained, n_iter, history = self._climb(model, data, run, found, temperature)
        n_iter += n_found + n_chosen
        if run.start is None and -history.losses[-1] < flat_log_likelihood(data):
            # Where the bound prefers weights that say nothing, they are the answer.
            start = self._prior_like(model, run)
            flat, n_flat, of_flat = self._climb(model, data, run, start, temperature)
            n_iter += n_flat
            if of_flat.losses[-1] < history.losses[-1]:
                trained, history = flat, of_flat
        posterior = self._posterior(trained)
        posterior.n_iter = n_iter
        posterior.diagnostics = {
            "objective": -history.losses[-1],
            "converged": history.converged,
            "temperature": temperature,
        }
        if self.evidence == "importance":
            corrected_evidence(model, data, posterior, run.evidence)
        elif self.evidence is not None:
            self._evidence(model, data, trained, run, posterior)
        return posterior

    def _posterior(self, trained: dict[str, Tensor]) -> GaussianPosterior:
        """The normal that was trained."""
        sd = torch.exp(trained["log_sd"][0])
        return GaussianPosterior(to_numpy(trained["mean"][0]), [DiagonalFactor(0, to_numpy(sd))])

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
        log_sd = model.like.new_full((1, model.n_params), math.log(START_SD))
        objective = NegativeELBO(
            model, self.n_particles, self._is_local(model), temperature, run.training
        )
        training = self.training_options(data, model)
        training["max_iter"] = self._steps(share)
        return run.train({"mean": mean, "log_sd": log_sd}, objective, data, **training)

    def _is_local(self, model: Model) -> bool:
        """Whether units' inputs are drawn: of networks that let them be replaced."""
        return self.gradient == "local" and hasattr(model.network, "forward_layers")

    def _choose_temperature(self, model: Model, data: Data, run: Run) -> tuple[float, int]:
        """Weight of the divergence, and the optimiser steps that it took."""
        if not self._chooses(model, data):
            return 1.0 if self.temperature == "auto" else float(self.temperature), 0
        rows, held = held_out_third(data, run.training)
        found, n_iter = near_mode(model, rows, run, self.training_options(rows, model))
        losses = []
        for temperature in TEMPERATURES:
            trained, steps, _ = self._climb(model, rows, run, found, temperature, SHARE)
            posterior = self._posterior(trained)
            params = draws_of(posterior, model, run.training)
            losses.append(log_loss(model, held, posterior, params))
            n_iter += steps
        clear = min(losses) < CLEARLY_LESS * losses[0]
        return TEMPERATURES[int(np.argmin(losses)) if clear else 0], n_iter

    def _mode(self, model: Model, data: Data, run: Run) -> tuple[Tensor, int]:
        """A mode to start from, or an earlier posterior; and the steps it took."""
        if run.start is not None:
            return run.start.start(1, run.training).to(model.like), 0
        return near_mode(model, data, run, self.training_options(data, model))

    def _prior_like(self, model: Model, run: Run) -> Tensor:
        """Small random means (1, n_params)."""
        return model.init(1, run.training, spread=0.5)

    def _evidence(
        self,
        model: Model,
        data: Data,
        trained: dict[str, Tensor],
        run: Run,
        posterior: GaussianPosterior,
    ) -> None:
        """The bound, from fresh draws."""
        mean, sd = trained["mean"][0], torch.exp(trained["log_sd"][0])
        noise = randn((N_EVIDENCE_DRAWS, len(mean)), mean, run.evidence)
        draws = mean + sd * noise
        log_q = (-0.5 * noise**2 - torch.log(sd) - 0.5 * LOG_2PI).sum(1, dtype=torch.float64)
        store_bound(posterior, log_joint_of_draws(model, data, draws) - log_q)


def store_bound(posterior: GaussianPosterior, log_weights: Tensor) -> None:
    """Note the bound, the mean of log joint less log density over draws."""
    posterior.log_evidence = float(log_weights.mean())
    posterior.evidence_se = float(log_weights.std()) / math.sqrt(len(log_weights))
    posterior.evidence_kind = "elbo"


def flat_log_likelihood(data: Data) -> float:
    """Log likelihood in nats of the best constant: about the bound of weights without a say.

    Of the frequencies of classes, else of a normal with each target's variance.
    """
    weight = data.weight.double()
    if not data.y.is_floating_point():
        # Of several sites all labels together; negative ones are left out.
        codes, counted = data.y.flatten(), (data.y >= 0).flatten()
        weight = weight.repeat_interleave(len(codes) // len(weight))[counted]
        counts = torch.bincount(codes[counted], weight)
        return float(torch.special.xlogy(counts, counts / weight.sum()).sum())
    y = data.y.double()
    mean = (weight[:, None] * y).sum(0) / weight.sum()
    variance = (weight[:, None] * (y - mean) ** 2).sum(0) / weight.sum()
    return float(-0.5 * weight.sum() * (LOG_2PI_E + variance.clamp_min(1e-12).log()).sum())


class NegativeELBO:
    """Negative evidence lower bound and its gradients by reparameterisation.

    ``temperature`` multiplies the divergence.
    """

    def __init__(
        self,
        model: Model,
        n_particles: int,
        local: bool,
        temperature: float,
        generator: torch.Generator,
    ) -> None:
        self.model, self.n_particles, self.local = model, n_particles, local
        self.temperature, self.generator = temperature, generator

    def __call__(
        self, params: dict[str, Tensor], batch: Data, scale: float, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mean, log_sd = params["mean"], params["log_sd"]
        noise = randn((self.n_particles, mean.shape[1]), mean, self.generator)
        with torch.enable_grad():
            sd = torch.exp(log_sd)
            draws = mean + sd * noise
            loss = self.temperature * self.divergence(mean, sd, draws)
            loss = loss - scale * self._fit(mean, sd, draws, batch)
            grads = torch.autograd.grad(loss, (mean, log_sd))
        return loss.detach()[None], {"mean": grads[0], "log_sd": grads[1]}

    def divergence(self, mean: Tensor, sd: Tensor, draws: Tensor) -> Tensor:
        """KL(q || prior): closed form for weights where there is one, else Monte Carlo."""
        model, n = self.model, self.model.n_weights
        entropy_of_unit = 0.5 * math.log(2 * math.pi * math.e)
        if model.prior.closed_form_kl:
            weights = model.prior.kl_base(mean[0, :n], sd[0, :n]).sum()
        else:
            log_prior = model.log_prior_weights(draws).mean()
            weights = -(torch.log(sd[0, :n]) + entropy_of_unit).sum() - log_prior
        if not model.n_hyper:
            return weights
        entropy = (torch.log(sd[0, n:]) + entropy_of_unit).sum()
        return weights - entropy - model.log_prior_hyper(draws).mean()

    def _fit(self, mean: Tensor, sd: Tensor, draws: Tensor, batch: Data) -> Tensor:
        """Expected weighted log likelihood of a batch."""
        if not self.local:
            return self.model.log_likelihood(draws, batch).mean()
        model, network = self.model, self.model.network
        _, log_scales, noise = model.split(draws)
        scales = model.weight_scales(log_scales)
        means = network.unpack(model.located(mean[:, : model.n_weights] * scales))  # type: ignore[attr-defined]
        variances = network.unpack((sd[:, : model.n_weights] * scales) ** 2)  # type: ignore[attr-defined]

        def linear(layer: int, value: Tensor) -> Tensor:
            (W, b), (V, c) = means[layer], variances[layer]
            location = W @ value + b[..., None]
            variance = V @ value**2 + c[..., None]
            shape = (self.n_particles, *location.shape[1:])
            return location + variance.sqrt() * randn(shape, value, self.generator)

        outputs = network.forward_layers(linear, batch.X)  # type: ignore[attr-defined]
        log_prob = model.likelihood.log_prob(outputs, batch.y, noise)
        return (log_prob * batch.weight).sum(1).mean()
