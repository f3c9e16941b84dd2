"""Printing that never ends a run: what a terminal cannot show is replaced, what cannot be written is dropped.

A run writes its results into its folder; what it prints is a courtesy. So an ASCII or Latin-1 terminal, a reader that
left (`| head`), a closed stream and a full disk under a redirection are no reason to stop.
"""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TextIO

PLAIN = "hyperopt_hn.plain"
"""Name of the error handler that spells what an encoding lacks: λ as lambda, … as ..."""

SPELLED = {
    "λ": "lambda",
    "Λ": "Lambda",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "·": "*",
    "×": "x",
    "∂": "d",
    "█": "#",
}


def protected(main: Callable[[], int]) -> int:
    """Run a command line's `main` with standard output and error that never fail; returns its exit code."""
    old = sys.stdout, sys.stderr
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed: give its number away before a file of the run gets it
            with suppress(OSError):
                setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), "r+" if number == 0 else "w"))  # noqa: SIM115
    sys.stdout, sys.stderr = Patient(sys.stdout), Patient(sys.stderr)
    try:
        return main()
    finally:
        for stream in (sys.stdout, sys.stderr):
            _leave(stream)
        sys.stdout, sys.stderr = old


class Patient:
    """A text stream whose `write` and `flush` never raise; the first failure silences it for good."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream.stream if isinstance(stream, Patient) else stream
        self.silent = self.stream is None

    def write(self, text: str) -> int:
        """Write, with what the encoding lacks spelled in ASCII."""
        if self.stream is not None and not self.silent:
            encoding = getattr(self.stream, "encoding", None) or "utf-8"
            shown = text.encode(encoding, PLAIN).decode(encoding)
            self._tried(lambda: self.stream.write(shown))  # type: ignore[union-attr]
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what was written."""
        if self.stream is not None and not self.silent:
            self._tried(self.stream.flush)

    def isatty(self) -> bool:
        """Whether somebody may be looking."""
        try:
            return self.stream is not None and not self.silent and self.stream.isatty()
        except ValueError:  # closed
            return False

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's own: `encoding`, `fileno`, `buffer`."""
        return getattr(self.stream, name)

    def _tried(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except (OSError, ValueError):
            self.silent = True


def _leave(patient: Patient) -> None:
    """Flush; what a failed stream still buffers goes to the null device, or the interpreter would fail as it ends."""
    patient.flush()
    if patient.silent and patient.stream is not None:
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, patient.stream.fileno())
            os.close(null)


def one_line(text: str) -> str:
    """The text in one line, control characters and broken UTF-8 shown as escapes."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """The text with control characters but for line ends, and broken UTF-8, shown as escapes."""
    known = (c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return "".join(known)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


def _spelled(character: str) -> str:
    name = unicodedata.name(character, "")
    if character in SPELLED:
        return SPELLED[character]
    if unicodedata.combining(character):
        return ""
    if name.startswith("GREEK "):
        word = name.split("LETTER ")[-1].split()[0]
        return word.capitalize() if "CAPITAL" in name else word.lower()
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return bare or "?"


codecs.register_error(PLAIN, _plain)
