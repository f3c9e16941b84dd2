"""A recorded run's network at its best state, with its λ, for code of your own; PyTorch is loaded when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperopt_hn.config import flat_fields, override
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.reader import Run

if TYPE_CHECKING:
    from torch import nn

    from deep.lstm.averaging import Averaged
    from hyperopt_hn.nn import TorchTuner


@dataclass(frozen=True, eq=False)
class BestNetwork:
    """A recorded run at its best validation loss."""

    network: nn.Module
    """The ordinary module with the weights and dropout rates at its λ, in evaluation mode, on the processor."""
    hypers: Mapping[str, Any]
    """Its hyperparameters in natural units."""
    run: Run
    """The run's record: configuration, evaluations, arrays."""
    data: Any
    """The data set that it was trained on."""


@dataclass(frozen=True, eq=False)
class Restored:
    """A recorded run's tuner at its best state, the run's record, and the data that it was trained on."""

    tuner: TorchTuner | Averaged
    run: Run
    data: Any


def load_best(path: Path | str, data: str | None = None) -> BestNetwork:
    """The network of a run directory of `python -m deep` at its best state, with its λ.

    The data set is found by its recorded name unless `data` names it (own images, own texts). Raises UserError for
    a folder that is no such run, other data, and searches and populations, which keep no network of their own.
    """
    best = restored(path, data)
    return BestNetwork(best.tuner.collapsed().eval(), best.tuner.hypers(), best.run, best.data)


def restored(path: Path | str, data: str | None = None) -> Restored:
    """The tuner of a run directory at its best state; as `load_best`."""
    import torch

    from deep.__main__ import PROGRAM
    from deep.lstm.averaging import Averaged
    from hyperopt_hn.cli.experiment import Context
    from hyperopt_hn.nn import TORCH, TorchTuner
    from hyperopt_hn.nn.setup.random_states import random_state, set_random_state

    run = Run(path)
    name, arm = run.config.get("experiment"), run.config.get("arm")
    known = {each.name: each for each in PROGRAM.experiments}
    if name not in known or arm not in known[name].arms:
        raise UserError(f"{path} was not recorded by python -m deep; python -m hyperopt_hn.runs show {path} says more")
    found = known[name]
    loaded = found.load(data or run.config["data"]["name"], None)
    if loaded.sha256 != run.config["data"]["sha256"]:
        raise UserError(f"{path} was recorded on other data than {loaded.name} is here; name them with data=")
    config = found.fit(_recorded(found.presets, run), loaded)
    here = random_state(torch.device("cpu"))  # building and loading move the global random streams
    try:
        tuner, _ = found.build(config, arm, Context(loaded, run.path.resolve().parents[1]))
        if not isinstance(tuner, (TorchTuner, Averaged)):
            raise UserError(f"{path}: arm {arm} keeps its best values, but no network; train one with deep.objective")
        tuner.load_state(TORCH.load(run.path / f"best.{TORCH.suffix}"))
    finally:
        set_random_state(here, torch.device("cpu"))
    return Restored(tuner, run, loaded)


def _recorded(presets: Mapping[str, Any], run: Run) -> Any:
    """The configuration that a run recorded, computed on the processor."""
    start = presets.get(run.config.get("preset", ""), next(iter(presets.values())))
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in run.config["config"].items()}
    here = {"device": "cpu", "amp": "", "compile": "", "deterministic": False}
    known = flat_fields(start)
    return override(start, {**settings, **{k: v for k, v in here.items() if k in known}})
