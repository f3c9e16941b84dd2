"""Files of one record a line: what a killed process left of a last line is taken away."""

from __future__ import annotations

from pathlib import Path


def keep_whole_lines(path: Path) -> None:
    """Take an unfinished last line away, where there is one: the next record would be glued to it."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        whole = file.read()
        if not whole.endswith(b"\n"):
            file.truncate(whole.rfind(b"\n") + 1)
