"""Fields of a configuration: a default, a sentence, a unit and bounds, from which the command line is made."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from hyperopt_hn.errors import UserError


def option(
    default: Any,
    help: str,
    unit: str = "",
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
) -> Any:
    """A dataclass field with its sentence; `least` and `most` are inclusive bounds, `above` an exclusive one."""
    bounds = {"least": least, "above": above, "most": most}
    return dataclasses.field(default=default, metadata={"help": help, "unit": unit, **bounds})


def check(config: Any) -> None:
    """Raise UserError for the first field of a configuration that is out of its bounds or not finite where bounded."""
    for field in dataclasses.fields(config):
        values = getattr(config, field.name)
        for value in values if isinstance(values, tuple) else (values,):
            _check_one(field.name, value, field.metadata)


def _check_one(name: str, value: Any, bounds: Any) -> None:
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
