"""What a root's name says: the command that makes a run, and where another experiment's runs are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from figures.__main__ import main
from figures.kit import roots
from hyperopt_hn import find_run
from hyperopt_hn.errors import UserError
from tests.reference.synthetic_runs import write_all


def test_commands_of_the_deep_part(tmp_path: Path) -> None:
    root = Path("runs/paper-ptb-seed3")
    assert (
        roots.command(root, "table1/replay", roots.TEXTS) == "python -m deep table1 --preset paper --data ptb --seed 3"
    )
    assert roots.command(root, "compare-cnn/pbt", roots.IMAGES) == "python -m deep compare cnn --preset paper --seed 3"
    with pytest.raises(UserError, match="python -m deep compare lstm --resume"):
        find_run(tmp_path, "compare-lstm/stn", roots.TEXTS.words("compare-lstm"))
    with pytest.raises(UserError, match="python -m toy depth --resume"):
        find_run(tmp_path, "depth/linear", roots.TOY.words("depth"))


def test_settings_of_one_experiment_are_not_given_to_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five times the steps of a hypernetwork are no reason to train the true networks five times as long."""
    plain = write_all(tmp_path)
    changed = tmp_path / "quick+n_train=20+steps=5000-digits-seed7"
    shutil.copytree(plain / "local-small", changed / "local-small")
    out = ["--out", str(tmp_path / "out"), "hypernets_local_small"]
    assert main(["--runs", str(changed), *out]) == 2
    told = capsys.readouterr().err
    assert "python -m toy crossval --preset quick --data digits --seed 7 --n-train 20 --out" in told
    assert "--steps" not in told
    shutil.copytree(plain / "crossval", tmp_path / "quick+n_train=20-digits-seed7" / "crossval")  # what it makes
    assert main(["--runs", str(changed), *out]) == 0
    drawn = (tmp_path / "out/hypernets_local_small.pdf").read_bytes()
    assert b"quick+n_train=20+steps=5000 and quick+n_train=20" in drawn
    assert "--steps 5000" in roots.command(changed, "local-small/hypernet", roots.TOY)
