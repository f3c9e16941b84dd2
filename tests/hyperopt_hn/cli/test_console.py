"""`hyperopt-hn`: each command line from any folder, one line where it is not there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hyperopt_hn import __version__
from hyperopt_hn.cli import console
from tests.support.paths import ROOT


def run(folder, *words, code="from hyperopt_hn.cli.console import main; raise SystemExit(main())", **environment):
    """In another process, of which the current folder is not the clone; only hyperopt_hn is on its path."""
    link = folder / "path"
    link.mkdir(exist_ok=True)
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import hyperopt_hn; sys.path.remove({str(ROOT)!r}); {code}"
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-P", "-c", start, *words], capture_output=True, text=True, cwd=link,
        env={**inherited, **environment},
    )  # fmt: skip


def test_without_a_command_it_lists_them(capsys):
    assert console.main([]) == 0
    out = capsys.readouterr().out
    assert all(f"  {word} " in out for word in ("runs", "toy", "deep", "figures"))
    assert console.main(["--version"]) == 0 and capsys.readouterr().out == f"{__version__}\n"


def test_an_unknown_command_names_the_nearest(capsys):
    assert console.main(["run"]) == 2 and "did you mean 'runs'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["toy"], "local-small"),
        (["toy", "local-small", "--help"], "--lr-lam"),
        (["runs", "--help"], "show"),
        (["figures", "--help"], "--runs"),
        (["deep", "cnn", "--help"], "--lr-lam"),
    ],
)
def test_each_command_line_runs_from_any_folder(words, shown, tmp_path):
    if words[0] == "deep":
        pytest.importorskip("torch")
    done = run(tmp_path, *words)
    assert done.returncode == 0 and shown in done.stdout, done.stderr


def test_exit_codes_and_jobs_pass_through(tmp_path):
    assert run(tmp_path, "toy", "local-smal").returncode == 2
    words = ["depth", "--preset", "smoke", "--data", "digits", "--arms", "linear,one-hidden", "--max-seconds", "0.2"]
    done = run(tmp_path, "toy", *words, "--evaluate-every", "4", "--jobs", "2", "--out", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").glob("*/depth/*/result.json"))) == 2


def test_what_is_not_installed_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(console, "ROOT", tmp_path)
    for word in ("toy", "deep", "figures"):
        assert console.main([word]) == 2
        error = capsys.readouterr().err
        assert f"{word} is not installed" in error and error.count("\n") == 1


def test_a_missing_library_is_named_with_its_extra(tmp_path):
    code = "sys.modules['autograd'] = None; from hyperopt_hn.cli.console import main; raise SystemExit(main())"
    done = run(tmp_path, "toy", code=code)
    assert done.returncode == 2 and "pip install -e '.[toy]'" in done.stderr and done.stderr.count("\n") == 1
