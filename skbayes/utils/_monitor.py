"""Reports a long fit to whoever listens: a tqdm bar, scikit-learn callbacks, or nobody."""

from __future__ import annotations

from tqdm.auto import tqdm

#: Callbacks hear of a fit this often, however many steps it takes.
N_REPORTS = 50


class Monitor:
    """Counts the steps of an engine.

    Parameters
    ----------
    name : str
        Shown beside the bar.
    verbose : int
        1 for a progress bar on standard error.
    estimator : estimator or None
        Whose scikit-learn callbacks are told, if it has any.
    """

    def __init__(self, name: str = "", verbose: int = 0, estimator=None) -> None:
        self.name, self.verbose, self.estimator = name, verbose, estimator
        self._bar: tqdm | None = None
        self._context = None
        if estimator is not None and hasattr(estimator, "_init_callback_context"):
            self._context = estimator._init_callback_context(max_subtasks=N_REPORTS)
            self._context.call_on_fit_task_begin(estimator=estimator)
        self._total = self._done = self._reported = 0
        self.stopped = False

    def start(self, total: int) -> None:
        """Announce so many further steps."""
        self._total += total
        if not self.verbose:
            return
        if self._bar is None:
            self._bar = tqdm(total=0, desc=self.name, leave=True)
        self._bar.total = self._total
        self._bar.refresh()

    def update(self, n: int = 1, **numbers: float) -> bool:
        """Count steps, show numbers; True if a callback asks to stop."""
        self._done += n
        if self._bar is not None:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in numbers.items()}, refresh=False)
            self._bar.update(n)
        stop = False
        if self._context is not None:
            while self._reported < min(N_REPORTS, N_REPORTS * self._done // self._total):
                self._reported += 1
                task = self._context.subcontext(task_name="step")
                task.call_on_fit_task_begin(estimator=self.estimator)
                stop = bool(task.call_on_fit_task_end(estimator=self.estimator)) or stop
        self.stopped |= stop
        return stop

    def close(self) -> None:
        """End the bar and the callbacks' task."""
        if self._bar is not None:
            self._bar.close()
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self.estimator)
