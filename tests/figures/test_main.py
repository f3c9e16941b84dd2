"""The figures draw from run directories alone, the same bytes each time, and refuse what they cannot draw."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from figures.__main__ import main
from figures.catalogue import SHEETS, choose
from figures.kit import render, roots
from hyperopt_hn.errors import UserError
from tests.reference.synthetic_deep import write_deep
from tests.reference.synthetic_runs import write_all
from tests.support.paths import ROOT

NAMES = (
    *("hypernets_global_small", "hypernets_local_small", "train_loss_manifold", "valid_loss_manifold"),
    *("learn_vs_true_loss_scatter", "learn_vs_true_loss_hist", "ax0_scatter", "ax1_scatter", "ax2_scatter"),
    *("ax0_hist", "ax1_hist", "ax2_hist", "hypernets_local_medium", "hypernets_local_large", "compare_number_layers"),
    *("stn_cnn_schedules", "cnn_loss_over_time", "cnn_table", "stn_dropouto_schedules", "table1"),
    *("lstm_schedules", "lstm_loss_over_time"),
)
KINDS = ["hypernets_local_small", "train_loss_manifold", "ax0_scatter", "ax0_hist", "hypernets_local_medium"]
KINDS += ["stn_cnn_schedules", "cnn_table"]
EXPERIMENTS = (
    *("global-small", "crossval", "local-small", "loss-manifold", "weights-vs-loss"),
    *("local-medium", "local-large", "depth"),
)
REPOSITORY = ROOT

# Draws with every training module refused, then tells whether a module that opens windows came in.
ALONE = """
import sys
REFUSED = {"toy", "deep", "autograd", "torch", "sklearn", "optuna", "scipy"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REFUSED:
            raise ImportError(f"a figure imported {name}")
sys.meta_path.insert(0, Refuse())
from figures.__main__ import main
code = main(sys.argv[1:])
assert "matplotlib.pyplot" not in sys.modules
sys.exit(code)
"""


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run of toy, made up, with those of deep beside it; tests that spoil a run copy it first."""
    parent = tmp_path_factory.mktemp("runs")
    write_deep(parent)
    write_deep(parent, data="ptb")
    return write_all(parent)


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(pristine, tmp_path / pristine.name))


