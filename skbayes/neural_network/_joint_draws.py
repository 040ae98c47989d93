"""A network's draws by chain, and what each of them says of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skbayes.base._arviz import N_DRAWS, ArvizExport, JointDraws
from skbayes.exceptions import DrawsUnavailableError
from skbayes.posteriors import ParticlePosterior
from skbayes.utils._arviz_objects import Group
from skbayes.utils._draws import check_count, seed_streams
from skbayes.utils._random import make_generator

#: Types of what samplers note in double precision.
STAT_TYPES = {"diverging": bool, "tree_depth": np.int64, "n_steps": np.int64}


class NetworkDraws(ArvizExport):
    """Mixin of networks: their draws, with the sampler's notes."""

    # Of the estimator that it is mixed into.
    _predictive: Any
    _model: Any
    _target: str
    inference_: Any
    posterior_: Any

    def _joint_draws(self, X: Any, n_samples: int | None, random_state: Any) -> JointDraws:
        seeds = seed_streams(random_state)
        draws, stats = self._draws_by_chain(n_samples, seeds["draws"])
        model = self._model()
        params = draws.flatten(0, 1).to(model.like)
        named = {name: values.numpy() for name, values in model.named(params).items()}
        joint = JointDraws(named, len(draws), stats)
        if X is None:
            return joint
        predictive, noise = self._predictive(X), make_generator(seeds["noise"])
        pushed = predictive.draws(params)
        hyper = pushed.hyper
        joint.targets = predictive.by_draw(
            pushed, lambda outputs: predictive.targets(outputs, hyper, noise)
        )
        numeric = self._target == "numeric"
        function = predictive.functions if numeric else predictive.probabilities
        values = predictive.by_draw(pushed, lambda outputs: function(outputs, hyper))
        joint.functions = {"f" if numeric else "p": values}
        joint.log_prob = lambda y: predictive.log_prob_by_draw(pushed, y)
        return joint

    def _draws_by_chain(self, n_samples: int | None, seed: int) -> tuple[Tensor, Group]:
        """Draws (n_chains, n_draws, n_params), and what was noted at them."""
        posterior = self.posterior_
        if not isinstance(posterior, ParticlePosterior):
            n_draws = N_DRAWS if n_samples is None else check_count(n_samples)
            return posterior.sample(n_draws, make_generator(seed))[None], {}
        if not posterior.monte_carlo:
            raise DrawsUnavailableError(
                f"{type(self.inference_).__name__} gives modes, not draws from a posterior; "
                "use inference='hmc', or 'laplace' for independent draws"
            )
        particles = posterior.particles
        if posterior.stopped is None:  # independent members, not chains
            particles = particles.reshape(1, -1, particles.shape[-1])
        last = particles.shape[1] - 1
        n_draws = last + 1 if n_samples is None else min(check_count(n_samples), last + 1)
        keep = np.linspace(0, last, n_draws).round().astype(int)
        stats: Group = {
            name: (("chain", "draw"), values[:, keep].astype(STAT_TYPES.get(name, np.float64)))
            for name, values in posterior.sample_stats.items()
        }
        return torch.from_numpy(particles[:, keep]), stats
