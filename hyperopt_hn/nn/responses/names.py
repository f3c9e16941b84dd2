"""The responses by the names under which a tuner takes them, each with its default settings."""

from __future__ import annotations

from typing import Literal

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.responses import STN, Delta, Implicit, Response, Split

ResponseName = Literal["stn", "delta", "split", "implicit"]
NAMES: dict[str, Response] = {"stn": STN(), "delta": Delta(), "split": Split(), "implicit": Implicit()}


def named(given: str | Response) -> Response:
    """The response of that name; an instance stays as it is. Raises UserError for an unknown name."""
    if not isinstance(given, str):
        return given
    if given not in NAMES:
        raise UserError(f"response={given!r} is unknown; take one of {', '.join(NAMES)}, or an instance")
    return NAMES[given]
