"""A recorded course of dropout rates for a plain model in plain training, without the toolkit's loop."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from hyperopt_hn.course import Course, Replay
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.layers.dropout import LockedDropout
from hyperopt_hn.runs.reader import Run
from hyperopt_hn.space import Hyper, HyperSpace

PATHS = {"DropPath": "drop_prob", "StochasticDepth": "p"}
"""Classes that drop whole residual branches (timm, torchvision) -> the attribute that is their rate."""


class FollowedRates:
    """Sets a model's dropout rates to a course's values of the present training step; stepped as a scheduler is."""

    def __init__(self, rates: Mapping[str, tuple[nn.Module, str, str]], course: Course) -> None:
        self._rates, self._course = dict(rates), course
        self.steps = 0
        self._set()

    def step(self) -> None:
        """Call it after each `optimizer.step()`."""
        self.steps += 1
        self._set()

    def rates(self) -> dict[str, float]:
        """Path of each module that follows -> its present rate."""
        return {path: float(getattr(module, attribute)) for path, (module, attribute, _) in self._rates.items()}

    def state_dict(self) -> dict[str, Any]:
        """How far it is."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.steps = int(state["steps"])
        self._set()

    def _set(self) -> None:
        values = self._course.at(self.steps)
        for module, attribute, hyper in self._rates.values():
            setattr(module, attribute, float(values[hyper]))


def apply_course(
    model: nn.Module, course: Course | str | Path, dropout: Mapping[str, str] | None = None
) -> FollowedRates:
    """Let a plain model's dropouts follow a course: each training step's recorded rate, step by step.

    `course` is one of hyperopt_hn.course, a run directory or a CSV with a column "step" and one for each rate.
    `dropout` maps paths or patterns of modules to names in the course, {"*": "dropout"}; without it modules follow the
    names that they bear. nn.Dropout of every kind, DropPath and StochasticDepth may follow. Raises UserError for
    a pattern that matches nothing, a name that the course lacks, and a recorded rate outside [0, 1].
    """
    there = {path: (module, attribute) for path, module in model.named_modules() if (attribute := _rate(module))}
    if not isinstance(course, (str, Path)):
        names = list(course.at(0))
    else:
        course = _read(course, there, dropout)
        names = list(course.values)
    mapping = {name: name for name in names if name in there} if dropout is None else dict(dropout)
    found: dict[str, tuple[nn.Module, str, str]] = {}
    for pattern, hyper in mapping.items():
        if hyper not in names:
            raise UserError(f"the course has no {hyper!r}; it has {', '.join(names)}")
        met = [path for path in there if path == pattern or fnmatchcase(path, pattern)]
        if not met:
            raise UserError(f"dropout pattern {pattern!r} matches nothing; dropouts here: {', '.join(there) or 'none'}")
        found = {**{path: (*there[path], hyper) for path in met}, **found}  # the first pattern that fits decides
    if not found:
        raise UserError(
            f"no module bears a name of the course ({', '.join(names)}); say which follow what: dropout={{'*': NAME}}"
        )
    return FollowedRates(found, course)


def _rate(module: nn.Module) -> str | None:
    """The attribute that is a module's dropout rate; None if it drops nothing."""
    if isinstance(module, (_DropoutNd, LockedDropout)):
        return "p"
    return PATHS.get(type(module).__name__)


def _read(path: str | Path, there: Mapping[str, Any], dropout: Mapping[str, str] | None) -> Replay:
    """The recorded course of the rates that are asked for."""
    wanted = there if dropout is None else dropout.values()
    space = HyperSpace([Hyper(name, 0.5, 0.0, 1.0) for name in dict.fromkeys(wanted) if name.isidentifier()], [])
    if not space.names:
        raise UserError("no dropout of the model bears a hyperparameter's name; say which follow what: dropout=")
    return Replay.of_run(Run(path), space) if Path(path).is_dir() else Replay.of_csv(path, space)
