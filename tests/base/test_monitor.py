"""Reports are spread over the whole of a fit, and cost nothing where nobody listens."""

import pytest

from skbayes.base._monitor import N_REPORTS, Monitor


class Context:
    """As much of scikit-learn's callback context as a monitor uses."""

    def __init__(self, stop_at=None):
        self.max_subtasks, self.heard, self.stop_at = N_REPORTS, [], stop_at
        self._callbacks = [self]

    def subcontext(self, task_name):
        assert task_name == "step"
        assert len(self.heard) < self.max_subtasks, "scikit-learn refuses a further task"
        return self

    def call_on_fit_task_begin(self, estimator):
        return self

    def on_fit_task_end(self, estimator, context, *, metadata):
        """What it is told as a callback comes by `call_on_fit_task_end`."""

    def call_on_fit_task_end(self, estimator, metadata=None):
        if metadata is not None and self._callbacks:
            self.heard.append(metadata)
        return len(self.heard) == self.stop_at


class Told:
    """An estimator with callbacks."""

    def __init__(self, **params):
        self.context = Context(**params)

    def _init_callback_context(self, max_subtasks):
        return self.context


def run(monitor, n_steps, size=1):
    for _ in range(n_steps // size):
        monitor.update(size)


def steps(told):
    return [metadata["step"] for metadata in told.context.heard]


@pytest.mark.parametrize("phases", [(1000,), (300, 700), (10, 20, 70), (7, 33)])
def test_planned_phases_share_the_reports(phases):
    told, total = Told(), sum(phases)
    monitor = Monitor(estimator=told)
    monitor.plan(total)
    for phase in phases:
        monitor.start(phase)
        run(monitor, phase)
    heard = steps(told)
    assert len(heard) == N_REPORTS
    assert heard[-1] == total
    # As dense in each phase as in the whole.
    for at, phase in zip([0, *phases], phases, strict=False):
        within = sum(at < step <= at + phase for step in heard)
        assert abs(within - N_REPORTS * phase / total) <= len(phases)
    assert all(metadata["n_steps"] == total for metadata in told.context.heard)


def test_a_phase_that_ends_early_leaves_its_reports_to_the_next():
    told = Told()
    monitor = Monitor(estimator=told)
    monitor.plan(600)
    monitor.start(300)
    run(monitor, 100)
    monitor.plan(300)
    monitor.start(300)
    assert monitor.n_left == 300
    run(monitor, 300)
    assert len(steps(told)) == N_REPORTS
    assert sum(step > 100 for step in steps(told)) > 0.8 * N_REPORTS


def test_a_fit_that_is_lengthened_goes_on_reporting():
    told = Told()
    monitor = Monitor(estimator=told)
    for phase in (200, 100, 100):
        monitor.plan(phase)
        monitor.start(phase)
        run(monitor, phase)
    heard = steps(told)
    assert [sum(low < step <= low + 100 for step in heard) for low in (0, 100, 200, 300)] == [
        25,
        25,
        25,
        16,
    ]
    assert heard[-1] == 400


def test_a_callback_can_stop_a_lengthened_fit():
    monitor = Monitor(estimator=Told(stop_at=N_REPORTS + 3))
    monitor.start(100)
    assert not any(monitor.update() for _ in range(100))
    monitor.start(50)
    assert any(monitor.update() for _ in range(50))
    assert monitor.stopped


def test_numbers_are_made_only_for_listeners_and_when_due():
    calls = []

    def numbers(shown):
        calls.append(shown)
        return {"loss": float(len(calls))}

    deaf = Monitor()
    deaf.start(500)
    for _ in range(500):
        assert not deaf.update(1, numbers)
    told = Told()
    told.context._callbacks = []  # an estimator that could be heard, and is not
    unheard = Monitor(estimator=told)
    unheard.start(500)
    for _ in range(500):
        assert not unheard.update(1, numbers)
    assert calls == told.context.heard == []
    told = Told()
    monitor = Monitor(estimator=told)
    monitor.start(500)
    for _ in range(500):
        monitor.update(1, numbers)
    assert len(calls) == N_REPORTS
    assert calls[1] == {"loss": 1.0}, "what was shown last"
    assert [metadata["loss"] for metadata in told.context.heard] == [*map(float, range(1, 51))]


def test_a_bar_shows_the_numbers(capsys):
    monitor = Monitor("HMC", verbose=1)
    monitor.plan(20)
    monitor.start(5)
    run(monitor, 5)
    monitor.start(15)
    for _ in range(15):
        monitor.update(1, lambda shown: {"step_size": 0.123456, "r_hat": 1.0123})
    monitor.close()
    err = capsys.readouterr().err
    assert "HMC: 100%" in err
    assert "20/20" in err
    assert "step_size=0.1235, r_hat=1.012" in err
