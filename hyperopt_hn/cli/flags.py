"""The flags of an experiment: the common ones, and one for every option of its configuration."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hyperopt_hn.cli.experiment import Experiment, Program
from hyperopt_hn.config import fields, flat_fields, parse, unknown
from hyperopt_hn.errors import UserError


def understood(program: Program, experiment: Experiment, arguments: Sequence[str]) -> argparse.Namespace:
    """An experiment's arguments, common and its own. Raises UserError naming the nearest flag."""
    parser = common(program, experiment.name, experiment.about, list(experiment.presets), experiment.data_help)
    arms = f"which to run, comma-separated (default: {','.join(experiment.arms)})"
    parser.add_argument("--arms", default=",".join(experiment.arms), help=arms)
    _add_settings(parser, preset_of(experiment, arguments))
    return parser.strict(arguments)


def preset_of(experiment: Experiment, arguments: Sequence[str]) -> Any:
    """The preset's configuration, found first because its values are the other flags' defaults."""
    finder = Parser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", choices=list(experiment.presets), default="quick")
    return experiment.presets[finder.parse_known_args(arguments)[0].preset]


def common(program: Program, name: str, about: str, presets: Sequence[str], data_help: str) -> Parser:
    """The flags that every run has."""
    parser = Parser(
        prog=f"python -m {program.name} {name}",
        description=about,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--preset", choices=presets, default="quick", help="named settings (default: quick)")
    parser.add_argument("--seed", type=int, default=7, help="seed of every random draw (default: 7)")
    parser.add_argument("--data", default="auto", help=data_help)
    parser.add_argument("--data-root", default=None, help="folder with the data sets (default: $HYPEROPT_HN_DATA)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for run directories (default: runs)")
    parser.add_argument("--resume", action="store_true", default=False, help="go on with unfinished runs")
    parser.add_argument("--overwrite", action="store_true", default=False, help="make finished runs again")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side, a process each (default: 1)")
    return parser


def _add_settings(parser: argparse.ArgumentParser, config: Any) -> None:
    group = parser.add_argument_group("settings (with the preset's values)")
    values = flat_fields(config)
    for name, (field, kind) in fields(config).items():
        if name == "seed":
            continue
        bare: dict[str, Any] = {"nargs": "?", "const": True} if kind is bool else {}
        unit = f" [{field.metadata['unit']}]" if field.metadata.get("unit") else ""
        shown = ",".join(map(str, values[name])) if isinstance(values[name], tuple) else values[name]
        choices = field.metadata.get("choices") or None
        shown = "none" if choices and shown == "" else shown
        text = f"{field.metadata.get('help', '')}{unit} (default: {shown})".replace("%", "%%")
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=_typed(kind, choices is not None and "" in choices),
            choices=choices,
            metavar="{" + ",".join(choice or "none" for choice in choices) + "}" if choices else name.upper(),
            help=text,
            **bare,
        )


def _typed(kind: Any, none: bool) -> Callable[[str], Any]:
    """Reads a flag's text; `none`: the word stands for the empty choice."""

    def convert(text: str) -> Any:
        if none and text == "none":
            return ""
        try:
            return parse(text, kind)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors that name the nearest flag."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)

    def strict(self, arguments: Sequence[str]) -> argparse.Namespace:
        space, others = self.parse_known_args(arguments)
        for word in others:
            known = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
            raise UserError(unknown("setting", word.split("=")[0], known))
        if space.jobs < 1:
            raise UserError(f"--jobs {space.jobs} is too small: it must be at least 1")
        return space
