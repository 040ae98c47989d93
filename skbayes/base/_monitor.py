"""Reports a long fit to whoever listens: a tqdm bar, scikit-learn callbacks, or nobody."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from skbayes.utils._sklearn import end_step, has_callbacks

#: Reports of a fit whose steps were announced, however many they are.
N_REPORTS = 50

Numbers = dict[str, float]


@dataclass(frozen=True)
class Given:
    """What a callback scores an estimator on: the rows, targets and weights of the fit.

    Without targets, rows stand for them: a score of densities takes none, one of
    reconstructions compares with the rows.
    """

    X: Any
    y: Any = None
    sample_weight: Any = None

    def told(self, attributes: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Arguments of scikit-learn's hooks; the attributes are made if a callback asks."""
        weighted = self.y is not None and self.sample_weight is not None
        return {
            "X": self.X,
            "y": self.X if self.y is None else self.y,
            "metadata": {"sample_weight": self.sample_weight} if weighted else None,
            "reconstruction_attributes": attributes,
        }


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
    given : Given or None
        What the estimator is scored on.
    attributes : callable
        The fitted attributes that make an estimator of a state of the run.

    Examples
    --------
    >>> from skbayes.base._monitor import Monitor
    >>> monitor = Monitor()
    >>> monitor.plan(30)
    >>> monitor.start(10)
    >>> monitor.update(10), monitor.n_left
    (False, 20)
    """

    def __init__(
        self,
        name: str = "",
        verbose: int = 0,
        estimator: Any = None,
        given: Given | None = None,
        attributes: Callable[[Any], dict[str, Any]] = dict,
    ) -> None:
        self.name, self.verbose, self.estimator = name, verbose, estimator
        self.given, self.attributes = given, attributes
        self._bar: Any = None
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
        self._fitted: dict[str, Any] | None = None
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
            from tqdm.auto import tqdm

            self._bar = tqdm(total=0, desc=self.name, leave=True)
        self._bar.total = self._total
        self._bar.refresh()

    def update(
        self,
        n: int = 1,
        numbers: Callable[[Numbers], Numbers] = dict,
        state: Callable[[], Any] | None = None,
    ) -> bool:
        """Count steps; True if a callback asks to stop.

        ``numbers`` makes what is to be shown from what was shown last, and is called only
        where somebody listens and a report is due; ``state``, what `attributes` takes, only
        where a callback asks for an estimator.
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
            last = self._reported == min(due, self._n_reports)
            stop = self._tell(state if last else None) or stop
        self.stopped |= stop
        return stop

    def step(self, state: Any) -> bool:
        """Count a step of a run whose length nobody knows; reports grow rarer as it goes on."""
        if self.n_left <= 0:
            self.start(max(N_REPORTS, self._done))
        return self.update(1, dict, lambda: state)

    def reading(self, attributes: Callable[[Any], dict[str, Any]]) -> Monitor:
        """The monitor for a part of the fit whose states are of another kind."""
        part = copy(self)
        part.attributes = attributes
        return part

    def _show(self, numbers: Numbers) -> None:
        self._shown = numbers
        if self._bar is not None:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in numbers.items()}, refresh=False)

    def _tell(self, state: Callable[[], Any] | None) -> bool:
        """Let the callbacks hear of a part of the fit; True if one asks to stop."""
        if self._context is None or not self._heard:
            return False
        numbers = {**self._shown, "step": self._done, "n_steps": self._total}
        fitted: dict[str, Any] = {}
        if state is not None and self.given is not None:
            fitted = self.given.told(lambda: self.attributes(state()))
        return end_step(self._context, self.estimator, numbers, fitted)

    def ended(self, fitted: dict[str, Any]) -> None:
        """Take the fitted attributes of a fit that succeeded, for its last report."""
        self._fitted = fitted
        if self._bar is not None:  # steps that were announced and not needed
            self._bar.total = self._done
            self._bar.refresh()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *raised: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the bar and the callbacks' task."""
        if self._bar is not None:
            self._bar.close()
        if self._context is not None:
            fitted, told = self._fitted, dict[str, Any]()
            if self.given is not None and fitted is not None:
                told = self.given.told(lambda: fitted)
            self._context.call_on_fit_task_end(estimator=self.estimator, **told)
