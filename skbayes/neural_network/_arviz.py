"""A network's draws as ArviZ takes them: by chain, with names, dimensions and densities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skbayes.base._predictive import as_float
from skbayes.exceptions import DrawsUnavailableError
from skbayes.posteriors import ParticlePosterior
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

    # Of the estimator that it is mixed into.
    _predictive: Any
    _encode_targets: Any
    _inputs: Any
    _model: Any
    _target: str
    _y_ndim: int
    inference_: Any
    posterior_: Any

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
        draws, stats = self._draws_by_chain(n_samples, seeds["draws"])
        model, shape = self._model(), tuple(draws.shape[:2])
        params = draws.flatten(0, 1).to(model.like)

        def variable(values: np.ndarray, *dims: str) -> tuple[tuple[str, ...], np.ndarray]:
            return ("chain", "draw", *dims), values.reshape(*shape, *values.shape[1:])

        posterior = {
            name: variable(values.numpy(), *(f"{name}_dim_{i}" for i in range(values.ndim - 1)))
            for name, values in model.named(params).items()
        }
        groups: dict[str, Group] = {"posterior": posterior, "sample_stats": stats}
        if X is not None:
            predictive, noise = self._predictive(X), make_generator(seeds["noise"])
            pushed = predictive.draws(params)

            def by_draw(function: Any, *arguments: Any) -> np.ndarray:
                values = predictive.by_draw(
                    pushed, lambda outputs: function(outputs, pushed.hyper, *arguments)
                )
                return as_float(values, predictive.dtype) if values.dtype.kind == "f" else values

            targets = by_draw(predictive.targets, noise)
            if self._target == "numeric":
                functions, dims = self._by_target(by_draw(predictive.functions))
                posterior["f"] = variable(functions, *dims)
                targets, dims = self._by_target(targets)
                groups["posterior_predictive"] = {"y": variable(targets, *dims)}
            else:
                posterior["p"] = variable(by_draw(predictive.probabilities), "row", "class")
                groups["posterior_predictive"] = {"y": variable(targets, "row")}
            groups["constant_data"] = {"X": (("row", "feature"), self._inputs(X)[0])}
        if y is not None:
            coded = self._encode_targets(y, len(X))
            density = predictive.log_prob_by_draw(pushed, coded)
            groups["log_likelihood"] = {"y": variable(density, "row")}
            observed, dims = (coded, ("row",)) if coded.ndim == 1 else self._by_target(coded)
            groups["observed_data"] = {"y": (dims, observed)}
        engine = type(self.inference_).__name__
        return groups, self._arviz_coords(), {"inference": engine}

    def _by_target(self, values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Numbers (..., row, T), and the names of their last dimensions."""
        if self._y_ndim == 1:
            return values[..., 0], ("row",)
        return values, ("row", "target")

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

    def _arviz_coords(self) -> dict[str, np.ndarray]:
        """Labels of features, and of classes."""
        labels = {"feature": "feature_names_in_", "class": "classes_"}
        return {dim: getattr(self, name) for dim, name in labels.items() if hasattr(self, name)}
