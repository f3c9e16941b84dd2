"""Courses over time: the measured period is the asked one, noise is a function of the step, replays are checked."""

import numpy as np
import pytest

from hyperopt_hn import Hyper, HyperSpace, Run, RunLog, UserError
from hyperopt_hn.course import Gaussian, Replay, Sinusoid
from hyperopt_hn.runs.display import tables

SPACE = HyperSpace([Hyper("rate", 0.05, 0.0, 0.99), Hyper("decay", 0.1, 0.0)])


def test_sinusoid_has_the_asked_period():
    """The published one multiplied by 2π twice and was 2π times too fast."""
    course = Sinusoid({"rate": 0.68}, amplitude=0.1, period=1200.0)
    series = np.array([course.at(step)["rate"] for step in range(12_000)])
    spectrum = np.abs(np.fft.rfft(series - series.mean()))
    assert np.argmax(spectrum) == 10  # ten periods in 12,000 steps
    assert series.max() == pytest.approx(0.78, abs=1e-6) and series.min() == pytest.approx(0.58, abs=1e-6)


def test_gaussian_noise_is_a_function_of_seed_and_step():
    course = Gaussian({"rate": 0.68}, sd=0.05, seed=3)
    series = np.array([course.at(step)["rate"] for step in range(2000)])
    assert series[17] == course.at(17)["rate"] != Gaussian({"rate": 0.68}, 0.05, 4).at(17)["rate"]
    assert series.mean() == pytest.approx(0.68, abs=0.005) and series.std() == pytest.approx(0.05, abs=0.004)


def test_values_are_clipped():
    course = Gaussian({"rate": 0.95}, sd=0.5, seed=0)
    values = [course.at(step)["rate"] for step in range(100)]
    assert min(values) == 0.0 and max(values) == 0.99


def test_replay_of_a_run_holds_each_value_until_the_next(tmp_path):
    config = {"experiment": "e", "arm": "a", "preset": "p", "seed": 0, "config": {}, "data": None}
    log = RunLog(tmp_path / "r", config)
    for step, rate in ((0, 0.05), (10, 0.3), (10, 0.4), (20, 0.7)):
        log.record({"step": step, "hypers": {"rate": rate, "unknown": 5.0}})
    log.close()
    course = Replay.of_run(Run(tmp_path / "r"), SPACE)
    assert [course.at(s)["rate"] for s in (0, 9, 10, 19, 20, 999)] == [0.05, 0.05, 0.4, 0.4, 0.7, 0.7]
    with pytest.raises(UserError, match="run of another space"):
        Replay.of_run(Run(tmp_path / "r"), HyperSpace([Hyper("hue", 0.1)]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a column 'step'"),
        ("epoch,rate\n1,0.5\n", "needs a column 'step'"),
        ("step,hue\n1,0.5\n", "at least one of rate, decay"),
        ("step,rate\n1,abc\n", "line 2: rate is 'abc'"),
        ("step,rate\n1\n", "line 2: rate is None"),
        ("step,rate\n1,1.5\n", "outside"),
        ("step,rate\n1,nan\n", "outside"),
        ("step,rate\n5,0.1\n1,0.2\n", "rising"),
    ],
)
def test_bad_schedules_get_one_line(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        Replay.of_csv(tmp_path / "s.csv", SPACE)
    assert "\n" not in str(caught.value)


def test_good_schedule(tmp_path, caplog):
    (tmp_path / "s.csv").write_text("step,time,rate\n0,1.5,0.1\n7,3.0,0.2\n")
    assert Replay.read(tmp_path / "s.csv", SPACE).at(8) == {"rate": 0.2}
    assert caplog.messages == [f"the schedule {tmp_path}/s.csv: no hyperparameters here, left out: time"]


def test_escapes_in_a_schedules_heading_are_shown_not_sent_to_the_terminal(tmp_path, caplog):
    (tmp_path / "s.csv").write_text("step,dropout,a\x1b[2Jb\n0,0.1,1\n5,0.2,1\n")
    Replay.of_csv(tmp_path / "s.csv", HyperSpace([Hyper("dropout", 0.1, 0.0, 0.9)]))
    assert caplog.messages[0].endswith("left out: a\\x1b[2Jb")
    with pytest.raises(UserError, match="cannot be read"):
        Replay.of_csv(tmp_path / "none.csv", SPACE)


def test_a_sinusoid_needs_a_period():
    with pytest.raises(UserError, match="above 0"):
        Sinusoid({"rate": 0.5}, 0.1, 0.0)


def test_a_runs_own_table_replays_by_training_step(tmp_path):
    """What `python -m hyperopt_hn.runs csv RUN` prints of a run with tune steps between its train steps."""
    log = RunLog(tmp_path / "r", {"experiment": "e", "config": {}})
    for step, train, rate in ((0, 0, 0.05), (30, 20, 0.3), (60, 40, 0.4)):
        log.record({"step": step, "train_steps": train, "valid_loss": 1.5, "hypers": {"rate": rate}})
    log.close()
    run = Run(tmp_path / "r")
    (tmp_path / "s.csv").write_text(tables.record(run))
    course, same = Replay.of_csv(tmp_path / "s.csv", SPACE), Replay.of_run(run, SPACE)
    for step in range(45):
        assert course.at(step) == same.at(step) == {"rate": 0.05 if step < 20 else 0.3 if step < 40 else 0.4}


def test_a_table_that_excel_saved_is_read(tmp_path):
    """Excel begins CSV with a byte-order mark, which would stick to the first heading."""
    (tmp_path / "s.csv").write_bytes("step,rate\r\n0,0.1\r\n10,0.2\r\n".encode("utf-8-sig"))
    assert Replay.of_csv(tmp_path / "s.csv", SPACE).at(10) == {"rate": 0.2}


def test_train_steps_count_where_a_table_has_both(tmp_path):
    (tmp_path / "s.csv").write_text("step,train_steps,rate\n2,1,0.1\n4,2,0.2\n6,3,0.3\n")
    course = Replay.of_csv(tmp_path / "s.csv", SPACE)
    assert [course.at(step)["rate"] for step in range(5)] == [0.1, 0.1, 0.2, 0.3, 0.3]
