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
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://***@h/d"),
        ("postgresql://u:s@cr@t@h/d", "postgresql://***@h/d"),
        ("postgresql://u:s/cr@h/d", "postgresql://***@h/d"),
        ("postgresql://u:s cr/t@h/d", "postgresql://***@h/d"),
        ("no postgresql://u:s/c@r@h/d here", "no postgresql://***@h/d here"),
        ("postgresql://u:8080@h/d", "postgresql://***@h/d"),
        ("postgresql://h/d?user=u&password=s3&sslmode=require", "postgresql://h/d?user=u&password=***&sslmode=require"),
        ("postgresql:///d?sslPassword=s3", "postgresql:///d?sslPassword=***"),
        ("see https://h:8080/a@b and https://h/a:b@c", "see https://h:8080/a@b and https://h/a:b@c"),
    ],
)
def test_masked(text, shown):
    assert masked(text) == shown
