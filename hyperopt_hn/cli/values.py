"""A setting's value from a flag's text, or from a configuration file's JSON or TOML."""

from __future__ import annotations

import types
import typing
from typing import Any

from hyperopt_hn.errors import brief

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse(text: str, kind: Any) -> Any:
    """A flag's text as the field's type: bool, int, float, str, tuple[int, ...] or one of these or None.

    Raises ValueError with a sentence.
    """
    if isinstance(kind, types.UnionType):
        return None if text.lower() == "none" else parse(text, _present(kind))
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(parse(part, inner) for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() not in WORDS:
            raise ValueError(f"{brief(repr(text))} is neither true nor false")
        return WORDS[text.lower()]
    try:
        return kind(text.strip())
    except ValueError:
        raise ValueError(f"{brief(repr(text))} is not {'a whole number' if kind is int else 'a number'}") from None


def coerce(value: Any, kind: Any) -> Any:
    """A JSON or TOML value as the field's type; a text is read as a flag's. Raises ValueError with a sentence."""
    if isinstance(value, str):
        return parse(value, kind)
    if isinstance(kind, types.UnionType):
        return None if value is None else coerce(value, _present(kind))
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        return tuple(coerce(part, typing.get_args(kind)[0]) for part in value)
    wanted = (int, float) if kind is float else kind
    if isinstance(kind, type) and isinstance(value, bool) == (kind is bool) and isinstance(value, wanted):
        try:
            return kind(value)
        except OverflowError:
            pass
    raise ValueError(f"{_shown(value)} is not {_named(kind)}")


def _shown(value: Any) -> str:
    try:
        return brief(repr(value))
    except ValueError:  # a whole number of thousands of digits
        return "a number that large"


def _present(kind: Any) -> Any:
    return next(one for one in typing.get_args(kind) if one is not types.NoneType)


def _named(kind: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return names.get(kind, "a list of numbers")
