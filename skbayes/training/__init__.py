"""Training by gradients: the trainer, batches, optimiser, and runs that go on to the same bits."""

from skbayes.training._settings import TRAININGS, Training

#: Classes that may stand in a file.
STATE: tuple[type, ...] = (*TRAININGS.values(),)

__all__ = ["TRAININGS", "Training"]
