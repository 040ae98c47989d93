"""How networks are trained, as a part of an estimator."""

from __future__ import annotations

import os
from contextlib import ExitStack
from numbers import Integral, Real
from typing import Any

import torch

from skbayes.exceptions import CheckpointError
from skbayes.training._batches import Batches
from skbayes.training._checkpoint import CheckpointStore
from skbayes.training._encoding import digest
from skbayes.training._resuming import CHECKPOINT_CONSTRAINTS, Checkpoint, FileCheckpoint
from skbayes.training._trainer import Training as TrainingState
from skbayes.utils._parameters import Parametrised
from skbayes.utils._sklearn import Interval, StrOptions

_POSITIVE = Interval(Integral, 1, None, closed="left")
#: ``max_iter="auto"``: at least so many steps, and passes over the rows.
AUTO_STEPS, AUTO_EPOCHS = 3000, 30


class Training(Parametrised):
    """Training of an autoencoder's networks: steps of Adam, one a batch of rows.

    Parameters
    ----------
    max_iter : int or "auto", default="auto"
        Steps, one a batch; "auto" takes 3000, or 30 passes over the rows if that is more.
    learning_rate : float or "auto", default="auto"
        Rate of Adam, which falls to zero along a cosine over the second half of the steps;
        "auto" takes 2e-3, and 5e-3 in `skbayes.SemiSupervisedVAEClassifier`.
    batch_size : int, default=128
        Rows of a batch.
    tol : float, default=0.0
        Training ends once the loss falls by less than this share over a tenth of the
        steps; 0 takes all of them.
    checkpoint : str, path-like or None, default=None
        Folder of files from which a stopped `fit` goes on, to the same bits; needs an
        integer ``random_state``.
    checkpoint_every : int, default=1000
        Steps between two of them.
    device : str, default="auto"
        Torch device to train on; "auto" takes CUDA for large work, else the CPU.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VAETransformer
    >>> from skbayes.training import Training
    >>> training = Training(max_iter=200, learning_rate=0.01)
    >>> vae = VAETransformer(2, training=training, random_state=0).fit(load_iris().data)
    >>> vae.n_iter_
    200
    >>> vae.set_params(training__max_iter=100).fit(load_iris().data).n_iter_
    100
    """

    _parameter_constraints: dict = {
        "max_iter": [StrOptions({"auto"}), _POSITIVE],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "batch_size": [_POSITIVE],
        "tol": [Interval(Real, 0, None, closed="left")],
        **CHECKPOINT_CONSTRAINTS,
        "device": [str],
    }

    def __init__(
        self,
        max_iter: int | str = "auto",
        learning_rate: float | str = "auto",
        batch_size: int = 128,
        tol: float = 0.0,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
        device: str = "auto",
    ) -> None:
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.tol = tol
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.device = device

    def n_steps(self, per_epoch: int) -> int:
        """Count the steps of a whole run, of which ``per_epoch`` pass over the canonical rows."""
        if self.max_iter == "auto":
            return max(AUTO_STEPS, AUTO_EPOCHS * per_epoch)
        return int(self.max_iter)

    def rate(self, default: float) -> float:
        """Resolve the learning rate."""
        return default if self.learning_rate == "auto" else float(self.learning_rate)

    def files(
        self, stack: ExitStack, deciding: Any, generator: torch.Generator, repeatable: bool
    ) -> Checkpoint:
        """Open the run's files, if it keeps any.

        Parameters
        ----------
        stack : ExitStack
            Closes them.
        deciding : object
            What decides the steps beside these parameters: by its content they are found.
        generator : torch.Generator
            The run's.
        repeatable : bool
            Whether another run would be given the same generator.

        Returns
        -------
        checkpoint : Checkpoint

        Raises
        ------
        CheckpointError
            If the run is not repeatable.
        """
        if self.checkpoint is None:
            return Checkpoint()
        if not repeatable:
            raise CheckpointError(
                f"checkpoint={str(self.checkpoint)!r} needs an integer random_state: with "
                "random_state=None every fit is a new run; set random_state=0"
            )
        own = {k: v for k, v in self.get_params().items() if k not in CHECKPOINT_CONSTRAINTS}
        found = digest(own, deciding, generator.get_state())[:32]
        store = stack.enter_context(CheckpointStore(self.checkpoint, found))
        types = (TrainingState, Batches)
        return FileCheckpoint(store, types, generator, self.checkpoint_every)


#: Trainings by the names that autoencoders accept.
TRAININGS: dict[str, type[Training]] = {"adam": Training}
