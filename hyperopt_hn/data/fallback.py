"""What "auto" means: the data set that is wanted if it can be had, else one that needs no files and says so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

from hyperopt_hn.data.locate import MissingData


class Noted(Protocol):
    """A data set that says where it comes from."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def note(self) -> str:
        """One sentence."""
        ...


Found = TypeVar("Found", bound=Noted)


def first_there(wanted: Sequence[Callable[[], Found]], other: tuple[str, Callable[[], Found]], why: str) -> Found:
    """The first of the wanted data sets that is there, else the other one (its title, its loader).

    The note of the other one ends in `why`; the log has what the first one lacked.
    """
    lacking: list[MissingData] = []
    for load in wanted:
        try:
            return load()
        except MissingData as missing:
            lacking.append(missing)
    title, load = other
    logging.getLogger(__name__).warning("going on with %s: %s", title, lacking[0] if lacking else why)
    found = load()
    return replace(found, note=f"{found.note}: {why}")
