"""Reports a long fit to whoever listens: a tqdm bar, scikit-learn callbacks, or nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm

from skbayes.utils._sklearn import has_callbacks

#: Reports of a fit whose steps were announced, however many they are.
N_REPORTS = 50

Numbers = dict[str, float]


class Monitor:
    """Counts the steps of an engine, and has its numbers shown fifty times.

    Parameters
    ----------
    name : str
        Shown beside the bar.
    verbose : int
        1 for a progress bar on standard error.
    estimator : estimator or None
        Whose scikit-learn callbacks are told, if it has any.

    Examples
    --------
    >>> from skbayes.utils._monitor import Monitor
    >>> monitor = Monitor()
    >>> monitor.plan(30)
    >>> monitor.start(10)
    >>> monitor.update(10), monitor.n_left
    (False, 20)
    """

    def __init__(self, name: str = "", verbose: int = 0, estimator: Any = None) -> None:
        self.name, self.verbose, self.estimator = name, verbose, estimator
        self._bar: tqdm | None = None
        self._context = None
        if estimator is not None and hasattr(estimator, "_init_callback_context"):
            self._context = estimator._init_callback_context(max_subtasks=N_REPORTS)
            self._context.call_on_fit_task_begin(estimator=estimator)
        self._heard = self._context is not None and has_callbacks(self._context)
        self._planned = self._total = self._done = 0
        self._reported, self._n_reports = 0, N_REPORTS
        #: Reports and steps at the last start, from where reports are spread evenly.
        self._since = (0, 0)
        self._shown: Numbers = {}
        self.stopped = False

    @property
    def n_left(self) -> int:
        """Announced steps that are still to come."""
        return self._total - self._done

    def plan(self, total: int) -> None:
        """Announce the steps of all phases to come, so that the first is not taken for all."""
        self._planned, self._total = total, self._done + total

    def start(self, total: int) -> None:
        """Begin a phase of so many steps, planned or not."""
        left = max(self._planned, total)
        self._planned, self._total = left - total, self._done + left
        if self._reported >= self._n_reports:
            # Longer than was said: reports go on, as dense as before.
            self._n_reports += max(1, min(N_REPORTS, N_REPORTS * left // max(self._done, 1)))
            if self._context is not None:
                self._context.max_subtasks = self._n_reports
        self._since = (self._reported, self._done)
        if not self.verbose:
            return
        if self._bar is None:
            self._bar = tqdm(total=0, desc=self.name, leave=True)
        self._bar.total = self._total
        self._bar.refresh()

    def update(self, n: int = 1, numbers: Callable[[Numbers], Numbers] = dict) -> bool:
        """Count steps; True if a callback asks to stop.

        ``numbers`` makes what is to be shown from what was shown last, and is called only
        where somebody listens and a report is due.
        """
        self._done += n
        if self._bar is not None:
            self._bar.update(n)
        if self._bar is None and not self._heard:
            return False
        reported, done = self._since
        due = reported + (self._n_reports - reported) * (self._done - done) // (self._total - done)
        stop = False
        if due > self._reported:
            self._show(numbers(self._shown))
        while self._reported < min(due, self._n_reports):
            self._reported += 1
            stop = self._tell() or stop
        self.stopped |= stop
        return stop

    def _show(self, numbers: Numbers) -> None:
        self._shown = numbers
        if self._bar is not None:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in numbers.items()}, refresh=False)

    def _tell(self) -> bool:
        """Let the callbacks hear of a part of the fit; True if one asks to stop."""
        if self._context is None or not self._heard:
            return False
        task = self._context.subcontext(task_name="step")
        metadata = {**self._shown, "step": self._done, "n_steps": self._total}
        task.call_on_fit_task_begin(estimator=self.estimator)
        return bool(task.call_on_fit_task_end(estimator=self.estimator, metadata=metadata))

    def close(self) -> None:
        """End the bar and the callbacks' task."""
        if self._bar is not None:
            self._bar.close()
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self.estimator)
