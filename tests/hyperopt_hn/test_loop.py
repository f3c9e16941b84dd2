"""The loop: schedules, records, best, stops, and resuming after a kill at any moment."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperopt_hn import Alternation, NonFiniteError, Run, RunLog, UserError, alternate
from hyperopt_hn.files import states
from hyperopt_hn.runs.display.progress import Progress
from tests.support.paths import ROOT
from tests.support.recording import CONFIG, RecordingTuner, run


def test_record_holds_every_evaluation_and_the_best(tmp_path):
    plan = Alternation(steps=5, tune_per_cycle=0, evaluate_every=2)
    tuner = RecordingTuner(losses=[5.0, 3.0, 4.0, 6.0])
    _, outcome = run(tmp_path / "r", plan, tuner)
    read = Run(tmp_path / "r")
    assert read.steps.tolist() == [0, 2, 4, 5]
    assert read.column("valid_loss").tolist() == [5.0, 3.0, 4.0, 6.0]
    assert outcome.best["step"] == 2 and outcome.final["step"] == 5 and read.finished
    assert read.column("hypers/all/mean").shape == (4,)
    assert len(read.seconds) == 4 and np.isfinite(read.seconds).all()


def test_nan_stops_at_its_step_and_keeps_the_checkpoint(tmp_path):
    plan = Alternation(steps=50, tune_per_cycle=0, evaluate_every=4)
    with pytest.raises(NonFiniteError, match=r"train_loss became nan at step 7 with x0=.*checkpoint"):
        run(tmp_path / "r", plan, RecordingTuner(nan_at=7))
    tuner, outcome = run(tmp_path / "r", plan, resume=True)
    assert len(tuner.calls) == 46 and outcome.steps == 50


def test_refusals(tmp_path):
    plan = Alternation(steps=2)
    run(tmp_path / "r", plan)
    with pytest.raises(UserError, match="finished run; use overwrite=True"):
        run(tmp_path / "r", plan)
    with pytest.raises(UserError, match="finished run"):
        run(tmp_path / "r", plan, resume=True)
    run(tmp_path / "r", plan, overwrite=True)
    (tmp_path / "r" / "result.json").unlink()
    with pytest.raises(UserError, match="unfinished run; use resume=True"):
        run(tmp_path / "r", plan)
    with pytest.raises(UserError, match="steps was 1, now 2"):
        RunLog(tmp_path / "r", {**CONFIG, "config": {"steps": 2}}, resume=True)
    with pytest.raises(UserError, match="experiment was 'walk', now 'other'"):
        RunLog(tmp_path / "r", {**CONFIG, "experiment": "other"}, resume=True)


def test_nothing_is_written_beside_foreign_files(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="other files"):
        RunLog(tmp_path / "r", CONFIG)
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["thesis.tex"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="not a directory"):
        RunLog(tmp_path / "file", CONFIG)
    with pytest.raises(UserError, match="cannot write"):
        RunLog(Path("/proc/none/run"), CONFIG)


def test_a_run_in_use_is_refused(tmp_path):
    first = RunLog(tmp_path / "r", CONFIG)
    with pytest.raises(UserError, match="in use"):
        RunLog(tmp_path / "r", CONFIG, resume=True)
    first.close()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "newer", "wrong shape"])
def test_damaged_checkpoints_are_refused(tmp_path, damage, monkeypatch):
    plan = Alternation(steps=20, tune_per_cycle=0, evaluate_every=2)
    with pytest.raises(NonFiniteError):
        run(tmp_path / "r", plan, RecordingTuner(nan_at=9))
    file = tmp_path / "r" / "checkpoint.npz"
    data = file.read_bytes()
    (tmp_path / "r" / "checkpoint.previous.npz").write_bytes(b"neither is this one")
    if damage == "newer":
        monkeypatch.setattr(states, "FORMAT", 9)
        with open(file, "wb") as out:
            states.save_state(out, {})
        monkeypatch.undo()
    elif damage == "wrong shape":
        from hyperopt_hn.files.states import load_state, save_state

        whole = load_state(file)
        del whole["state"]["tuner"]["rng"]
        with open(file, "wb") as out:
            save_state(out, whole)
    else:
        file.write_bytes({"truncate": data[:-200], "flip": data[:150] + b"\xff" + data[151:], "empty": b"",
                          "foreign": b"PK\x05\x06" + bytes(18)}[damage])  # fmt: skip
    with pytest.raises(UserError) as caught:
        run(tmp_path / "r", plan, resume=True)
    assert "\n" not in str(caught.value) and "overwrite=True" in str(caught.value)
    assert "--overwrite" in caught.value.typed


def record(path):
    return {name: (path / name).read_bytes() for name in ("log.jsonl", "arrays.npz", "best.npz")}


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 29), st.integers(1, 7), st.integers(0, 3))
def test_resume_is_bit_identical_wherever_it_stopped(tmp_path_factory, stop, every, checkpoint):
    tmp_path = tmp_path_factory.mktemp("resume")
    plan = Alternation(steps=15, evaluate_every=every, checkpoint_every=checkpoint)
    run(tmp_path / "whole", plan)
    with pytest.raises(NonFiniteError):
        run(tmp_path / "cut", plan, RecordingTuner(nan_at=stop))
    run(tmp_path / "cut", plan, resume=True)
    assert record(tmp_path / "cut") == record(tmp_path / "whole")
    assert Run(tmp_path / "cut").result["best"] == Run(tmp_path / "whole").result["best"]


SCRIPT = """
import sys, time
from pathlib import Path
from hyperopt_hn import Alternation, RunLog, alternate
from hyperopt_hn.runs.display.progress import Progress
from tests.support.recording import CONFIG, RecordingTuner

