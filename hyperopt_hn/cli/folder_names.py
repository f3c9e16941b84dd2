"""The name of a setting's folder: <preset>[+<setting>=<value>…]-<data>-seed<seed>, readable and never too long."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

LONGEST_VALUE = 24
"""Characters of a value."""
LONGEST = 120
"""Characters of all changed settings together; a file system takes 255 bytes for the whole name."""
DIGITS = 6
"""Of the hash that is added where something was shortened, so that other settings have another folder."""


def folder_name(preset: str, changed: Mapping[str, Any], data: str, seed: int) -> str:
    """The folder of runs with these settings; equal settings give equal names, others others."""
    parts = [f"+{name}={_text(value)}" for name, value in sorted(changed.items())]
    short = [f"+{name}={_short(_text(value))}" for name, value in sorted(changed.items())]
    while sum(map(len, short)) > LONGEST:
        short.pop()
    if short != parts:
        short.append(f"+{hashlib.sha256(''.join(parts).encode()).hexdigest()[:DIGITS]}")
    return f"{preset}{''.join(short)}-{_short(data)}-seed{seed}"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return str(value).replace("e+", "e") if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    """A path's last part; what no folder may be named, or a shell or a "+" would split, as "_"."""
    last = text.rstrip("/").rsplit("/", 1)[-1]
    clean = re.sub(r"[^\w.,=:-]", "_", last)
    return clean if len(clean.encode()) <= LONGEST_VALUE else clean.encode()[:LONGEST_VALUE].decode(errors="ignore")
