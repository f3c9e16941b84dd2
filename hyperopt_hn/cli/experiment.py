"""What a program hands to the command line: its experiments, how their data are loaded and their runs are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.config import described
from hyperopt_hn.data.catalogue import load
from hyperopt_hn.errors import UserError, unknown
from hyperopt_hn.loop import Log
from hyperopt_hn.runs.display.progress import Derived, nothing
from hyperopt_hn.runs.reader import Run, find_run
from hyperopt_hn.runs.sinks import Sink
from hyperopt_hn.runs.writer import NPZ, Codec, RunLog
from hyperopt_hn.schedule import Alternation


class Data(Protocol):
    """What every data set says of itself; `Images` and `Text` do."""

    @property
    def name(self) -> str:
        """Short, for folder names and figures."""
        ...

    @property
    def sha256(self) -> str:
        """Of the data set as a whole."""
        ...

    @property
    def note(self) -> str:
        """Where the data come from, one sentence without paths."""
        ...


@described
@dataclass(frozen=True)
class Context:
    """What an arm is built from beside its configuration: the data, and the runs made before it."""

    data: Any
    root: Path
    program: str = ""
    """The module of the command line, "toy" or "deep", which makes the runs."""

    def run(self, name: str) -> Run:
        """The finished run "experiment/arm" of the same preset, data and seed.

        Raises UserError with the command that makes it where it is missing.
        """
        command = ["python", "-m", self.program, name.split("/", 1)[0]] if self.program else []
        return find_run(self.root, name, command)


def _as_given(config: Any, data: Any) -> Any:
    return config


@described
@dataclass(frozen=True)
class Experiment:
    """A named experiment: presets of one configuration, and the arms that each make one run."""

    name: str
    """With a dash, it may be typed as two words: "compare-cnn" as `compare cnn`."""
    about: str
    """One sentence for `--help`, with the figure or section it reproduces."""
    presets: Mapping[str, Any]
    """Preset name -> configuration."""
    arms: tuple[str, ...]
    """Methods or models that are run and compared; each is one run directory."""
    build: Callable[[Any, str, Context], tuple[Tuner, Alternation]]
    """(configuration, arm, context) -> what `alternate` runs."""
    fit: Callable[[Any, Any], Any] = _as_given
    """(configuration, data) -> the configuration for data of this size; what it returns is recorded."""
    needs_data: bool = True
    load: Callable[[str, Path | None], Data] = load
    """(`--data`, `--data-root`) -> the data set."""
    data_help: str = "data set, or a custom .npz (default: auto, which is MNIST or digits)"
    derived: Derived = nothing
    """A record -> what the progress says beside it."""
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Arm -> arms of this experiment whose finished runs it reads; they come first."""
    subcommand: bool = False
    """Whether it is shown as two words in a command, `compare cnn`."""

    @property
    def words(self) -> list[str]:
        """What is typed to name it."""
        return self.name.split("-") if self.subcommand else [self.name]


def open_log(
    path: Path,
    config: Mapping[str, Any],
    codec: Codec,
    resume: bool = False,
    overwrite: bool = False,
    sinks: Sequence[Sink] = (),
) -> Log:
    """One process's run directory."""
    return RunLog(path, config, resume, overwrite, codec, sinks)


def _always() -> bool:
    return True


@described
@dataclass(frozen=True)
class Program:
    """A command line: its name, its experiments, the packages whose versions a run records, its checkpoints."""

    name: str
    about: str
    experiments: tuple[Experiment, ...]
    packages: tuple[str, ...]
    codec: Codec = NPZ
    open_log: Callable[..., Log] = open_log
    """(path, configuration, codec, resume, overwrite, sinks) -> the run's directory."""
    is_main_process: Callable[[], bool] = _always
    """Whether this process is the one of several that talks to the user."""

    def find(self, name: str) -> Experiment:
        """The experiment of that name. Raises UserError naming the nearest."""
        table = {experiment.name: experiment for experiment in self.experiments}
        if name not in table:
            raise UserError(unknown("experiment", name, [*table, "all"]))
        return table[name]
