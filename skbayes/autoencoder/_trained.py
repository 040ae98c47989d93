"""From rows to a trained model: validation, canonical rows, the run, what is stored."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch

from skbayes.autoencoder._architecture import (
    NAMESAKES,
    NETWORK_DEFAULTS,
    PARTS,
    build_model,
)
from skbayes.autoencoder._base import RowCoder, encode_rows
from skbayes.autoencoder._context import Context
from skbayes.autoencoder._objective import Gradients, Objective
from skbayes.autoencoder._table import Table, table_of
from skbayes.base._monitor import Given, Monitor
from skbayes.data._canonical import canonical_rows, row_hash
from skbayes.data._tensors import Data, resolve_device
from skbayes.exceptions import IncompatiblePartsError
from skbayes.inference._remedies import smaller_rate
from skbayes.latent import Point, StandardNormal
from skbayes.latent._latent_model import LatentModel, Parameters, arrays, count
from skbayes.latent._normal_latents import NormalLatents
from skbayes.likelihoods import CategoricalColumns
from skbayes.networks import CNN
from skbayes.networks._specs import resolve_networks
from skbayes.training import Training
from skbayes.training._trainer import History, train
from skbayes.utils._draws import seed_streams
from skbayes.utils._parameters import Parametrised
from skbayes.utils._random import make_generator
from skbayes.utils._sklearn import check_sample_weight
from skbayes.utils._threads import limit_threads

#: What ``learning_rate="auto"`` takes.
LEARNING_RATE = 2e-3
#: Draws of codes, at least one a row, to which a prior is fitted after the training.
MOST_CODES = 10_000
#: Parameters that leave a run's bits alone.
OPERATIONAL = {"verbose", "n_score_samples", "warm_start"}


class TrainedCoder(RowCoder, Parametrised):
    """A `RowCoder` whose parameters describe networks and a table, fitted by gradient steps."""

    _registries: ClassVar[dict[str, dict[str, type]]] = PARTS
    _namesakes: ClassVar[dict[str, str]] = NAMESAKES

    # Parameters of the estimators.
    n_components: int
    prior_scale: float | None
    likelihood: Any
    verbose: int
    random_state: Any
    #: Sum of the weights of all rows of a stream.
    _weight_seen: float

    def _parts(self) -> dict[str, Any]:
        """Make and check the objects of all parts; None where there is none."""
        given = {part: getattr(self, part) for part in self._registries}
        plain = (type(None), dict)
        return {p: v if isinstance(v, plain) else self._checked_part(p) for p, v in given.items()}

    def _describe(self, parts: dict[str, Any], n_features: int) -> dict[str, Any]:
        """Resolve all that decides the networks."""
        encoder, decoder = resolve_networks(
            parts["encoder"], parts["decoder"], NETWORK_DEFAULTS, n_features
        )
        for part, spec in (("encoder", encoder), ("decoder", decoder)):
            of_several_kinds = isinstance(parts["likelihood"], dict | CategoricalColumns)
            if isinstance(spec, CNN) and of_several_kinds:
                raise IncompatiblePartsError(
                    f"{part}=CNN(...) does not go with likelihood={self.likelihood!r}; pixels "
                    "have one kind, use 'gaussian' or 'bernoulli'"
                )
        return {
            "n_components": int(self.n_components),
            "encoder": encoder,
            "decoder": decoder,
            # Widths that nothing trains are left out.
            "bottleneck": Point(),
            "trains_widths": False,
            "latent_prior": StandardNormal(),
            "allow_missing": bool(self.allow_missing),
        }

    def _objective(self, model: LatentModel, parts: dict[str, Any]) -> Objective:
        """The loss of a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define _objective")

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, further: bool, streaming: bool
    ) -> tuple[Data, float]:
        """Train on rows; returns them as the networks see them, and their total weight.

        Parameters
        ----------
        X, y, sample_weight
            As `fit` takes them.
        further : bool
            Go on from the fitted parameters.
        streaming : bool
            One pass over the rows at a constant rate.
        """
        parts = self._parts()
        scored = Given(X, y if getattr(self, "condition_on_y", False) else None, sample_weight)
        X = self._validated(X, reset=not further)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        context, given = self._context_of(X, y, weight, further)
        dtype = X.dtype
        X, given, weight = _canonical(X, given, weight)
        architecture = self._describe(parts, X.shape[1])
        asked = table_of(self, X.shape[1])
        if further:
            self._check_same_table(asked)
        table = self._table if further else asked.fit(X, weight)
        rows = _ordered(encode_rows(table, X, given, weight / weight.mean()))
        model = build_model(architecture, table, context)
        seeds = seed_streams(self.random_state)
        start = self._start(model, rows, make_generator(seeds["init"]), further)
        # Rows of a stream that went before share the prior with these.
        before = self._weight_seen if further and streaming else 0.0
        total = before + float(weight.sum())
        objective = self._objective(model, parts)
        if further:  # codes in use need no warming up
            objective = replace(objective, warm_up=0.0)
        known = {
            "_architecture": architecture,
            "_table": table,
            "_context": context,
            "_dtype": str(dtype),
            "_seed": seeds["evidence"],
            "n_components_": architecture["n_components"],
        }

        def attributes(state: Parameters) -> dict[str, Any]:
            return {**known, "_parameters": arrays(state)}

        name = type(self).__name__
        with Monitor(name, self.verbose, self, scored, attributes) as monitor:
            trained, n_iter, history = self._train(
                parts, objective, rows, start, seeds["training"], total, streaming, monitor
            )
            self.__dict__.update(known)
            self._weight_seen = total
            self._parameters = arrays(trained)
            self.n_iter_: int = n_iter + (self.n_iter_ if further else 0)
            self.loss_curve_, self.converged_ = np.array(history.losses), history.converged
            self._refit_prior(model, rows, total, seeds["init"])
            monitor.ended({})
        return rows, total

    def _check_same_table(self, asked: Table) -> None:
        """Refuse to go on with rows encoded otherwise than the parameters now say."""
        before = self._table.options
        changed = [name for name, now in asked.options.items() if now != before[name]]
        if changed:
            raise ValueError(
                f"further training keeps the columns of the first fit, which "
                f"{changed[0]}={getattr(self, changed[0])!r} would change; call fit with "
                "warm_start=False to start anew"
            )

    def _context_of(
        self, X: np.ndarray, y: Any, weight: np.ndarray, further: bool
    ) -> tuple[Context | None, np.ndarray | None]:
        """The encoding of targets, and its columns, of a conditional model."""
        if not getattr(self, "condition_on_y", False):
            return None, None
        if y is None:
            raise ValueError(
                "condition_on_y=True needs targets: give y to fit, or set condition_on_y=False"
            )
        context = self._context if further else Context().fit(y, weight)
        assert context is not None
        return context, context.encode(y, len(X))

    def _start(
        self, model: LatentModel, rows: Data, generator: torch.Generator, further: bool
    ) -> Parameters:
        """Random parameters, or those of the last fit."""
        start = model.init(rows, generator)
        if not further:
            return start
        earlier = self._tensors()
        if model.prior.refits:  # after the training, from its own beginning
            earlier = {k: v for k, v in earlier.items() if not k.startswith("prior_")}
        if {k: v.shape for k, v in earlier.items()} != {k: v.shape for k, v in start.items()}:
            raise ValueError(
                "the networks of the first fit have other sizes than the parameters ask for; "
                "call fit with warm_start=False to start anew"
            )
        return earlier

    def _train(
        self,
        parts: dict[str, Any],
        objective: Objective,
        rows: Data,
        start: Parameters,
        seed: int,
        total: float,
        streaming: bool,
        monitor: Monitor,
    ) -> tuple[Parameters, int, History]:
        """Minimise from a start; returns the parameters, the steps, and how it went."""
        training: Training = parts["training"]
        learning_rate = training.rate(default=LEARNING_RATE)
        batch = min(training.batch_size, len(rows))
        per_epoch, model = max(1, len(rows) // batch), objective.model
        work = 6.0 * batch * count(start)
        device = resolve_device(training.device, work)
        precision = None
        if (scale := self.prior_scale) is not None:
            precision = model.precision(scale).to(device) / total
        generator, rows = make_generator(seed, device), rows.to(device)
        max_iter = per_epoch if streaming else training.n_steps(per_epoch)
        with limit_threads(work), ExitStack() as stack:
            deciding = (
                type(self),
                {**self._plain_parameters(), **parts, "training": None},
                (rows.X, rows.observed, rows.context, rows.weight, start, max_iter, streaming),
            )
            return train(
                {name: value.to(rows.X) for name, value in start.items()},
                Gradients(objective, model.network, generator, precision),
                rows,
                batch_size=batch,
                generator=generator,
                engine=type(self).__name__,
                remedy=smaller_rate(learning_rate, "training__learning_rate"),
                max_iter=max_iter,
                learning_rate=learning_rate,
                tol=0.0 if streaming else training.tol,
                monitor=monitor,
                rate="constant" if streaming else "held",
                warm_up=objective.warm_up,
                checkpoint=training.files(
                    stack,
                    deciding,
                    generator,
                    repeatable=self.random_state is not None,
                ),
            )

    def _refit_prior(self, model: LatentModel, rows: Data, total: float, seed: int) -> None:
        """Replace the prior by what it makes of draws of the trained codes.

        A merged row gives a draw for each of the rows that it stands for, while there are
        few: one heavy draw would look like a cluster.
        """
        if not model.prior.refits:
            return
        generator = make_generator(seed)
        encoded = self._encode(rows)
        mean, root = encoded.mean.float(), encoded.root.float()
        weight = rows.weight * (total / float(rows.weight.sum()))
        most = max(1, MOST_CODES // len(rows))
        n_draws = weight.round().clamp(1, most).long()
        of_row = torch.arange(len(rows)).repeat_interleave(n_draws)
        noise = torch.randn(len(of_row), mean.shape[1], generator=generator)
        codes = NormalLatents(mean[of_row], root[of_row]).draw(noise)
        weight = (weight / n_draws)[of_row]
        found = model.prior.refit(codes, weight, generator)
        if found is not None:
            self._parameters |= {f"prior_{name}": v.numpy() for name, v in found.items()}

    def _plain_parameters(self) -> dict[str, Any]:
        """Parameters that decide the steps of a run."""
        params = self.get_params(deep=False)
        return {name: value for name, value in params.items() if name not in OPERATIONAL}


def _canonical(
    X: np.ndarray, given: np.ndarray | None, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Equal rows merged, their weights summed; missing values are equal to one another."""
    missing = np.isnan(X)
    n_given = 0 if given is None else given.shape[1]
    beside = missing if given is None else np.column_stack([missing, given])
    filled = np.where(missing, 0.0, X)
    filled, beside, weight = canonical_rows(filled, beside.astype(np.float64), weight)
    X = np.where(beside[:, : X.shape[1]] > 0, np.nan, filled)
    return X, beside[:, X.shape[1] :] if n_given else None, weight


def _ordered(rows: Data) -> Data:
    """Rows in an order that follows from what the networks see, whatever the units of X."""
    parts = [rows.X, rows.observed, rows.context]
    content = np.column_stack([part.numpy() for part in parts if part is not None])
    order = np.argsort(row_hash(content.astype(np.float64) + 0.0), kind="stable")
    return rows.rows(torch.from_numpy(order))
