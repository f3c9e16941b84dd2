"""Places that are not written: shortened records, left parts, locks of this process, of others, and of none."""

import errno
import json
import os
import subprocess
import sys

import pytest

from hyperopt_hn import RunLog, UserError
from hyperopt_hn.errors import UserError as Error
from tests.support.paths import ROOT


def begun(path):
    log = RunLog(path, {"config": {}})
    log.record({"step": 0, "valid_loss": 1.0})
    log.checkpoint({"x": 1})
    return log


def test_remedies_speak_to_a_script_and_to_a_command_line(tmp_path):
    begun(tmp_path / "r").close()
    with pytest.raises(UserError) as caught:
        RunLog(tmp_path / "r", {"config": {}})
    assert "resume=True" in str(caught.value) and "--" not in str(caught.value)
    assert "--resume" in caught.value.typed and "=True" not in caught.value.typed
    both = Error.spelled(lambda say: f"use {say('grid_levels', 3)}, {say('out', ...)}")
    assert (str(both), both.typed) == ("use grid_levels=3, out", "use --grid-levels 3, --out")


def test_a_record_shorter_than_the_checkpoint_says_is_refused(tmp_path):
    begun(tmp_path / "r").close()
    os.truncate(tmp_path / "r" / "log.jsonl", 5)
    with pytest.raises(UserError, match=r"log\.jsonl has lost its end.*overwrite=True"):
        RunLog(tmp_path / "r", {"config": {}}, resume=True)
    assert (tmp_path / "r" / "log.jsonl").stat().st_size == 5


def test_what_a_kill_left_of_the_configuration_is_no_foreign_file(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".config.json.123.part").write_text("{")
    RunLog(tmp_path / "r", {"config": {}}, resume=True).close()
    assert not (tmp_path / "r" / ".config.json.123.part").exists()


def test_ones_own_lock_is_named(tmp_path):
    log = begun(tmp_path / "r")
    with pytest.raises(UserError, match="in use by this very process"):
        RunLog(tmp_path / "r", {"config": {}}, resume=True)
    code = "import sys; from hyperopt_hn import RunLog; RunLog(sys.argv[1], {'config': {}}, resume=True)"
    other = subprocess.run([sys.executable, "-c", code, tmp_path / "r"], cwd=ROOT, capture_output=True, text=True)
    assert "in use by another process" in other.stderr.splitlines()[-1]
    log.close()
    RunLog(tmp_path / "r", {"config": {}}, resume=True).close()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gets_one_warning(tmp_path, monkeypatch, code):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="has no locks") as caught:
        log = begun(tmp_path / "r")
    assert len(caught) == 1
    log.finish({}, {})
    assert json.loads((tmp_path / "r" / "result.json").read_text())["seconds"] >= 0


def test_without_fcntl_everything_is_imported_and_written(tmp_path):
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        "import hyperopt_hn, hyperopt_hn.cli.launch, hyperopt_hn.data.fetch\n"
        "log = hyperopt_hn.RunLog(sys.argv[1], {}); log.record({'step': 0}); log.finish({}, {})\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, tmp_path / "r"], cwd=ROOT, check=True)
    assert (tmp_path / "r" / "result.json").exists()


def test_the_working_directory_may_change(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    log = begun("runs/x")
    monkeypatch.chdir(tmp_path / "elsewhere")
    log.record({"step": 1})
    log.checkpoint({})
    log.finish({}, {})
    assert (tmp_path / "runs/x/result.json").exists() and not list((tmp_path / "elsewhere").iterdir())
