"""The recorded commit is this program's own, also inside another repository and with GIT_DIR set."""

import shutil
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

CODE = "from hyperopt_hn.runs.provenance import versions_and_commit as p; x = p([]); print(x['commit'], x['dirty'])"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def repository(folder):
    folder.mkdir()
    (folder / "file").write_text("x")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=u", "-c", "user.email=u@e", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout


def recorded(folder, **more):
    import os

    env = {**os.environ, "PYTHONPATH": str(folder), **more}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_repository_around_the_program_is_not_its_own(tmp_path):
    other = repository(tmp_path / "outer")
    shutil.copytree(ROOT / "hyperopt_hn", tmp_path / "outer" / "hyperopt_hn")
    assert recorded(tmp_path / "outer") == ["None", "False"] and other.strip()


def test_a_hooks_environment_does_not_name_another(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    repository(tmp_path / "outer")
    mine = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert recorded(ROOT, GIT_DIR=str(tmp_path / "outer" / ".git"))[0] == mine.strip()
