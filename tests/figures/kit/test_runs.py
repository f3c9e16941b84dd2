"""Which roots a figure of deep takes, what is refused, what is left out and which command is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from figures.__main__ import main
from figures.catalogue import SHEETS
from hyperopt_hn.errors import UserError
from tests.reference.synthetic_deep import write_deep
from tests.support.drawn import DEEP, bands, draw, words


@pytest.mark.parametrize("name", DEEP)
def test_one_seed_has_no_band_and_no_deviation(name: str, images: list[Path], texts: list[Path]) -> None:
    fig = draw(name, (images if "cnn" in name else texts)[0])
    assert not bands(fig)
    assert "±" not in words(fig) and "mean" not in words(fig)


def test_mixed_settings_are_refused(images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_deep(tmp_path, preset="smoke", seed=8)
    for name in ("cnn_loss_over_time", "stn_cnn_schedules", "cnn_table"):
        with pytest.raises(UserError, match="name one of them with --runs"):
            draw(name, images[0], other)
    renamed = Path(shutil.copytree(other, tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="preset differs"):
        draw("cnn_table", images[0], renamed)
    assert main(["--runs", str(images[0]), "--runs", str(other), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", DEEP)
def test_one_seed_twice_is_no_spread(name: str, images: list[Path], texts: list[Path], tmp_path: Path) -> None:
    first = (images if "cnn" in name else texts)[0]
    with pytest.raises(UserError, match="same seed 7"):
        draw(name, first, Path(shutil.copytree(first, tmp_path / first.name)))


def alone(parent: Path, name: str, **settings: str) -> Path:
    """A root with this run only."""
    root = write_deep(parent, **settings)  # type: ignore[arg-type]
    for folder in (folder for folder in root.glob("*/*") if folder != root / name):
        shutil.rmtree(folder)
    return root


def test_without_names_what_can_be_drawn_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = alone(tmp_path, "compare-cnn/gp")
    assert main(["--runs", str(root), "--out", str(tmp_path / "out")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    drawn = {path.stem for path in (tmp_path / "out").iterdir()}
    assert drawn == {"cnn_loss_over_time", "cnn_table"}
    assert "left out" in line and all(name in line for name in SHEETS if name not in drawn)
    assert (tmp_path / "out/cnn_table.csv").read_text().startswith("# ")


def test_what_is_not_in_the_runs_is_drawn_from_the_fallback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, other = (alone(tmp_path, "cnn/network", preset=preset) for preset in ("quick", "smoke"))
    text = alone(tmp_path, "table1/final", data="ptb")
    both = ["--runs", str(mine), "--fallback", str(other), "--fallback", str(text), "--out", str(tmp_path / "out")]
    assert main(both) == 0
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"stn_cnn_schedules", "table1"}
    assert b"preset quick" in (tmp_path / "out/stn_cnn_schedules.png").read_bytes()
    assert main([*both, "table1"]) == 0
    capsys.readouterr()
    assert main([*both, "table1", "compare_number_layers"]) == 2
    told = capsys.readouterr().err
    assert "python -m toy depth" in told and "table1" not in told


def test_by_name_a_missing_run_is_an_error_with_its_command(
    texts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs", str(texts[0]), "--out", str(tmp_path / "out"), "table1", "local_small"]) == 2
    assert "did you mean" in capsys.readouterr().err
    shutil.copytree(texts[0] / "lstm", tmp_path / "quick-ptb-seed7/lstm")
    root = tmp_path / "quick-ptb-seed7"
    assert main(["--runs", str(root), "--out", str(tmp_path / "out"), "lstm_loss_over_time"]) == 2
    command = f"python -m deep compare lstm --preset quick --data ptb --seed 7 --out {tmp_path} --resume"
    assert command in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
