"""A lock is held by one, ends with its process, and is awaited as long as is asked."""

import subprocess
import sys
import time

import pytest

from hyperopt_hn.files.locks import InUseError, lock
from tests.support.paths import ROOT

HOLD = "import sys, time; from hyperopt_hn.files.locks import lock; from pathlib import Path; "
HOLD += "held = lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def test_a_lock_ends_with_its_process(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "l"], cwd=ROOT, stdout=subprocess.PIPE)
    with other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InUseError) as caught:
            lock(tmp_path / "l")
        assert not caught.value.own
        other.kill()
    start = time.monotonic()
    mine = lock(tmp_path / "l", wait=20.0)
    assert mine is not None and time.monotonic() - start < 20.0
    with pytest.raises(InUseError) as caught:
        lock(tmp_path / "l")
    assert caught.value.own
    mine.release()
    lock(tmp_path / "l").release()


def test_a_place_that_cannot_be_is_no_lack_of_locks(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        lock(tmp_path / "file" / "l")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        lock(tmp_path / ".lock")
    assert not (tmp_path / "elsewhere").exists()
