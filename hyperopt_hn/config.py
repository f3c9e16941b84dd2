"""Fields of a configuration: a default, a sentence, a unit and bounds, from which the command line is made.

A configuration is a frozen dataclass whose fields are options or further configurations; the names of all options
in it differ, so that each is one flag.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import math
import textwrap
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from hyperopt_hn.errors import UserError, brief, on_command_line, unknown

LARGEST = 10**9
"""No whole number is larger: what counts steps, units or rows is a mistake long before."""


def option(
    default: Any,
    help: str,
    unit: str = "",
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    technical: bool = False,
) -> Any:
    """A dataclass field with its sentence; `least` and `most` are inclusive bounds, `above` an exclusive one.

    A number is finite unless `most` is inf. `choices` are the only words that it takes. `technical`: where and how
    fast, not what is computed; such an option is no part of a run folder's name.
    """
    bounds = {"least": least, "above": above, "most": most, "choices": choices, "technical": technical}
    return dataclasses.field(default=default, metadata={"help": help, "unit": unit, **bounds})


Kind = TypeVar("Kind", bound=type)


def described(kind: Kind) -> Kind:
    """A dataclass whose docstring lists its fields with their sentences, so that help() shows them.

    Sentences are those of `option`, or the strings under the fields in the source, where there is a source.
    """
    lines = []
    strings = _strings_under_fields(kind)
    for field in dataclasses.fields(kind):
        words = field.metadata.get("help") or strings.get(field.name)
        if words:
            default = "" if field.default is dataclasses.MISSING else f" (default {_shown(field.default)})"
            unit = f" [{field.metadata['unit']}]" if field.metadata.get("unit") else ""
            lines.append(f"    {field.name}: {words}{unit}{default}")
    if lines:
        kind.__doc__ = "\n".join([inspect.cleandoc(kind.__doc__ or ""), "", "Fields:", *lines])
    return kind


def check(config: Any) -> None:
    """Raise UserError for the first field that is NaN, infinite, huge, out of its bounds or no known word."""
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


def sections(config: Any) -> dict[str, dict[str, tuple[dataclasses.Field[Any], Any]]]:
    """The options by the configuration that holds them: the first line of its docstring -> name -> (field, type)."""
    out: dict[str, dict[str, tuple[dataclasses.Field[Any], Any]]] = {}
    hints = typing.get_type_hints(type(config))
    title = (type(config).__doc__ or type(config).__name__).strip().splitlines()[0].rstrip(".")
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            for inner, options in sections(value).items():
                out.setdefault(inner, {}).update(options)
        else:
            out.setdefault(title, {})[field.name] = (field, hints[field.name])
    return out


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """The configuration with these options changed. Raises UserError for an unknown name, naming the nearest."""
    known = flat_fields(config)
    for name in values:
        if name not in known:
            raise UserError(unknown("setting", name, known))
    return _override(config, values)


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
        words = [word or "none" for word in bounds["choices"]]
        raise UserError.spelled(lambda say: unknown(say(name, ...), str(value), words))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if value == math.inf == bounds.get("most"):
        return
    if isinstance(value, float) and not math.isfinite(value):
        what = "is NaN" if math.isnan(value) else f"{value} is not finite"
        raise UserError.spelled(lambda say: f"{say(name, ...)} {what}; give a number")
    if fault := _fault(value, *(bounds.get(key) for key in ("least", "above", "most"))):
        shown = _number(value)
        raise UserError(f"{name}={shown} {fault}", f"{on_command_line(name, ...)} {shown} {fault}")


def _fault(value: float, least: float | None, above: float | None, most: float | None) -> str:
    """What is wrong with a number; empty: nothing."""
    if isinstance(value, int):
        most = LARGEST if most is None else most
        least = -LARGEST if least is None and above is None else least
    if least is not None and value < least:
        return f"is too small: it must be at least {_number(least)}"
    if above is not None and value <= above:
        return f"is too small: it must be above {_number(above)}"
    if most is not None and value > most:
        return f"is too large: it must be at most {_number(most)}"
    return ""


def _number(value: float) -> str:
    return brief(str(value)) if isinstance(value, int) else f"{value:g}"


def _strings_under_fields(kind: type) -> dict[str, str]:
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    found, nodes = {}, body.body if isinstance(body, ast.ClassDef) else []
    for field, below in itertools.pairwise(nodes):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return found


def _shown(default: Any) -> str:
    return getattr(default, "__name__", None) or (repr(default) if len(repr(default)) < 30 else type(default).__name__)
