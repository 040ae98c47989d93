"""Training by gradients: the trainer, batches, optimiser, and runs that go on to the same bits."""

from skbayes.training._settings import TRAININGS, Training

__all__ = ["TRAININGS", "Training"]
