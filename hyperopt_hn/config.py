"""Fields of a configuration: a default, a sentence, a unit and bounds, from which the command line is made.

A configuration is a frozen dataclass whose fields are options or further configurations; the names of all options
in it differ, so that each is one flag.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from hyperopt_hn.errors import UserError


def option(
    default: Any,
    help: str,
    unit: str = "",
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with its sentence; `least` and `most` are inclusive bounds, `above` an exclusive one.

    `choices` are the only words that it takes.
    """
    bounds = {"least": least, "above": above, "most": most, "choices": choices}
    return dataclasses.field(default=default, metadata={"help": help, "unit": unit, **bounds})


def check(config: Any) -> None:
    """Raise UserError for the first field of a configuration that is NaN, out of its bounds or no known word."""
    for field in dataclasses.fields(config):
        values = getattr(config, field.name)
        for value in values if isinstance(values, tuple) else (values,):
            _check_one(field.name, value, field.metadata)


def flat_fields(config: Any) -> dict[str, Any]:
    """Every option of a configuration and of the configurations in it: name -> value, in order."""
    out: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        out.update(flat_fields(value) if dataclasses.is_dataclass(value) else {field.name: value})
    return out


def fields(config: Any) -> dict[str, tuple[dataclasses.Field[Any], Any]]:
    """The dataclass field and resolved type of every option: name -> (field, type)."""
    out: dict[str, tuple[dataclasses.Field[Any], Any]] = {}
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        found = fields(value) if dataclasses.is_dataclass(value) else {field.name: (field, hints[field.name])}
        if repeated := out.keys() & found.keys():
            raise TypeError(f"two options of {type(config).__name__} are named {sorted(repeated)[0]!r}")
        out.update(found)
    return out


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """The configuration with these options changed. Raises UserError for an unknown name, naming the nearest."""
    known = flat_fields(config)
    for name in values:
        if name not in known:
            raise UserError(unknown("setting", name, known))
    return _override(config, values)


def unknown(what: str, name: str, known: Any) -> str:
    """ "no setting 'stpes'; did you mean 'steps'?" """
    near = get_close_matches(str(name), list(known), n=1)
    return f"no {what} {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")


def parse(text: str, kind: Any) -> Any:
    """A flag's text as the field's type: bool, int, float, str, tuple[int, ...] or one of these or None.

    Raises ValueError with a sentence.
    """
    if isinstance(kind, types.UnionType):
        if text.lower() == "none":
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(parse(part, inner) for part in text.split(",") if part.strip())
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ValueError(f"{text!r} is neither true nor false")
        return words[text.lower()]
    try:
        return kind(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not {'a whole number' if kind is int else 'a number'}") from None


def _override(config: Any, values: Mapping[str, Any]) -> Any:
    changed = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changed[field.name] = _override(value, values)
        elif field.name in values:
            changed[field.name] = values[field.name]
    return dataclasses.replace(config, **changed)


def _check_one(name: str, value: Any, bounds: Any) -> None:
    if bounds.get("choices") and value not in bounds["choices"]:
        raise UserError(unknown(f"--{name.replace('_', '-')}", value, bounds["choices"]))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    flag = f"--{name.replace('_', '-')}"
    if math.isnan(value):
        raise UserError(f"{flag} is NaN; give a number")
    least, above, most = (bounds.get(key) for key in ("least", "above", "most"))
    if least is not None and value < least:
        raise UserError(f"{flag} {value:g} is too small: it must be at least {least:g}")
    if above is not None and value <= above:
        raise UserError(f"{flag} {value:g} is too small: it must be above {above:g}")
    if most is not None and value > most:
        raise UserError(f"{flag} {value:g} is too large: it must be at most {most:g}")