@pytest.fixture(scope="session")
def drawn_twice(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Drawn by two processes whose hashes are salted differently: every figure, and again one of each kind."""
    outs, processes = [], []
    for salt, names in (("1", []), ("2", KINDS)):
        outs.append(tmp_path_factory.mktemp("out") / "drawn")
        command = [sys.executable, "-W", "error", "-c", ALONE, "--runs", str(pristine.parent), "--out", str(outs[-1])]
        environment = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1"}
        processes.append(
            subprocess.Popen(
                [*command, *names], cwd=outs[-1].parent, env=environment, text=True, stderr=subprocess.PIPE
            )
        )
    for process in processes:
        _, told = process.communicate(timeout=240)
        assert process.returncode == 0, told
    return outs[0], outs[1]


def test_every_published_name_is_drawn_without_training_modules(drawn_twice: tuple[Path, Path]) -> None:
    assert tuple(SHEETS) == NAMES
    files = {f"{name}.{kind}" for name in NAMES for kind in render.FORMATS}
    assert {path.name for path in drawn_twice[0].iterdir()} == files | {"cnn_table.csv", "table1.csv"}


def test_equal_runs_give_equal_bytes(drawn_twice: tuple[Path, Path]) -> None:
    for again in drawn_twice[1].iterdir():
        assert again.read_bytes() == (drawn_twice[0] / again.name).read_bytes(), again.name


def test_files_hold_no_date_and_no_program_version(drawn_twice: tuple[Path, Path]) -> None:
    for path in drawn_twice[0].iterdir():
        content = path.read_bytes()
        for word in (b"CreationDate", b"Producer", b"Software", b"matplotlib version"):
            assert word not in content, (path.name, word)


def test_one_message_lists_the_command_of_every_missing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = tmp_path / "quick-digits-seed11", tmp_path / "out"
    root.mkdir()
    assert main(["--runs", str(root), "--out", str(out)]) == 2
    told = capsys.readouterr()
    for experiment in EXPERIMENTS:
        line = f"python -m toy {experiment} --preset quick --data digits --seed 11 --out {tmp_path} --resume"
        assert told.err.count(line) == 1
    assert "python -m deep compare cnn --preset quick --data digits --seed 11" in told.err
    assert "lstm" not in told.err and "table1" not in told.err  # digits are no text
    assert told.err.count("error:") == 1
    assert told.out == ""
    assert not out.exists()


def test_the_command_repeats_changed_settings_and_the_usual_folder_is_not_told() -> None:
    told = roots.command(Path("runs/quick+lr_phi=0.001+steps=50-mnist-seed3"), "depth/linear", roots.TOY)
    assert told == "python -m toy depth --preset quick --data mnist --seed 3 --lr-phi 0.001 --steps 50"


def test_an_unfinished_run_is_told_with_its_command(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "local-small/hypernet/result.json").unlink()
    assert main(["--runs", str(root), "--out", str(tmp_path / "out"), "hypernets_local_small"]) == 2
    assert "local-small --preset quick --data digits --seed 7" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_figure_names_the_nearest(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs", str(pristine), "--out", str(tmp_path / "out"), "hypernet_local_smal"]) == 2
    assert "did you mean 'hypernets_local_small'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["--runs"], ["--runs", "no/such/folder"], ["--wrong"]])
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unwritable_folder_is_told(pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["--runs", str(pristine), "--out", str(tmp_path / "file"), "train_loss_manifold"]) == 2
    assert "--out" in capsys.readouterr().err


def _rewrite(npz: Path, **changes: object) -> None:
    """Replace arrays of an archive; None takes one out."""
    with np.load(npz) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    np.savez(npz, **{name: np.asarray(value) for name, value in arrays.items() if value is not None})  # type: ignore[arg-type]


SPOILED = {
    "bad config": ("config.json", lambda path: path.write_text("{")),
    "config of another kind": ("config.json", lambda path: path.write_text("[1]")),
    "truncated archive": ("arrays.npz", lambda path: path.write_bytes(path.read_bytes()[:200])),
    "empty archive": ("arrays.npz", lambda path: path.write_bytes(b"")),
    "no archive": ("arrays.npz", lambda path: path.unlink()),
    "missing array": ("arrays.npz", lambda path: _rewrite(path, curve_valid=None)),
    "wrong dimension": ("arrays.npz", lambda path: _rewrite(path, curve_valid=np.ones((3, 3)))),
    "wrong length": ("arrays.npz", lambda path: _rewrite(path, curve_valid=np.ones(3))),
    "no entries": ("arrays.npz", lambda path: _rewrite(path, curve_lambda=np.ones(0), curve_valid=np.ones(0))),
    "not finite": ("arrays.npz", lambda path: _rewrite(path, curve_valid=np.full(200, np.nan))),
    "words for numbers": ("arrays.npz", lambda path: _rewrite(path, curve_valid=np.full(200, "much"))),
    "pickled objects": ("arrays.npz", lambda path: _rewrite(path, curve_valid=np.array([{}] * 200, dtype=object))),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_corrupt_run_names_the_file_and_the_command(
    kind: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, spoil = SPOILED[kind]
    spoil(root / "local-small/hypernet" / file)
    assert main(["--runs", str(root), "--out", str(tmp_path / "out"), "hypernets_local_small"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert f"local-small/hypernet/{file}" in told
    assert "local-small --preset quick --data digits --seed 7" in told and "--arms hypernet --overwrite" in told
    assert not (tmp_path / "out").exists()


def test_a_corrupt_run_is_made_again_by_the_command_that_it_recorded(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = root / "local-small/hypernet"
    config = json.loads((folder / "config.json").read_text())
    words = ["python", "-m", "mine", "own words", "--arms", "hypernet"]
    (folder / "config.json").write_text(json.dumps({**config, "command": words}))
    (folder / "log.jsonl").write_text("{\n")
    assert main(["--runs", str(root), "--out", str(tmp_path / "out"), "hypernets_local_small"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert f"python -m mine 'own words' --arms hypernet --out {root.parent} --overwrite" in told
    assert told.count("make it again") == 1 and "python -m toy" not in told


@pytest.mark.parametrize("line", ["{", "[1]", '{"step": 0}', '{"valid_loss": "low"}', ""])
def test_a_corrupt_log_names_the_file_and_the_command(
    line: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "local-medium/tpe/log.jsonl").write_text(line + "\n")
    assert main(["--runs", str(root), "--out", str(tmp_path / "out"), "hypernets_local_medium"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "local-medium/tpe" in told and "--arms tpe --overwrite" in told
    assert not (tmp_path / "out").exists()


def test_a_half_written_last_line_is_survived(root: Path) -> None:
    for name in ("log.jsonl", "clock.jsonl"):
        with open(root / "local-medium/tpe" / name, "a") as file:
            file.write('{"step": 1')
    render.gather(choose(["hypernets_local_medium"]), [root])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["config.json", "arrays.npz", "log.jsonl", "clock.jsonl"]), st.data())
def test_any_bytes_are_read_or_refused(root: Path, file: str, data: st.DataObject) -> None:
    path = root / "local-small/hypernet" / file
    content = path.read_bytes()
    position = data.draw(st.integers(0, len(content)))
    spoiled = content[:position] + data.draw(st.binary(max_size=8)) + content[position + data.draw(st.integers(0, 8)) :]
    path.write_bytes(spoiled)
    try:
        render.gather(choose(["hypernets_local_small"]), [root])
    except UserError as error:
        assert str(path.parent) in str(error)
    finally:
        path.write_bytes(content)


def test_runs_on_different_data_are_not_drawn_together(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "crossval/truth/config.json"
    config = json.loads(path.read_text())
    config["data"]["name"] = "mnist"
    path.write_text(json.dumps(config))
    assert main(["--runs", str(root), "--out", str(tmp_path / "out"), "hypernets_local_small"]) == 2
    assert "data set differs" in capsys.readouterr().err
