"""A recorded run back: the ordinary network at its best, with the hyperparameters it was at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from hyperopt_hn.config import described
from hyperopt_hn.errors import UserError
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.nn.context import hyper_layers
from hyperopt_hn.nn.conversion.collapsing import collapse
from hyperopt_hn.nn.responses import Losses, Response
from hyperopt_hn.nn.responses.names import NAMES
from hyperopt_hn.nn.self_tuning.assembly import converted, copied
from hyperopt_hn.nn.self_tuning.data import NoData
from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.nn.setup.problem import TorchProblem
from hyperopt_hn.nn.tuning import checkpoint
from hyperopt_hn.nn.tuning.codec import TORCH
from hyperopt_hn.runs.reader import Run
from hyperopt_hn.space import HyperSpace


@described
@dataclass(frozen=True)
class LoadedRun:
    """What `load_run` gives back."""

    network: nn.Module
    """The ordinary network with its weights at the best evaluation, dropout rates included."""
    hypers: Mapping[str, Any]
    """The hyperparameters there, natural units."""
    run: Run
    """The record: run.column("valid_loss"), run.steps, run.config, run.result."""


def load_run(path: Path | str, net: nn.Module) -> LoadedRun:
    """The best network of a run that `SelfTuner.fit(out=path)` recorded, finished or not; `net` says how it is built.

    `net` is the network that the SelfTuner was given, or another of the same architecture; it stays as it is. Raises
    UserError for a folder that is no such run, and for a network that does not fit it.
    """
    run = Run(path)
    if run.config.get("experiment") != "self-tuner" or "hypers" not in run.config:
        raise UserError(
            f"{path} was not recorded by SelfTuner.fit; python -m hyperopt_hn.runs show {path} says by what"
        )
    state = TORCH.load(Path(path) / f"best.{TORCH.suffix}")
    checkpoint.check_kind(state)
    space = HyperSpace([_hyper(settings) for settings in run.config["hypers"]], run.config["config"]["tuned"])
    response = _response(run.config["response"])
    model = converted(copied(net), space, run.config["dropout"], response, run.config["config"].get("form", "full"))
    checkpoint.check_fits(model, state["model"], "network")
    model.load_state_dict(state["model"])
    hypers = Hypers(space, next(model.parameters()).device, state["hypers"]["lam"].dtype)
    hypers.load_state_dict(state["hypers"])
    lam = hypers.lam.detach()
    if next(hyper_layers(model), None) is not None:
        nothing = TorchProblem(_no_loss, _no_loss, NoData("training"), NoData("validation"))
        model = collapse(model, lam, h=response.input(Losses(model, model, hypers, nothing), lam))
    return LoadedRun(model, hypers.plain(), run)


def _hyper(settings: Mapping[str, Any]) -> Hyper:
    ends = {name: float(settings[name]) for name in ("low", "high")}  # infinite ones are words in JSON
    return Hyper(**{**settings, **ends})


def _response(recorded: Mapping[str, Any]) -> Response:
    if recorded["kind"] not in NAMES:
        raise UserError(
            f"the run's response {recorded['kind']!r} is one of your own; make the SelfTuner again and fit(resume=True)"
        )
    return type(NAMES[recorded["kind"]])(**recorded["settings"])


def _no_loss(*_: Any) -> Any:
    raise UserError("a loaded run has no losses")
