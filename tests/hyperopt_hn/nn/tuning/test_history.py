"""A recorded course replays by training steps, whatever the cadence; names with commas and reserved ones come back."""

import csv

import pytest

torch = pytest.importorskip("torch")

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.course import Replay  # noqa: E402
from hyperopt_hn.nn.tuning.history import Trace  # noqa: E402


@pytest.mark.parametrize(("train", "tune"), [(1, 1), (2, 1), (1, 3), (5, 2)])
@pytest.mark.parametrize("rows", [1000, 4])
def test_a_written_course_is_followed_by_training_step(tmp_path, train, tune, rows):
    """Independently: λ̂ before each training step of the run itself is what the replay gives there."""
    space, trace = HyperSpace([Hyper("p", 0.3, 0.0, 0.9)]), Trace(rows)
    lam, trained, total, wanted = -1.0, 0, 0, {}
    for _ in range(12):
        for _ in range(train):
            wanted[trained] = lam
            trained, total = trained + 1, total + 1
        for _ in range(tune):
            lam, total = lam + 0.1, total + 1
            trace.add(total, torch.tensor([lam], dtype=torch.float64), trained)
    trace.write(tmp_path / "c.csv", space)
    course = Replay.read(tmp_path / "c.csv", space)
    assert course.steps[-1] <= trained < total
    exact = [step for step in wanted if step in course.steps] if rows < 1000 else [s for s in wanted if s >= train]
    assert len(exact) >= 3
    if rows == 1000 or tune == 1:  # a thinned course holds some of a cycle's values only
        for step in exact:
            assert course.at(step)["p"] == pytest.approx(float(space["p"].value(wanted[step])), abs=1e-12)


@pytest.mark.parametrize("name", ["l2 (w, b)", 'say "p"', "step", "train_steps", "layer1/p", "λ₁"])
def test_names_come_back(tmp_path, name):
    space, trace = HyperSpace([Hyper(name, 0.3, 0.0, 0.9), Hyper("z", 0.3, 0.0, 0.9)]), Trace(8)
    trace.add(2, torch.tensor([0.0, 0.0]), 1)
    trace.add(5, torch.tensor([1.0, -1.0]), 3)
    trace.write(tmp_path / "c.csv", space)
    got = Replay.of_csv(tmp_path / "c.csv", space).at(9)
    assert got == pytest.approx({name: 0.9 / (1 + 2.718281828459045**-1), "z": 0.9 / (1 + 2.718281828459045)}, rel=1e-6)
    with open(tmp_path / "c.csv", newline="") as file:
        assert [len(row) for row in csv.reader(file)] == [4, 4, 4]


def test_a_state_of_an_earlier_version_goes_on_without_training_steps(tmp_path):
    space, trace = HyperSpace([Hyper("p", 0.3, 0.0, 0.9)]), Trace(8)
    trace.add(2, torch.tensor([0.0]), 1)
    state = trace.state()
    del state["train"]
    other = Trace(8)
    other.load_state(state, torch.device("cpu"))
    other.add(4, torch.tensor([0.1]), 2)
    other.write(tmp_path / "c.csv", space)
    assert (tmp_path / "c.csv").read_text().splitlines()[0] == "step,p"
