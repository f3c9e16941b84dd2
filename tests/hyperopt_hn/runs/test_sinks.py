"""Every sink gets every record once, in order: through kills at every kind of place, failures and a second sitting."""

import csv
import json
import subprocess
import sys
import types

import pytest

from hyperopt_hn import Run, RunLog, UserError
from hyperopt_hn.runs.sinks import CSV, TensorBoard, Tracker
from tests.support.paths import ROOT

KILLED = ROOT / "tests" / "support" / "killed_sinks.py"


def sitting(folder, where="none", number=0, *more):
    return subprocess.run([sys.executable, str(KILLED), str(folder), where, str(number), *more]).returncode


@pytest.mark.parametrize(
    "kills",
    [
        [("step", 8)],  # after the checkpoint of step 5: records 6 and 7 are made again
        [("before", 3), ("before", 2), ("after", 1)],
        [("after", 6), ("step", 4), ("after", 1)],
        [("checkpoint", 3), ("checkpoint", 2)],
        [("finish", 1), ("finish", 1)],  # the sinks are ahead of the checkpoint
    ],
    ids=lambda kills: "-".join(f"{where}{number}" for where, number in kills),
)
def test_a_killed_run_hands_over_every_record_once(tmp_path, kills):
    for kill in kills:
        assert sitting(tmp_path, *kill) == -9
    assert sitting(tmp_path) == 0
    got = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert got == Run(tmp_path / "run").records
    assert [entry["step"] for entry in got] == list(range(13))
    with open(tmp_path / "run" / "record.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(13))
    assert [float(row["x0"]) for row in rows] == [entry["hypers"]["x0"] for entry in got]
    assert [float(row["all/max"]) for row in rows] == [entry["hypers"]["all"]["max"] for entry in got]


def scalars(folder, name):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_shows_every_record_once_after_kills(tmp_path):
    for kill in (("after", 7), ("finish", 1)):
        assert sitting(tmp_path, *kill, "board") == -9
    assert sitting(tmp_path, "none", 0, "board") == 0
    run = Run(tmp_path / "run")
    wanted = list(zip(run.steps.tolist(), run.column("hypers/x0").tolist(), strict=True))
    got = scalars(tmp_path / "run" / "tensorboard", "hypers/x0")
    assert [step for step, _ in got] == [step for step, _ in wanted] == list(range(13))
    assert [value for _, value in got] == pytest.approx([value for _, value in wanted], rel=1e-6)


class Recorder:
    def __init__(self, fail_at=None):
        self.got, self.fail_at, self.closed = [], fail_at, 0

    def open(self, run, records):
        return 0

    def record(self, entry):
        if entry["step"] == self.fail_at:
            raise OSError("the network is down")
        self.got.append(entry["step"])

    def close(self):
        self.closed += 1


def write(path, sinks, steps=3, **flags):
    log = RunLog(path, {"config": {}}, sinks=sinks, **flags)
    for step in range(steps):
        log.record({"step": step, "valid_loss": 1.0 - step, **({"late_loss": 2.0} if step else {}), "hypers": {"a": 1}})
        log.checkpoint({})
    log.finish({"reason": "finished"}, {})


def test_a_sink_that_fails_does_not_end_the_run(tmp_path):
    good, bad = Recorder(), Recorder(fail_at=1)
    with pytest.warns(UserWarning, match=r"Recorder failed \(the network is down\)"):
        write(tmp_path / "r", [bad, good])
    assert good.got == [0, 1, 2] and bad.got == [0] and good.closed == 1
    assert Run(tmp_path / "r").finished


def test_a_csv_grows_by_columns_that_come_late_and_begins_anew_when_overwritten(tmp_path):
    write(tmp_path / "r", [CSV()])
    assert (tmp_path / "r" / "record.csv").read_text() == "step,valid_loss,a,late_loss\n0,1,1,\n1,0,1,2\n2,-1,1,2\n"
    write(tmp_path / "r", [CSV()], steps=1, overwrite=True)
    assert (tmp_path / "r" / "record.csv").read_text() == "step,valid_loss,a\n0,1,1\n"


def test_tensorboard_begins_anew_when_the_run_is_overwritten(tmp_path):
    write(tmp_path / "r", [TensorBoard()], steps=3)
    write(tmp_path / "r", [TensorBoard()], steps=2, overwrite=True)
    assert scalars(tmp_path / "r" / "tensorboard", "valid_loss") == [(0, 1.0), (1, 0.0)]


def test_a_tracker_is_called_as_its_users_call_it(tmp_path, monkeypatch):
    calls = []
    fake = types.ModuleType("faketracker")
    fake.init = lambda **more: calls.append(("init", more))
    fake.log = lambda scalars, step: calls.append(("log", step, scalars))
    fake.finish = lambda: calls.append(("finish",))
    monkeypatch.setitem(sys.modules, "faketracker", fake)
    log = RunLog(tmp_path / "digits", {"config": {"lr": 0.1}}, sinks=[Tracker("faketracker", "mine")])
    log.record({"step": 5, "valid_loss": 1.5, "auc": None, "hypers": {"rate": 0.25}})
    assert [call[0] for call in calls] == ["init"]  # no checkpoint covers the record yet
    log.checkpoint({})
    log.finish({}, {})
    begun = calls[0][1]
    assert (begun["project"], begun["name"], begun["resume"]) == ("mine", "digits", "allow")
    assert begun["config"]["config"] == {"lr": 0.1}
    assert calls[1:] == [("log", 5, {"valid_loss": 1.5, "hypers/rate": 0.25}), ("finish",)]


def test_a_tracker_that_is_not_installed_names_the_remedy(tmp_path):
    with pytest.raises(UserError, match="pip install notthere"):
        RunLog(tmp_path / "r", {}, sinks=[Tracker("notthere", "mine")])
    assert not (tmp_path / "r").exists()
