"""The flags of an experiment: the common ones, and one for every option of its configuration."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any, NoReturn, get_origin

from hyperopt_hn.cli.experiment import Experiment, Program
from hyperopt_hn.cli.start import StartingPoint, read_start
from hyperopt_hn.cli.values import parse
from hyperopt_hn.config import described, flat_fields, override, sections
from hyperopt_hn.errors import UserError, brief, unknown

LARGEST_SEED = 2**31 - 1
TECHNICAL = "technical settings (no part of the folder's name)"


@described
@dataclass(frozen=True)
class Parsed:
    """An experiment's command line, understood."""

    flags: argparse.Namespace
    """The common flags."""
    preset: Any
    """The preset's configuration."""
    config: Any
    """The configuration to run: the preset, changed by `--config`, changed by the flags."""
    start: StartingPoint


def understood(program: Program, experiment: Experiment, arguments: Sequence[str]) -> Parsed:
    """An experiment's arguments, common and its own. Raises UserError naming the nearest flag."""
    first = _first(experiment, arguments)
    start = read_start(first.config, experiment) if first.config is not None else StartingPoint()
    name = first.preset or start.flags.get("preset", "quick")
    if name not in experiment.presets:
        raise UserError(unknown(f"preset of {experiment.name}", name, list(experiment.presets)))
    preset = experiment.presets[name]
    config = override(preset, start.settings)
    parser = common(program, experiment.name, experiment.about, list(experiment.presets), experiment.data_help)
    parser.set_defaults(arms=",".join(experiment.arms))
    parser.set_defaults(**{flag: str(value) for flag, value in start.flags.items()})  # texts, so that they are checked
    parser.set_defaults(preset=name)
    arms = f"which to run, comma-separated (default: {','.join(experiment.arms)})"
    parser.chosen.add_argument("--arms", metavar="ARM,...", help=arms)
    parser.chosen.add_argument(
        "--config",
        metavar="RUN|FILE",
        help="start with a recorded run's configuration, or that of a .json or .toml file",
    )
    _add_settings(parser, config)
    flags = parser.strict(arguments)
    known = flat_fields(config)
    changed = {k: v for k, v in vars(flags).items() if k in known and k != "seed"}
    return Parsed(flags, preset, override(config, {**changed, "seed": flags.seed}), start)


def _first(experiment: Experiment, arguments: Sequence[str]) -> argparse.Namespace:
    """Preset and configuration, found first because their values are the other flags' defaults."""
    finder = Parser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", choices=list(experiment.presets), default=None)
    finder.add_argument("--config", default=None)
    return finder.parse_known_args(arguments)[0]


def common(program: Program, name: str, about: str, presets: Sequence[str], data_help: str) -> Parser:
    """The flags that every run has."""
    parser = Parser(
        prog=f"python -m {program.name} {name}",
        usage=f"python -m {program.name} {name} [--preset NAME] [--SETTING VALUE ...]",
        description=about,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30),
    )
    chosen = parser.chosen = parser.add_argument_group("what is run")
    chosen.add_argument("--preset", choices=presets, default="quick", help="named settings (default: quick)")
    chosen.add_argument("--seed", metavar="N", type=_seed, default=7, help="seed of every random draw (default: 7)")
    chosen.add_argument("--data", metavar="NAME", default="auto", help=data_help)
    chosen.add_argument(
        "--data-root", metavar="DIR", default=None, help="folder with the data sets (default: $HYPEROPT_HN_DATA)"
    )
    where = parser.add_argument_group("where it is written, and how")
    where.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("runs"), help="folder for run directories (default: runs)"
    )
    where.add_argument(
        "--resume", action="store_true", default=False, help="go on with unfinished runs, leave finished ones out"
    )
    where.add_argument(
        "--overwrite", action="store_true", default=False, help="discard the runs that are there and make them again"
    )
    where.add_argument(
        "--jobs", metavar="N", type=_whole, default=1, help="runs side by side, a process each (default: 1)"
    )
    return parser


def _add_settings(parser: argparse.ArgumentParser, config: Any) -> None:
    """A group for each configuration in this one; what changes only speed and place comes last, together."""
    values = flat_fields(config)
    technical: dict[str, tuple[Field[Any], Any]] = {}
    for title, options in sections(config).items():
        shown = {name: option for name, option in options.items() if name != "seed"}
        technical |= {name: option for name, option in shown.items() if option[0].metadata.get("technical")}
        _add_group(parser, title, {name: option for name, option in shown.items() if name not in technical}, values)
    _add_group(parser, TECHNICAL, technical, values)


def _add_group(
    parser: argparse.ArgumentParser,
    title: str,
    options: Mapping[str, tuple[Field[Any], Any]],
    values: Mapping[str, Any],
) -> None:
    group = parser.add_argument_group(title) if options else None
    for name, (field, kind) in options.items():
        assert group is not None
        bare: dict[str, Any] = {"nargs": "?", "const": True} if kind is bool else {}
        unit = f" [{field.metadata['unit']}]" if field.metadata.get("unit") else ""
        shown = ",".join(map(str, values[name])) if isinstance(values[name], tuple) else values[name]
        choices = field.metadata.get("choices") or None
        shown = ("yes" if shown else "no") if kind is bool else "none" if shown == "" else shown
        text = f"{field.metadata.get('help', '')}{unit} (default: {shown})".replace("%", "%%")
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=_typed(kind, choices),
            metavar="{" + ",".join(choice or "none" for choice in choices) + "}" if choices else _metavar(kind),
            help=text,
            **bare,
        )


def _metavar(kind: Any) -> str:
    return {int: "N", float: "X", bool: "yes|no", str: "TEXT"}.get(
        kind, "N,N,..." if get_origin(kind) is tuple else "X|none"
    )


def _typed(kind: Any, choices: Sequence[str] | None) -> Callable[[str], Any]:
    """Reads a flag's text; where the empty word is a choice, it is typed as "none"."""

    def convert(text: str) -> Any:
        if choices is not None:
            words = {choice or "none": choice for choice in choices}
            if text not in words:
                raise argparse.ArgumentTypeError(unknown("choice", text, list(words)))
            return words[text]
        try:
            return parse(text, kind)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _whole(text: str) -> int:
    number: int = _typed(int, None)(text)
    return number


def _seed(text: str) -> int:
    seed = _whole(text)
    if not 0 <= seed <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a seed: give a whole number from 0 to {LARGEST_SEED}")
    return seed


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors that name the nearest flag."""

    chosen: Any
    """The group of flags that say what is run."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)

    def strict(self, arguments: Sequence[str]) -> argparse.Namespace:
        space, others = self.parse_known_args(arguments)
        for word in others:
            known = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
            raise UserError(unknown("setting", word.split("=")[0], known))
        if space.jobs < 1:
            raise UserError(f"--jobs {brief(str(space.jobs))} is too small: it must be at least 1")
        if space.resume and space.overwrite:
            raise UserError("--resume keeps what is there and --overwrite makes it again: give one of them")
        return space
