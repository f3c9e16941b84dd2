"""docs/recipes.md: every block runs, after the first one; those of packages that are not installed are skipped."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import warnings

import pytest

torch = pytest.importorskip("torch")

from tests.support.paths import ROOT  # noqa: E402

TEXT = (ROOT / "docs" / "recipes.md").read_text()
SETUP, *BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
TITLES = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
FOREIGN = {"lightning", "accelerate", "optuna", "tensorboard", "transformers", "peft", "timm"}


def needed(block):
    """The packages of other makers that a block imports."""
    found = set()
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found & FOREIGN


def run_on_two_processes(block, folder):
    (folder / "script.py").write_text(SETUP + block)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "net.pt").exists() and (folder / "runs" / "two" / "result.json").exists()
    assert not (folder / "runs" / "two-2").exists()
    assert done.stdout.count("valid_loss") == 3  # one process speaks: the start and two epochs


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_recipe(number, tmp_path, monkeypatch, capsys):
    block = BLOCKS[number]
    for package in needed(block):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if "init_process_group" in block:
        run_on_two_processes(block, tmp_path)
        return
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "recipe"}
    with warnings.catch_warnings():
        if needed(block):
            warnings.simplefilter("ignore")  # theirs
        exec(compile(SETUP, "setup", "exec", dont_inherit=True), space)
        exec(compile(block, f"recipe {number}", "exec", dont_inherit=True), space)
    tuner = space.get("tuner") or getattr(space.get("module"), "tuner", None)
    if tuner is not None and tuner.tuner.steps["train"]:
        assert tuner.tuner.steps["tune"] > 0 or "due" in block, "nothing was tuned"


def test_lightning_goes_on_from_its_own_checkpoint(tmp_path, monkeypatch):
    """Four epochs at once, and two that are saved and gone on with in a second trainer, give the same bits."""
    lightning = pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in BLOCKS if "import lightning" in block)
    in_order = SETUP.replace("shuffle=True", "shuffle=False")
    kept = {"__name__": "recipe"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(in_order, "setup", "exec", dont_inherit=True), kept)
        build = kept["build"]
        # a tuning step after every step: whole passes over the validation batches, which a new trainer begins anew
        kept["build"] = lambda: build(tuning=kept["Tuning"](warmup=6, train_per_tune=1))
        exec(compile(block.partition("module = SelfTuning()")[0], "recipe", "exec", dont_inherit=True), kept)

        def trained(epochs, checkpoint=None):
            module = kept["SelfTuning"]()
            quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
            trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", num_sanity_val_steps=0, **quiet)
            torch.manual_seed(3)
            trainer.fit(module, kept["train_loader"], kept["valid_loader"], ckpt_path=checkpoint)
            return module.tuner, trainer

        whole, _ = trained(4)
        half, trainer = trained(2)
        trainer.save_checkpoint("half.ckpt")
        rest, _ = trained(4, "half.ckpt")
    assert half.tuner.steps["tune"] and whole.tuner.steps == rest.tuner.steps != half.tuner.steps
    wanted = whole.plain().state_dict()
    assert all(torch.equal(wanted[name], value) for name, value in rest.plain().state_dict().items())
    assert whole.hypers() == rest.hypers() != half.hypers()


def test_every_recipe_asked_for_is_there():
    asked = ("Lightning", "Accelerate", "own", "Saving", "torchrun", "TensorBoard", "AdamW", "Label smoothing")
    assert not [word for word in asked if word not in " ".join(TITLES)]
