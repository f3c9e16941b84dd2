"""`--config`: from a recorded run, JSON or TOML; unknown names, other types and other data are refused."""

from __future__ import annotations

import json

import pytest

from hyperopt_hn import Run
from hyperopt_hn.cli.launch import main
from tests.hyperopt_hn.cli.test_launch import PROGRAM


@pytest.fixture
def call(tmp_path, capsys):
    def run(*words, data=("--data", "digits"), out="runs"):
        code = main(PROGRAM, [*words, *data, "--out", str(tmp_path / out)])
        return code, *capsys.readouterr()

    return run


WRITTEN = {
    "a.json": '{"steps": 3, "rate": 1, "hidden": [3, 4], "maybe": null, "colour": "green", "seed": 5, "arms": ["b"]}',
    "b.json": '\ufeff{"steps": "3", "rate": "1.0", "hidden": "3,4", "colour": "green", "seed": 5, "arms": "b"}',
    "c.toml": 'steps = 3\nrate = 1.0\nhidden = [3, 4]\ncolour = "green"\nseed = 5\narms = "b"\n',
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_configuration(name, call, tmp_path):
    (tmp_path / name).write_text(WRITTEN[name], encoding="utf-8")
    code, _, error = call("one", "--config", str(tmp_path / name))
    assert code == 0, error
    (root,) = (tmp_path / "runs").iterdir()
    assert root.name == "quick+colour=green+hidden=3,4+rate=1.0+steps=3-digits-seed5"
    assert [path.name for path in (root / "one").iterdir()] == ["b"]
    config = Run(root / "one" / "b").config["config"]
    assert (config["steps"], config["rate"], config["hidden"], config["seed"]) == (3, 1.0, [3, 4], 5)


def test_flags_win_over_the_file(call, tmp_path):
    (tmp_path / "a.toml").write_text('steps = 3\npreset = "paper"\nrate = 0.25\n')
    assert call("one", "--config", str(tmp_path / "a.toml"), "--steps", "2", "--arms", "a")[0] == 0
    assert (tmp_path / "runs" / "paper+rate=0.25+steps=2-digits-seed7").is_dir()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"stpes": 3}', "did you mean 'steps'"),
        ("a.toml", "stpes = 3", "did you mean 'steps'"),
        ("a.json", '{"steps": 2.5}', "steps: 2.5 is not a whole number"),
        ("a.json", '{"steps": true}', "steps: True is not a whole number"),
        ("a.json", '{"rate": "half"}', "rate: 'half' is not a number"),
        ("a.json", '{"hidden": {"a": 1}}', "is not a list of numbers"),
        ("a.json", '{"deep": 1}', "is not true or false"),
        ("a.json", '{"rate": NaN}', "--rate is NaN"),
        ("a.json", '{"rate": 1e999}', "--rate inf is not finite"),
        ("a.json", '{"rate": 1' + "0" * 400 + "}", "is not a number"),
        ("a.json", '{"colour": "gren"}', "did you mean 'green'"),
        ("a.json", '{"preset": "quik"}', "did you mean 'quick'"),
        ("a.json", '{"seed": -1}', "not a seed"),
        ("a.json", '{"arms": "c"}', "no arm of one 'c'"),
        ("a.json", "[1]", "holds no table"),
        ("a.json", "{", "is damaged"),
        ("a.json", "[" * 100_000, "is damaged"),
        ("a.toml", "steps = ", "is damaged"),
        ("a.yaml", "steps: 3", ".json or .toml"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(name, text, message, call, tmp_path):
    (tmp_path / name).write_text(text)
    code, _, error = call("one", "--config", str(tmp_path / name))
    assert code == 2 and message in error and error.count("\n") == 1 and error.startswith("error: ")
    assert not (tmp_path / "runs").exists()


def test_what_is_no_file_is_named(call, tmp_path):
    (tmp_path / "b.json").write_bytes(b"\xff\xfe{}")
    for path, message in ((tmp_path / "none.json", "cannot be read"), (tmp_path / "b.json", "not text in UTF-8")):
        code, _, error = call("one", "--config", str(path))
        assert code == 2 and message in error and error.count("\n") == 1
    assert call("one", "--config", str(tmp_path))[0] == 2


def test_a_recorded_run_again_leaves_equal_bytes(call, tmp_path):
    assert call("one", "--preset", "paper", "--rate", "0.75", "--seed", "3", "--arms", "b")[0] == 0
    name = "paper+rate=0.75-digits-seed3"
    made = tmp_path / "runs" / name / "one" / "b"
    for given in (made, made / "config.json"):
        assert call("one", "--config", str(given), data=(), out=given.name)[0] == 0
        again = tmp_path / given.name / name / "one" / "b"
        assert (again / "log.jsonl").read_bytes() == (made / "log.jsonl").read_bytes()
        assert Run(again).config["config"] == Run(made).config["config"]


def test_the_toy_runs_again_to_the_byte(tmp_path, capsys):
    """Sizes fitted to the data and the preset's folder included."""
    from toy.__main__ import PROGRAM as TOY

    words = ["local-small", "--preset", "smoke", "--data", "digits", "--steps", "30", "--lr-lam", "0.02", "--seed", "4"]
    assert main(TOY, [*words, "--out", str(tmp_path / "a")]) == 0
    (root,) = (tmp_path / "a").iterdir()
    made = root / "local-small" / "hypernet"
    assert main(TOY, ["local-small", "--config", str(made), "--out", str(tmp_path / "b")]) == 0, capsys.readouterr().err
    again = tmp_path / "b" / root.name / "local-small" / "hypernet"
    for name in ("log.jsonl", "arrays.npz"):
        assert (again / name).read_bytes() == (made / name).read_bytes()


def test_another_experiments_run_and_other_data_are_refused(call, tmp_path):
    assert call("one", "--arms", "a")[0] == 0
    made = tmp_path / "runs" / "quick-digits-seed7" / "one" / "a"
    code, _, error = call("two", "--config", str(made), data=(), out="x")
    assert code == 2 and "is a run of one, not of two" in error
    config = json.loads((made / "config.json").read_text())
    config["data"]["sha256"] = "0" * 64
    (made / "config.json").write_text(json.dumps(config))
    code, _, error = call("one", "--config", str(made), data=(), out="x")
    assert code == 2 and "other data named digits" in error
    config["config"]["stpes"] = 1
    (made / "config.json").write_text(json.dumps(config))
    code, _, error = call("one", "--config", str(made), data=(), out="x")
    assert code == 2 and "did you mean 'steps'" in error


def test_jobs_begin_with_it_too(tmp_path):
    """Real processes, each with its own arm."""
    from toy.__main__ import PROGRAM as TOY

    (tmp_path / "a.toml").write_text('preset = "smoke"\ndata = "digits"\nmax-seconds = 0.2\nevaluate_every = 4\n')
    words = ["depth", "--config", str(tmp_path / "a.toml"), "--arms", "linear,one-hidden", "--jobs", "2"]
    assert main(TOY, [*words, "--out", str(tmp_path / "runs")]) == 0
    (root,) = (tmp_path / "runs").iterdir()
    assert {path.name for path in (root / "depth").iterdir()} == {"linear", "one-hidden"}
    assert root.name == "smoke+evaluate_every=4+max_seconds=0.2-digits-seed7"
