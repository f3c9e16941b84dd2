"""The study's command: every task and way runs, a finished run is left out, mistakes are one line."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from deep.study import __main__ as command  # noqa: E402
from deep.study import one_penalty  # noqa: E402
from deep.study.cost.cost_presets import TASKS  # noqa: E402
from deep.study.runs import plain_loss, tuned  # noqa: E402
from deep.study.tasks import SMALL, digits  # noqa: E402
from deep.study.ways import WAYS  # noqa: E402

GRID = ({"dropout": 0.1, "decay": 1e-3}, {"dropout": 0.5, "decay": 1e-3})


@pytest.mark.parametrize("name", [task.name for task in SMALL])
def test_splits_are_disjoint_and_the_seed_decides(name):
    task = TASKS[name]
    first, again, other = task.data(1), task.data(1), task.data(2)
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][0], other[0][0])
    rows = [{tuple(row.flatten().tolist()) for row in x} for x, _ in first]
    if name != "text":
        assert not rows[0] & rows[2] and not rows[1] & rows[2]


@pytest.mark.parametrize("way", ["split", "split-gate", "split-groups-4", "stn", "delta-published", "split-rest"])
def test_a_way_runs_and_says_what_it_found(way):
    task = replace(TASKS["cancer-mlp"], steps=100)
    found = tuned(task, task.data(1), 1, WAYS[way])
    assert set(found["values"]) == {"dropout", "decay"} and len(found["trained"]) == 2
    assert found["retrained"] == plain_loss(task, task.data(1), 1, found["values"])


def test_the_record_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(TASKS, "cancer-mlp", replace(TASKS["cancer-mlp"], steps=50, grid=GRID))
    out = tmp_path / "deep" / "study.jsonl"
    arguments = ["--tasks", "cancer-mlp", "--seeds", "1", "--ways", "split", "--out", str(out)]
    assert command.main(arguments) == 0
    lines = out.read_text()
    assert [r["name"] for r in command.records(out)] == ["grid", "split"]
    out.write_text(lines + '{"task": "cancer-mlp", "se')
    assert command.main(arguments) == 0 and len(command.records(out)) == 2
    assert capsys.readouterr().out.count("cancer-mlp seed 1") == 2


def test_the_table_has_the_right_numbers(tmp_path, capsys):
    rows = [{"values": {}, "losses": [loss, 0.0]} for loss in (0.5, 0.4, 0.9)]
    run = {"task": "text", "gain": {"a": -0.5, "b": -0.1}, "seconds": 2.0, "name": "split"}
    run["path"] = [[0.0, 0.3 * i] for i in range(20)]  # 4 steps of the last fifth: .9, under 1; at twice the pace over
    lines = [
        {"task": "text", "seed": 1, "name": "grid", "rows": rows},
        {**run, "seed": 1, "retrained": [0.5, 0.0], "trained": [0.41, 0.0], "path": [[0.6 * i] for i in range(20)]},
        {**run, "seed": 1, "retrained": [0.42, 0.0], "trained": [0.43, 0.0], "gain": {"a": 2.0, "b": -1.0}},
        {**run, "seed": 2, "retrained": [9.0, 0.0], "trained": [9.0, 0.0]},
    ]
    out = tmp_path / "study.jsonl"
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert command.main(["--show", str(out)]) == 0
    words = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("split")).split()
    sd = 0.08 / math.sqrt(2)
    assert words[1:5] == ["2", "+0.060", "±", f"{sd:.3f}"] and words[5:7] == ["+0.100", "1"]
    assert words[7] == "+0.020" and words[10:] == ["1", "of", "1", "0", "of", "1", "2.0"]
    assert command.main(["--show", str(tmp_path / "none.jsonl")]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--tasks", "digit-mlp"], "digits-mlp"), (["--ways", "splitt"], "split"), (["--seeds", "1,x"], "'x'")],
)
def test_a_mistake_is_one_line(arguments, words, capsys):
    assert command.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and words in said


def test_one_penalty_is_held_against_the_exact_minimum(capsys):
    """At the weights that are called exact the gradient of loss and penalty vanishes; a short run prints its line."""
    splits = digits(11, train=300)
    model = one_penalty.solved(splits[0], 1e-2)
    x, y = splits[0][0].double(), splits[0][1]
    w, b = model.weight.detach().double(), model.bias.detach().double()
    wrong = (x @ w.T + b).softmax(1) - torch.nn.functional.one_hot(y, 10)
    assert (wrong.T @ x / len(x) + 2e-2 * w).abs().max() < 1e-5
    assert (wrong.mean(0) + 2e-2 * b).abs().max() < 1e-5
    assert one_penalty.main(["--seeds", "11", "--steps", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].startswith("seed 11: best 1e-") and "of 3 runs" in lines[3]
