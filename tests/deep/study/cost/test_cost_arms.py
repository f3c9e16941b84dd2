"""The comparison at equal cost: the smoke preset runs every arm, resumes, and what it reports is what was measured."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("optuna")

from deep.study import __main__ as command  # noqa: E402
from deep.study.cost import cost_presets  # noqa: E402
from deep.study.cost.cost_arms import ARMS, TUNED, Arm, applies, evaluated_every, outcome  # noqa: E402
from deep.study.cost.cost_presets import TASKS  # noqa: E402
from deep.study.cost.cost_report import at_equal_cost, complete, excess, holm, reached, target_of  # noqa: E402
from deep.study.cost.ledger import Ledger, Spent  # noqa: E402
from deep.study.plain_training import PlainTraining, loss_on  # noqa: E402
from tests.support.paths import ROOT  # noqa: E402

TASK = replace(TASKS["cancer-mlp"], steps=20)
VALUES = {"dropout": 0.2, "decay": 1e-4}


def test_the_smoke_preset_runs_and_resumes(tmp_path, capsys):
    out = tmp_path / "cost.jsonl"
    some = ["--preset", "smoke", "--out", str(out), "--arms", "fixed,random"]
    assert command.main(some) == 0
    out.write_text(out.read_text() + '{"task": "cancer-')
    first = out.read_text().splitlines()[:2]
    assert command.main([*some[:-2], "--arms", ",".join(ARMS)]) == 0
    rows = command.records(out)
    assert [json.dumps(row) for row in rows[:2]] == first
    assert [row["arm"] for row in rows] == [
        *("fixed", "random"),
        *(arm for arm in ARMS if arm not in ("fixed", "random", "implicit")),
    ]
    for row in rows:
        at = [when for when, _ in row["curve"]]
        losses = [loss for _, loss in row["curve"]]
        assert at == sorted(at) and losses == sorted(losses, reverse=True) and row["unit"] > 0
        for budget, loss, test, _ in row["marks"]:
            assert loss == min(each for when, each in row["curve"] if when <= 1.05 * budget + 1e-3)
            assert math.isfinite(test)
    assert "13 arms" in capsys.readouterr().out


def test_the_ledger_keeps_the_best_within_each_budget_and_counts_no_pauses(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("deep.study.cost.ledger.time.process_time", lambda: now[0])
    ledger, nets = Ledger(2.0, (1.0, 2.0, 4.0)), [torch.nn.Linear(1, 1) for _ in range(4)]

    def offer(after: float, loss: float, net: int) -> None:
        now[0] += after
        ledger.offer(loss, {"dropout": loss}, "plain", lambda: nets[net])

    offer(1.5, 0.9, 0)  # at 0.75 units
    with ledger.paused(proposing=True):
        now[0] += 100.0
    offer(1.5, 0.7, 1)  # at 1.5
    offer(1.0, 0.8, 2)  # worse
    offer(4.0, 0.6, 3)  # at 4.0
    with pytest.raises(Spent):
        offer(0.5, 0.1, 0)  # at 4.25: more than a twentieth too late
    seen = []
    record = ledger.record(lambda net: seen.append(nets.index(net)) or float(nets.index(net)))
    assert record["marks"] == [[1.0, 0.9, 0.0, "plain"], [2.0, 0.7, 1.0, "plain"], [4.0, 0.6, 3.0, "plain"]]
    assert record["curve"] == [[0.75, 0.9], [1.5, 0.7], [4.0, 0.6]] and record["proposing"] == 100.0
    assert record["best"] == {"dropout": 0.6} and seen == [0, 1, 3]


def test_a_plain_training_trains_changes_and_is_adopted():
    splits = TASK.data(1)
    whole, parts = (PlainTraining(TASK, splits, 3, VALUES) for _ in range(2))
    torch.manual_seed(0)
    end = whole.advance(20)
    torch.manual_seed(0)
    parts.advance(8)
    assert parts.advance(12) == end and end < loss_on(TASK, TASK.net(), splits, 1)
    with torch.no_grad():
        logits = whole.network.eval()(splits[1][0])
    right = logits.log_softmax(1)[torch.arange(len(logits)), splits[1][1]]
    assert end == pytest.approx(float(-right.mean()), rel=1e-5)
    other = PlainTraining(TASK, splits, 4, VALUES)
    other.adopt(whole, {"dropout": 0.7, "decay": 1e-3})
    assert [m.p for m in other.network.modules() if isinstance(m, torch.nn.Dropout)] == [0.7]
    assert torch.equal(other.network[0].weight, whole.network[0].weight)


@pytest.mark.parametrize("name", ["split", "delta"])
def test_a_tuned_network_is_kept_as_it_was_evaluated(name):
    """The plain network that is offered has, on the validation data, the loss with which it was offered."""
    task = replace(TASK, steps=40)
    arm = Arm(task, task.data(1), 1, Ledger(1e9, (1.0,)))
    arm._tuned(TUNED[name], 1)
    assert [f.how for f in arm.ledger.found] == ["tuned"] * len(arm.ledger.found) and arm.ledger.found
    for found in arm.ledger.found:
        assert loss_on(task, found.network, arm.splits, 1) == pytest.approx(found.loss, rel=1e-4)


def test_halving_promotes_the_best_third(monkeypatch):
    arm = Arm(TASK, TASK.data(1), 1, Ledger(1e9, (1.0,)))
    losses = iter([0.5, 0.4, 0.6, 0.1, 0.3, 0.2, 0.7, 0.1])
    ran = []

    def trained(training, until, how):
        loss = next(losses, None)
        if loss is None:
            raise Spent
        ran.append((training, until))
        training.steps = until
        return loss

    monkeypatch.setattr(arm, "trained", trained)
    with pytest.raises(Spent):
        arm.asha()
    assert [until for _, until in ran] == [3, 3, 3, 7, 3, 7, 3, 3]
    assert ran[3][0] is ran[1][0], "of 0.5, 0.4, 0.6 the second goes up"
    assert ran[5][0] is ran[4][0], "and of 0.5, 0.4, 0.6, 0.3 the last"


def test_the_report_has_the_right_numbers(tmp_path, capsys):
    run = {"values": VALUES, "trained": 0.5, "last": 0.6, "gain": {"dropout": -1.0}, "units": 2.0, "after": 0.4}

    def row(arm, seed, losses, runs=()):
        curve = [[2.0 * i + 1, loss] for i, loss in enumerate(losses)]
        marks = [[1.0, losses[0], losses[0] + 0.1, "plain"], [8.0, losses[-1], losses[-1] + 0.2, "plain"]]
        return {
            "task": "text",
            "seed": seed,
            "arm": arm,
            "unit": 2.0,
            "curve": curve,
            "marks": marks,
            "runs": list(runs),
        }

    rows = [row("split", 1, [0.6, 0.4], [run]), row("random", 1, [0.5, 0.45, 0.35]), row("tpe", 1, [0.7])]
    rows += [row("split", 2, [0.6, 0.4], [run]), row("random", 2, [0.5, 0.3]), row("tpe", 2, [0.5])]
    rows += [row("split", 3, [0.1])]
    assert target_of(rows[0]) == (0.4, 3.0) and reached(rows[1], 0.4) == 5.0 and reached(rows[2], 0.4) is None
    table = {(r["task"], r["seed"], r["arm"]): r for r in rows}
    blocks = [("text", 1), ("text", 2)]
    assert excess(table, blocks, "split", 8.0, 1) == pytest.approx([0.05, 0.1])
    assert excess(table, blocks, "random", 1.0, 2) == pytest.approx([0.05, 0.1])
    said = at_equal_cost(rows)
    assert "seeds 1, 2, 3 arms" in said, "the third seed is not whole"
    assert "+0.075 ± 0.318" in said
    assert "random         median          4.0, reached in 2 of 2" in said
    assert "tpe            median  more than 8, reached in 0 of 2" in said
    assert "2 runs of 2.0 plain trainings; the gain warned of 2 of 2 bad ones, falsely of 0 of 0" in said
    out = tmp_path / "cost.jsonl"
    out.write_text("".join(json.dumps(r) + "\n" for r in rows[6:] + rows[1:2]))
    assert command.main(["--show", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_page_shows_what_the_record_says():
    page = (ROOT / "docs" / "does-it-pay.md").read_text()
    names = re.findall(r"`(figures/recorded/study/cost-[\w-]+\.jsonl)`", page)
    assert names
    for name in names:
        assert f"```\n{at_equal_cost(command.records(ROOT / name))}\n```" in page, name


def test_holm_corrects_for_the_number_of_comparisons():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06]) and holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--arms", "splitt"], "split"), (["--jobs", "0"], "--jobs 0"), (["--tasks", "cancer"], "cancer-mlp")],
)
def test_a_mistake_of_the_comparison_is_one_line(arguments, words, capsys):
    assert command.main(["--preset", "smoke", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and words in said


def test_presets_resume_seed_by_seed():
    quick = cost_presets.PRESETS["quick"]
    cells = cost_presets.missing(quick, [{"task": "cancer-mlp", "seed": 601, "arm": "fixed"}])
    assert len(cells) == len(quick.tasks) * len(quick.seeds) * (len(ARMS) - 1) - 1  # implicit tunes no dropout
    assert [cell[1] for cell in cells] == sorted(cell[1] for cell in cells)
    assert evaluated_every(TASKS["text"]) == 50 and evaluated_every(TASK) == 4


def test_implicit_is_an_arm_where_penalties_alone_are_tuned_and_moves_them():
    assert [task for task in TASKS if applies("implicit", TASKS[task])] == ["digits-decays"]
    task = replace(TASKS["digits-decays"], steps=40)
    found = outcome(task, 1, "implicit", (20.0,))
    moved = found["runs"][0]["values"]
    assert all(moved[hyper.name] != pytest.approx(hyper.init) for hyper in task.hypers)
    assert found["marks"][0][0] == 20.0 and math.isfinite(found["marks"][0][2])


def test_an_arm_of_some_tasks_alone_is_compared_there_alone():
    def row(task, arm, loss):
        return {
            "task": task, "seed": 1, "arm": arm, "unit": 1.0, "curve": [[1.0, loss]],
            "marks": [[1.0, loss, loss + 0.5, "plain"]], "runs": [],
        }  # fmt: skip

    rows = [row("a", "hand", 0.2), row("b", "hand", 0.4), row("a", "implicit", 0.1), row("b", "random", 0.3)]
    assert complete(rows)[2] == ["hand"] and len(complete(rows)[1]) == 2
    said = at_equal_cost(rows).split("task by task")[1].splitlines()
    assert said[1].split() == ["arm", "a", "b"]
    assert said[2].split() == ["hand", "+0.100", "+0.100"]
    assert said[3].split() == ["implicit", "+0.000", "-"] and said[4].split() == ["random", "-", "+0.000"]
