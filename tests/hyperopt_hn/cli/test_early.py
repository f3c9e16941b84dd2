"""Ctrl-C while a command line imports is one word; another program's errors and interrupts stay its own."""

import signal
import subprocess
import sys

import pytest

from hyperopt_hn.cli import early
from tests.support.paths import ROOT


@pytest.mark.parametrize("package", ["toy", "deep"])
@pytest.mark.parametrize("name", ["KeyboardInterrupt", "ValueError"])
def test_one_word_and_only_for_our_own_command_lines(package, name):
    pytest.importorskip("torch") if package == "deep" else None
    for first, told in (("-m", name == "KeyboardInterrupt"), ("theirs.py", False)):
        program = f"import sys; sys.argv = [{first!r}]; import {package}; raise {name}"
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == (-signal.SIGINT if name == "KeyboardInterrupt" else 1)
        assert (done.stderr.strip() == "interrupted") == told and ("Traceback" in done.stderr) != told


def test_this_program_keeps_its_own():
    assert sys.excepthook is not early.told
