"""Runs that end before their schedule: patience, time, signals, and handlers of signals that stay as they were."""

import json
import os
import signal
import time

import pytest

from hyperopt_hn import Alternation
from hyperopt_hn.stopping import Interrupted, signals
from tests.support.recording import RecordingTuner, run


def test_patience_stops(tmp_path):
    plan = Alternation(steps=50, tune_per_cycle=0, evaluate_every=1, patience=3)
    _, outcome = run(tmp_path / "r", plan, RecordingTuner(losses=[5.0, 3.0, 4.0]))
    assert outcome.reason == "patience" and outcome.steps == 4 and "3 evaluations" in outcome.sentence


def test_time_stops(tmp_path):
    plan = Alternation(steps=10**9, tune_per_cycle=0, evaluate_every=10, max_seconds=0.05)
    _, outcome = run(tmp_path / "r", plan)
    assert outcome.reason == "time" and outcome.steps % 10 == 0


def test_interrupt_is_a_keyboard_interrupt(tmp_path):
    class Stopping(RecordingTuner):
        def train_step(self):
            os.kill(os.getpid(), signal.SIGINT)
            return super().train_step()

    with pytest.raises(Interrupted, match="after step 1; saved"):
        run(tmp_path / "r", Alternation(steps=5), Stopping())
    assert json.loads((tmp_path / "r" / "config.json").read_text())["experiment"] == "walk"
    tuner, _ = run(tmp_path / "r", Alternation(steps=5), resume=True)
    assert len(tuner.calls) == 9


def test_a_handler_that_was_not_set_from_python_stays(tmp_path, monkeypatch):
    """signal.getsignal gives None for one; it could not be put back after the run."""
    seen = []
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGTERM else signal.SIG_DFL)
    monkeypatch.setattr(signal, "signal", lambda number, handler: seen.append(number))
    run(tmp_path / "r", Alternation(steps=2))
    assert set(seen) == {signal.SIGINT, signal.SIGUSR1, signal.SIGHUP}


def test_a_hosts_own_handler_of_sigusr1_stays(tmp_path):
    heard = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:

        class Signalled(RecordingTuner):
            def train_step(self):
                os.kill(os.getpid(), signal.SIGUSR1)
                return super().train_step()

        _, outcome = run(tmp_path / "r", Alternation(steps=2, tune_per_cycle=0), Signalled())
        assert heard == [signal.SIGUSR1] * 2 and outcome.steps == 2
    finally:
        signal.signal(signal.SIGUSR1, old)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")
def test_a_terminal_that_closes_is_heard_once_though_system_and_shell_both_say_it():
    with signals(0.0) as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.0)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
