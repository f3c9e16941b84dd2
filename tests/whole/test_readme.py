"""The README: its example runs, its commands exist, its figures and tests are there."""

import importlib
import re
import subprocess
import sys

import numpy as np
import pytest

from figures.catalogue import SHEETS
from tests.support.paths import ROOT
from toy.__main__ import PROGRAM

README = (ROOT / "README.md").read_text()
TOY = (ROOT / "docs" / "toy.md").read_text()
DEEP = (ROOT / "deep" / "README.md").read_text()
TABLES = [(ROOT / "docs" / f"{name}.md").read_text() for name in ("published-commands", "deviations")]
TEXT = README + TOY + "".join(TABLES)


TORCH_EXAMPLE, PAPER_EXAMPLE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
RIDGE_EXAMPLE, LOAD_EXAMPLE = re.findall(r"```python\n(.*?)```", TOY, re.DOTALL)


def run_example(code, folder):
    return run_whole(code, folder)[-1]


def run_whole(code, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_plain_example_runs_and_tunes(tmp_path):
    assert len([line for line in RIDGE_EXAMPLE.splitlines() if line.strip()]) <= 26
    last = run_example(RIDGE_EXAMPLE, tmp_path)
    decay = float(re.search(r"'decay': ([\d.e-]+)", last)[1])
    assert decay > 0.03, "it starts at 0.01 and must have been tuned upwards"
    assert (tmp_path / "runs" / "ridge" / "result.json").exists()
    assert len(LOAD_EXAMPLE.splitlines()) <= 6
    weights = run_example("import numpy; numpy.set_printoptions(linewidth=1000)\n" + LOAD_EXAMPLE, tmp_path)
    assert len(weights.strip("[]").split()) == 8


def test_the_papers_example_tunes_to_where_retrained_networks_do_best(tmp_path):
    last = run_example(PAPER_EXAMPLE, tmp_path)
    decay, loss = map(float, re.fullmatch(r"decay ([\d.]+), validation loss ([\d.]+)", last).groups())
    rng = np.random.RandomState(0)
    truth = rng.randn(8)
    train, valid = [(x := rng.randn(n, 8), x @ truth + 2 * rng.randn(n)) for n in (12, 200)]

    def retrained(log_decay):
        x, t = train
        w = np.linalg.solve(x.T @ x / 12 + np.exp(log_decay) * np.eye(8), x.T @ t / 12)
        return np.mean((valid[0] @ w - valid[1]) ** 2)

    best = min(np.linspace(-5.0, 3.0, 161), key=retrained)
    assert abs(np.log(decay) - best) < 0.5 and loss < 1.03 * retrained(best), (decay, loss, np.exp(best))


def test_the_torch_example_runs_twice_in_one_folder_and_passes_its_own_check(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    check = """
x, y = (torch.as_tensor(part) for part in test)
assert type(plain) is Sequential and list(plain.state_dict()) == ["0.weight", "0.bias", "3.weight", "3.bias"]
assert cross_entropy(plain.eval()(x.float()), y) < 0.5
print(tuner.hypers())
"""
    first, last = run_whole(TORCH_EXAMPLE + check, tmp_path), run_whole(TORCH_EXAMPLE + check, tmp_path)
    for lines in (first, last):
        assert re.search(r"'dropout': [\d.]+, 'decay': [\d.e-]+", lines[-1])
        verdict = next(line for line in lines if line.startswith("verdict"))
        assert re.match(r"verdict: trust: [234] of 4 settings change .* direction that the response foresees", verdict)
    assert first[-1] == last[-1], "it is seeded"
    assert "runs/digits-2 (overwrite=True replaces it)" in "".join(last)
    for name in ("digits", "digits-2"):
        assert (tmp_path / "runs" / name / "result.json").exists()
    logs = [(tmp_path / "runs" / name / "log.jsonl").read_bytes() for name in ("digits", "digits-2")]
    assert logs[0] == logs[1]
    assert (tmp_path / "course.png").exists() and (tmp_path / "net.pt").exists()


def test_the_torch_example_is_short_and_needs_few_of_our_names():
    lines = [line for line in TORCH_EXAMPLE.splitlines() if line.strip()]
    ours = re.findall(r"^from hyperopt_hn[\w.]* import (.+)$", TORCH_EXAMPLE, re.MULTILINE)
    assert len([name for names in ours for name in names.split(",")]) <= 4
    assert len(lines) <= 24
    assert len([line for line in lines[lines.index("tuner = SelfTuner(") :] if not line.startswith("print")]) <= 13


def test_the_parts_example_runs(tmp_path):
    pytest.importorskip("torch")
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "parts.md").read_text(), re.DOTALL)
    check = """
assert type(plain) is Sequential and list(plain.state_dict()) == ["0.weight", "0.bias", "3.weight", "3.bias"]
assert cross_entropy(plain.eval()(x[1400:]), y[1400:]) < 0.5
print(tuner.hypers())
"""
    last = run_example(example + check, tmp_path)
    assert re.search(r"'dropout': [\d.]+, 'decay': [\d.e-]+", last)
    assert (tmp_path / "runs" / "digits" / "result.json").exists()


def test_every_experiment_and_arm_is_in_the_table():
    for experiment in PROGRAM.experiments:
        assert f"python -m toy {experiment.name}" in TEXT
        assert all(arm in TEXT for arm in experiment.arms)


def test_every_experiment_arm_and_hyperparameter_of_deep_is_in_its_readme():
    pytest.importorskip("torch")
    from deep.__main__ import PROGRAM as deep_program
    from deep.augment.pipeline import NAMES
    from deep.lstm.experiment import HYPERS

    for experiment in deep_program.experiments:
        assert f"python -m deep {experiment.name.replace('-', ' ')}" in DEEP
        assert all(f"`{arm}`" in DEEP for arm in experiment.arms)
    assert all(f"`{name}`" in DEEP for name in {*NAMES, *(hyper.name for hyper in HYPERS)} - {"flip", "crop"})


def test_every_figure_is_in_the_table():
    for name in SHEETS:
        assert name in TEXT or re.fullmatch(r"ax\d_(scatter|hist)", name)


@pytest.mark.parametrize(
    "words", sorted(set(re.findall(r"python -m ((?:toy|deep) [a-z][a-z0-9-]+[^`#\n|]*)", TEXT + DEEP)))
)
def test_commands_are_understood(words):
    from hyperopt_hn.cli.flags import understood
    from hyperopt_hn.cli.launch import named

    program, *rest = words.split()
    if program == "deep":
        pytest.importorskip("torch")
    if "--help" in rest or rest[0] in ("all", "explore"):
        return
    table = importlib.import_module(f"{program}.__main__").PROGRAM
    understood(table, *named(table, rest))


def test_readmes_fit_a_few_screens():
    for text in (README, DEEP):
        assert len(text.splitlines()) <= 150


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", TEXT)) - {"figures", "test"} <= targets | {"that"}
    assert {"help", "test", "test-all", "lint", "figures", "runs", "bench", "clean"} <= targets


def test_tests_named_in_the_deviations_table_exist():
    for name in set(re.findall(r"`((?:[a-z_]+/)*test_[a-z_0-9]+)`", TEXT + DEEP)):
        assert (ROOT / "tests" / f"{name}.py").exists(), name