class Slow(RecordingTuner):
    def train_step(self):
        if self.calls == []:
            print("ready", flush=True)
        time.sleep(0.002)
        return super().train_step()

plan = Alternation(steps=int(sys.argv[2]), tune_per_cycle=0, evaluate_every=7, checkpoint_every=1)
log = RunLog(Path(sys.argv[1]), CONFIG, resume=True)
try:
    alternate(Slow(), plan, log, Progress("walk", plan.total, quiet=True))
except KeyboardInterrupt as error:
    print(error)
    sys.exit(130)
"""


def child(path, steps=250):
    """A run in a process of its own; returns when its first step has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(steps)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_sigkill_in_the_middle_of_saving_loses_nothing(tmp_path):
    """A checkpoint at every step: most kills fall into a save."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = child(tmp_path / "killed")
        time.sleep(0.02 + 0.06 * rng.random())
        process.send_signal(signal.SIGKILL)
        process.communicate()
    for name in ("killed", "whole"):
        process = child(tmp_path / name)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert record(tmp_path / "killed") == record(tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".*.part"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_interrupt_saves_says_where_and_exits_130(tmp_path, number):
    process = child(tmp_path / "r", steps=100_000)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert str(tmp_path / "r") in out and "resume=True" in out


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
import sys
from pathlib import Path
from hyperopt_hn import Alternation, RunLog, UserError, alternate
from hyperopt_hn.runs.display.progress import Progress
from tests.support.recording import CONFIG, RecordingTuner

plan = Alternation(steps=40, evaluate_every=1)
try:
    alternate(RecordingTuner(), plan, RunLog(Path(sys.argv[1]), CONFIG), Progress("walk", plan.total, quiet=True))
except UserError as error:
    print(error)
"""


def test_a_disk_that_fills_up_costs_nothing_saved(tmp_path):
    """Real failing writes: the process may not make files longer than 3,000 bytes."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "r")], capture_output=True, text=True, cwd=ROOT)
    assert "cannot write" in done.stdout and "resume=True" in done.stdout and done.stdout.count("\n") == 1, done.stderr
    plan = Alternation(steps=40, evaluate_every=1)
    run(tmp_path / "r", plan, resume=True)
    run(tmp_path / "whole", plan)
    assert record(tmp_path / "r") == record(tmp_path / "whole")


class Measured(RecordingTuner):
    """Measures more than its loss; `bad` is the key that is not finite, at the first evaluation."""

    def __init__(self, bad, value):
        super().__init__(losses=[1.0, 0.5, 0.25, 0.1])
        self.bad, self.value = bad, value

    def evaluate(self):
        found = {**super().evaluate(), "valid_auc": 0.7, "test_loss": 2.0}
        return {**found, **({self.bad: self.value} if self.evaluations == 1 else {})}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_recorded_as_none_and_the_run_goes_on(tmp_path, value, capsys):
    plan = Alternation(steps=4, tune_per_cycle=0, evaluate_every=2)
    log = RunLog(tmp_path / "r", CONFIG)
    alternate(Measured("valid_auc", value), plan, log, Progress("walk", plan.total))
    read = Run(tmp_path / "r")
    assert [entry["valid_auc"] for entry in read.records] == [None, 0.7, 0.7]
    assert np.isnan(read.column("valid_auc")[0]) and read.column("valid_auc")[1] == 0.7
    assert read.finished and read.result["best"]["step"] == 4
    for name in ("valid_loss", "test_loss"):  # a loss stops the run as ever
        with pytest.raises(NonFiniteError, match=f"{name} became"):
            run(tmp_path / name, plan, Measured(name, value))


def test_a_checkpoint_precedes_the_first_evaluation(tmp_path):
    """A search asks for its first trial there: the name under which it asked must be saved by then."""

    class Killed(RecordingTuner):
        def evaluate(self):
            raise SystemExit

    tuner = Killed(seed=3)
    with pytest.raises(SystemExit):
        run(tmp_path / "cut", Alternation(steps=5), tuner)
    run(tmp_path / "cut", Alternation(steps=5), RecordingTuner(seed=4), resume=True)
    run(tmp_path / "whole", Alternation(steps=5), RecordingTuner(seed=3))
    assert record(tmp_path / "cut") == record(tmp_path / "whole")
