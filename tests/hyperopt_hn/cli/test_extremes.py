"""Every flag of every experiment with extreme values: accepted as far as the first step, or one line and exit code 2.

Nothing is trained. The fast tests take three values of each flag in turn, the slow one all of them in all experiments.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache

import pytest

from hyperopt_hn.cli import launch
from hyperopt_hn.config import fields

VALUES = (
    *("inf", "-inf", "nan", "1e308", "-1e308", "1e-320", "-1", "0", "-0.0", "1e5", "0x10", "true", "none"),
    *("99999999999999999999", "-99999999999999999999", "9" * 400, "9" * 5000, "", " ", "\udcff\udcfe", "é", "x" * 300),
    *("--", "a\nb", "\x1b[31m", "1,2,,3", "-5,3", "../../..", "/", "null", "{}", "%s", "$HOME", "*"),
)
COMMON = ("--preset", "--seed", "--data", "--data-root", "--out", "--arms", "--jobs", "--config", "--none")


class Reached(Exception):
    """All was accepted: the run would begin."""


def reached(*arguments, **more):
    raise Reached


@pytest.fixture(scope="module")
def programs():
    """Both command lines, their data loaded once, their runs not begun."""
    found = {}
    for name in ("toy", "deep"):
        if name == "deep":
            pytest.importorskip("torch")
        program = importlib.import_module(f"{name}.__main__").PROGRAM
        experiments = tuple(replace(e, load=cache(e.load)) for e in program.experiments)
        found[name] = replace(program, experiments=experiments, open_log=reached)
    return found


def cases(program, everything):
    """(experiment, flag, value): all, or each flag of the program once with three values in turn."""
    seen = set()
    for experiment in program.experiments:
        flags = [f"--{name.replace('_', '-')}" for name in fields(experiment.presets["smoke"])]
        for flag in dict.fromkeys([*flags, *COMMON]):
            if everything:
                yield from ((experiment, flag, value) for value in VALUES)
            elif flag not in seen:
                first = 3 * len(seen)
                seen.add(flag)
                yield from ((experiment, flag, VALUES[(first + i) % len(VALUES)]) for i in range(3))


def answer(program, experiment, flag, value, folder, capsys):
    """What is wrong with the answer to this value, or None."""
    data = "topics" if any(word in experiment.name for word in ("lstm", "table1")) else "digits"
    usual = {"--preset": "smoke", "--data": data, "--out": str(folder)}
    words = [experiment.name, *(f"{name}={text}" for name, text in usual.items() if name != flag), f"{flag}={value}"]
    try:
        code = launch.main(program, words)
    except Reached:
        return None
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    out, said = capsys.readouterr()
    right = code == 2 and said.startswith("error: ") and said.count("\n") == 1 and said[:-1].isprintable() and not out
    return None if right else f"exit code {code}: {said!r} {out!r}"


def wrong(name, program, everything, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(launch, "alternate", reached)
    monkeypatch.setattr(launch, "run_jobs", reached)
    found = {}
    for experiment, flag, value in cases(program, everything):
        told = answer(program, experiment, flag, value, folder / "runs", capsys)
        if told:
            found[f"{name} {experiment.name} {flag}={value[:40]!a}"] = told[:200]
    return found


@pytest.mark.parametrize("name", ["toy", "deep"])
def test_extreme_values_are_one_line(name, programs, tmp_path, monkeypatch, capsys):
    assert wrong(name, programs[name], False, tmp_path, monkeypatch, capsys) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "deep"])
def test_all_extreme_values_are_one_line(name, programs, tmp_path, monkeypatch, capsys):
    assert wrong(name, programs[name], True, tmp_path, monkeypatch, capsys) == {}


@pytest.mark.parametrize("words", [[""], ["--"], ["\udcff"], ["x" * 5000], ["all", "--out", "x" * 300]])
def test_first_words(words, programs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert launch.main(programs["toy"], [*words, *(["--data", "digits"] if words[0] == "all" else [])]) == 2
    out, error = capsys.readouterr()
    assert error.count("\n") == 1 and len(error) < 400 and not out
