"""Training by gradients: the trainer, batches, optimiser, and runs that go on to the same bits."""
