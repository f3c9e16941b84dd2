"""A run's configuration as plain data for config.json: paths and numpy's numbers written out, passwords left out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from hyperopt_hn.errors import UserError

SCHEME = re.compile(r"\w[\w+.-]*://")
CREDENTIALS = re.compile(r"(\w://)(?:[^/:@\s]*:(?!\d+(?:[/\s]|$))\S*|[^/@\s]+)@")
"""What is between a URL's scheme and its host, up to the last @ that can belong to it; a port is no password."""
WITH_SPACES = re.compile(r"(\w://)[^/:@]*:.*@", re.DOTALL)
"""The same where the whole text is one URL: its password may hold anything."""
SECRETS = re.compile(r"([?&][^=&\s]*(?:pass|pwd|secret|token)[^=&\s]*=)[^&\s]*", re.IGNORECASE)
"""What a URL's query says of these."""


def masked(text: str) -> str:
    """The text without the user names and passwords of the URLs in it: "postgresql://***@host/db?password=***"."""
    if SCHEME.match(text) and text.count("://") == 1:
        text = WITH_SPACES.sub(r"\1***@", text)
    return SECRETS.sub(r"\1***", CREDENTIALS.sub(r"\1***@", text))


def plain(value: Any, name: str = "") -> Any:
    """Plain data equal to a configuration's value: paths and enum-like numpy scalars become strings and numbers.

    `name` is the key in messages. Raises UserError naming the key of what JSON cannot hold.
    """
    if isinstance(value, Mapping):
        return {_key(key, name): plain(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{name}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, str):
        return masked(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    what = repr(value) if isinstance(value, float) else f"of type {type(value).__name__}"
    raise UserError(f"the run's configuration cannot hold {name}, which is {what}; give a finite number, text or list")


def _key(key: Any, name: str) -> str:
    if not isinstance(key, str):
        raise UserError(f"the run's configuration has the key {key!r} in {name or 'it'}; keys must be text")
    return key
