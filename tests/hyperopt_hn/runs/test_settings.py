"""A run's configuration: paths and numpy's numbers are kept, what JSON cannot hold is refused by name, passwords go."""

import json
from pathlib import Path

import numpy as np
import pytest

from hyperopt_hn import RunLog, UserError
from hyperopt_hn.runs.settings import masked


def test_paths_and_numpy_numbers_are_kept(tmp_path):
    config = {"where": Path("a/b"), "lr": np.float32(0.5), "n": np.int64(3), "on": np.bool_(True), "sizes": (1, 2)}
    RunLog(tmp_path / "r", {"config": config}).close()
    written = json.loads((tmp_path / "r" / "config.json").read_text())["config"]
    assert written == {"where": "a/b", "lr": 0.5, "n": 3, "on": True, "sizes": [1, 2]}
    RunLog(tmp_path / "r", {"config": config}, resume=True).close()


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {1}, np.dtype("float32"), np.zeros(3), object(), b"x"])
def test_what_json_cannot_hold_is_refused_by_name(tmp_path, value):
    with pytest.raises(UserError, match=r"config\.optimizer\.lr") as caught:
        RunLog(tmp_path / "r", {"config": {"optimizer": {"lr": value}}})
    assert "\n" not in str(caught.value) and not (tmp_path / "r").exists()


def test_passwords_of_urls_are_not_kept(tmp_path):
    config = {"storage": "postgresql://tuner:s3cret@db.example:5432/studies", "note": "see https://example.org/a@b"}
    log = RunLog(tmp_path / "r", {"config": config, "command": ["x", "--storage", config["storage"]]})
    log.close()
    text = (tmp_path / "r" / "config.json").read_text()
    assert "s3cret" not in text and "postgresql://***@db.example:5432/studies" in text
    assert "https://example.org/a@b" in text
    RunLog(tmp_path / "r", {"config": config}, resume=True).close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql+pymysql://u:p@h/d", "mysql+pymysql://***@h/d"),
        ("redis://:p%40ss@h:1", "redis://***@h:1"),
        ("failed for postgresql://u:p@h/d and sqlite:///f.db", "failed for postgresql://***@h/d and sqlite:///f.db"),
        ("sqlite:////tmp/u@h.db", "sqlite:////tmp/u@h.db"),
    ],
)
def test_masked(text, shown):
    assert masked(text) == shown
