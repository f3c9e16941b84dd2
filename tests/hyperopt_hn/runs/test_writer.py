"""Run directories: half-written lines, fuzzed files, the command line."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperopt_hn import Run, RunLog, UserError, find_run
from hyperopt_hn.runs.__main__ import main

CONFIG = {"experiment": "walk", "arm": "a", "preset": "test", "seed": 0, "config": {"steps": 1}, "data": {"name": "d"}}


@pytest.fixture
def path(tmp_path):
    log = RunLog(tmp_path / "walk" / "a", CONFIG)
    for step in range(3):
        log.record({"step": step, "valid_loss": 1.0 / (step + 1), "hypers": {"rate": 0.1 * step}})
    log.finish({"reason": "finished", "sentence": "s", "best": {"step": 2}, "final": {}}, {"x": np.arange(3)})
    return tmp_path / "walk" / "a"


def test_reads_what_was_written(path):
    run = Run(path)
    assert run.columns() == ["step", "valid_loss", "hypers/rate"]
    assert run.column("hypers/rate").tolist() == [0.0, 0.1, 0.2]
    assert math.isnan(run.column("hypers/other")[0])
    assert run.arrays["x"].tolist() == [0, 1, 2]
    assert find_run(path.parents[1], "walk/a").finished


def test_a_half_written_last_line_is_survived(path):
    with open(path / "log.jsonl", "ab") as file:
        file.write(b'{"step": 3, "valid_lo')
    assert len(Run(path).records) == 3


def test_a_damaged_line_inside_is_an_error(path):
    text = (path / "log.jsonl").read_bytes().replace(b'"step": 1', b'"step": 1x')
    (path / "log.jsonl").write_bytes(text)
    with pytest.raises(UserError, match="line 2 is damaged"):
        Run(path)


def test_missing_run_names_the_command(tmp_path):
    with pytest.raises(UserError, match="python -m toy local-small"):
        find_run(tmp_path, "local-small/hypernet", ["python", "-m", "toy", "local-small"])


def test_non_finite_numbers_cannot_enter_a_record(tmp_path):
    log = RunLog(tmp_path / "r", CONFIG)
    with pytest.raises(ValueError, match="Out of range"):
        log.record({"step": 0, "loss": math.nan})
    log.close()


READERS = {"config.json": lambda p: Run(p), "log.jsonl": lambda p: (Run(p).columns(), Run(p).column("a/b")),
           "clock.jsonl": lambda p: Run(p).seconds, "result.json": lambda p: Run(p).result,
           "arrays.npz": lambda p: Run(p).arrays}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_fuzzed_files_give_our_error_or_succeed(tmp_path_factory, name, data):
    path = tmp_path_factory.mktemp("fuzz")
    log = RunLog(path / "r", CONFIG)
    log.record({"step": 0, "hypers": {"a": 1.0}})
    log.finish({"reason": "x"}, {"x": np.arange(4.0)})
    file = path / "r" / name
    good = file.read_bytes()
    if data.draw(st.booleans()):
        bad = data.draw(st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
    else:
        at = data.draw(st.integers(0, 10_000)) % len(good)  # its length varies with the clock
        bad = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 4)) :]
    file.write_bytes(bad)
    try:
        READERS[name](path / "r")
    except UserError as error:
        assert "\n" not in str(error)


def test_show_csv_plot(path, capsys):
    assert main(["show", str(path)]) == 0
    assert "walk/a" in capsys.readouterr().out
    assert main(["csv", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "seconds,step,valid_loss,rate" and len(lines) == 4
    assert float(lines[3].split(",")[2]) == 1.0 / 3.0
    assert main(["plot", str(path)]) == 0
    assert (path / "record.png").read_bytes()[:4] == b"\x89PNG"


def test_show_of_nothing_is_one_line_and_code_2(tmp_path, capsys):
    assert main(["show", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_newer_directories_are_refused(path):
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(UserError, match="newer version"):
        Run(path)


def test_a_picture_without_a_place_or_a_format(tmp_path, capsys):
    from hyperopt_hn.runs.__main__ import main

    path = tmp_path / "run"
    log = RunLog(path, {"experiment": "walk"})
    log.record({"step": 1, "valid_loss": 1.0, "hypers": {"a": 0.5}})
    log.finish({"reason": "finished"}, {})
    for out, said in ((tmp_path / "no" / "p.png", "no folder"), (tmp_path / "p.xyz", "ends in .png")):
        assert main(["plot", str(path), "--out", str(out)]) == 2
        assert said in capsys.readouterr().err and not out.exists()
    assert main(["plot", str(path), "--out", str(tmp_path / "p.pdf")]) == 0
    assert (tmp_path / "p.pdf").read_bytes()[:4] == b"%PDF"
