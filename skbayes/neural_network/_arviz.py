"""A network's draws as ArviZ takes them: by chain, with names, dimensions and densities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes._model import Model
from skbayes.base._estimator import as_float
from skbayes.exceptions import DrawsUnavailableError
from skbayes.posteriors import ParticlePosterior, Predictive
from skbayes.utils._arviz import Group, import_arviz, to_arviz_object
from skbayes.utils._draws import check_count, seed_streams
from skbayes.utils._random import make_generator
from skbayes.utils._threads import LimitsThreads

#: Draws of a posterior that can give any number.
N_DRAWS = 1000
#: Types of what samplers note in double precision.
STAT_TYPES = {"diverging": bool, "tree_depth": np.int64, "n_steps": np.int64}


class ArvizExport(LimitsThreads):
    """Mixin of networks: `to_arviz`."""

    def to_arviz(
        self, X: Any = None, y: Any = None, n_samples: int | None = None, random_state: Any = 0
    ) -> Any:
        """Draws by chain, with what goes with them, as an ArviZ object.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), optional
            Rows at which to draw; fitted estimators keep no data.
        y : array-like of shape (n_rows,) or (n_rows, n_targets), optional
            Their targets, for log densities and `arviz.loo`.
        n_samples : int or None, default=None
            Draws of each chain, thinned evenly; None for all. Engines whose posterior is a
            distribution (`laplace`, `mean_field_vi`, `mc_dropout`) give so many independent
            draws as one chain, 1000 for None.
        random_state : int, RandomState instance or None, default=0
            Of new targets, and of independent draws.

        Returns
        -------
        data : arviz.InferenceData, or xarray.DataTree from ArviZ 1 on
            Groups, with dimensions chain, draw and those of the variable:

            - ``posterior``: weights of each layer, ``prior_scale`` and ``noise_scale``, in
              standardised units; with X also what predictions average, ``f`` (means of
              the targets in their units) or ``p`` (class probabilities).
            - ``sample_stats``: what the sampler notes at each draw: ``step_size``, and where
              the engine has it ``lp`` (log density in the coordinates in which it moves),
              ``energy``, ``acceptance_rate``, ``diverging``, ``energy_error``,
              ``kinetic_temperature``, ``tree_depth``, ``n_steps``.
            - ``posterior_predictive``: with X, one new target ``y`` a draw; classes by their
              place in `classes_`, the labels of the dimension ``class``.
            - ``log_likelihood``: with X and y, log p(y | draw) of every row in nats and in
              the units of y, jointly over several targets. A row counts once, whatever
              its weight in the fit: `arviz.loo` leaves one copy of it out.
            - ``observed_data`` and ``constant_data``: y and X.

        Raises
        ------
        DrawsUnavailableError
            If the engine gives modes and no draws: `map`, a plain `deep_ensemble`.
        ImportError
            If arviz is not installed; the message says what to type.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skbayes import BayesianMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> reg = BayesianMLPRegressor((), inference="laplace", random_state=0).fit(X, y)
        >>> data = reg.to_arviz(X[:10], y[:10], n_samples=500)
        >>> data["log_likelihood"]["y"].shape
        (1, 500, 10)
        """
        arviz = import_arviz()
        return to_arviz_object(arviz, *self._arviz_groups(X, y, n_samples, random_state))

    def _arviz_groups(
        self, X: Any, y: Any, n_samples: int | None, random_state: Any
    ) -> tuple[dict[str, Group], dict[str, np.ndarray], dict[str, Any]]:
        """Variables of every group, labels of dimensions, attributes."""
        check_is_fitted(self)
        if X is None and y is not None:
            raise ValueError("to_arviz takes y together with X, or X alone, or neither")
        seeds = seed_streams(random_state)
        model = self._model()  # type: ignore[attr-defined]
        draws, stats = self._draws_by_chain(n_samples, seeds["draws"])
        by_chain = Chains(draws.shape[:2], self._push(model, draws.flatten(0, 1)))  # type: ignore[attr-defined]
        groups = {"posterior": by_chain.named(model), "sample_stats": stats}
        if X is not None:
            X, rows = self._inputs(X)  # type: ignore[attr-defined]
            noise = make_generator(seeds["noise"])
            groups["posterior"] |= by_chain.rows(self._arviz_function, rows, X.dtype)
            groups["posterior_predictive"] = by_chain.rows(
                lambda outputs, hyper: self._arviz_targets(outputs, hyper, noise), rows, X.dtype
            )
            groups["constant_data"] = {"X": (("row", "feature"), X)}
        if y is not None:
            targets = self._target_tensor(y, len(X))  # type: ignore[attr-defined]
            groups["log_likelihood"] = {"y": by_chain.log_density(self, rows, targets)}
            groups["observed_data"] = {"y": self._arviz_observed(y)}
        engine = type(self.inference_).__name__  # type: ignore[attr-defined]
        return groups, self._arviz_coords(), {"inference": engine}

    def _draws_by_chain(self, n_samples: int | None, seed: int) -> tuple[Tensor, Group]:
        """Draws (n_chains, n_draws, n_params), and what was noted at them."""
        posterior = self.posterior_  # type: ignore[attr-defined]
        if not isinstance(posterior, ParticlePosterior):
            n_draws = N_DRAWS if n_samples is None else check_count(n_samples)
            return posterior.sample(n_draws, make_generator(seed))[None], {}
        if not posterior.monte_carlo:
            raise DrawsUnavailableError(
                f"{type(self.inference_).__name__} gives modes, not draws from a posterior; "  # type: ignore[attr-defined]
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

    def _arviz_function(self, outputs: Tensor, hyper: Tensor) -> Group:
        """What predictions average, at rows: draws come first."""
        raise NotImplementedError(f"{type(self).__name__} must define _arviz_function")

    def _arviz_targets(self, outputs: Tensor, hyper: Tensor, noise: torch.Generator) -> Group:
        """A new target for each draw and row."""
        raise NotImplementedError(f"{type(self).__name__} must define _arviz_targets")

    def _arviz_observed(self, y: Any) -> tuple[tuple[str, ...], np.ndarray]:
        """Targets, as new ones are given."""
        raise NotImplementedError(f"{type(self).__name__} must define _arviz_observed")

    def _arviz_coords(self) -> dict[str, np.ndarray]:
        """Labels of features, and of classes."""
        labels = {"feature": "feature_names_in_", "class": "classes_"}
        return {dim: getattr(self, name) for dim, name in labels.items() if hasattr(self, name)}


class Chains:
    """Pushes draws through the network and puts what comes out back in order of chains.

    Parameters
    ----------
    shape : tuple of int
        Chains, and draws in each.
    predictive : Predictive
        Of all draws, chain after chain.
    """

    def __init__(self, shape: tuple[int, ...], predictive: Predictive) -> None:
        self.shape, self.predictive = tuple(shape), predictive

    def _in_chains(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(*self.shape, *values.shape[1:])

    def named(self, model: Model) -> Group:
        """Weights by block, scales and noise."""
        group: Group = {}
        for name, values in model.named(self.predictive.params).items():
            dims = tuple(f"{name}_dim_{i}" for i in range(values.ndim - 1))
            group[name] = (("chain", "draw", *dims), self._in_chains(values.numpy()))
        return group

    def rows(self, function: Any, rows: Any, dtype: np.dtype) -> Group:
        """Variables that ``function`` makes of outputs (S, rows, K) and hyperparameters."""
        dims: dict[str, tuple[str, ...]] = {}

        def reduce(outputs: Tensor) -> list[np.ndarray]:
            made = function(outputs, self.predictive.hyper)
            dims.update({name: names for name, (names, _) in made.items()})
            return [values.swapaxes(0, 1) for _, values in made.values()]

        found = [self._in_chains(v.swapaxes(0, 1)) for v in self.predictive.reduce(rows, reduce)]
        return {
            name: (("chain", "draw", *names), v if v.dtype.kind in "iu" else as_float(v, dtype))
            for (name, names), v in zip(dims.items(), found, strict=True)
        }

    def log_density(self, estimator: Any, rows: Any, y: Tensor) -> tuple[tuple[str, ...], Any]:
        """Log density of every row under every draw, in the units of y."""
        density = np.empty((len(self.predictive.params), len(rows)))
        for at, values in estimator._row_log_density(self.predictive, rows, y):
            density[:, at] = values.numpy()
        density += estimator._log_jacobian()
        return ("chain", "draw", "row"), self._in_chains(density)
