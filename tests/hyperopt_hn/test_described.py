"""help() of a dataclass shows a sentence for every field that has one."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest

import hyperopt_hn
from hyperopt_hn.config import _strings_under_fields, described, option


def modules(package):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        parts = found.name.split(".")
        if not {"__main__", "plotting", "optuna_bridge"} & set(parts):
            yield found.name


def test_every_public_dataclass_shows_its_fields():
    pytest.importorskip("torch")
    seen = 0
    for name in modules(hyperopt_hn):
        module = importlib.import_module(name)
        for kind in vars(module).values():
            if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == name):
                continue
            if kind.__name__.startswith("_"):
                continue
            strings = _strings_under_fields(kind)
            for field in dataclasses.fields(kind):
                words = field.metadata.get("help") or strings.get(field.name)
                if words:
                    seen += 1
                    assert f"{field.name}: {words}" in (kind.__doc__ or ""), f"put @described above {kind.__name__}"
    assert seen > 60


def test_described():
    @described
    @dataclasses.dataclass(frozen=True)
    class Boat:
        """A boat."""

        sails: int = option(2, "how many sails", unit="sails")
        name: str = "Ra"
        """What it is
        called."""
        crew: int = 0

    fields = "    sails: how many sails [sails] (default 2)\n    name: What it is called. (default 'Ra')"
    assert f"A boat.\n\nFields:\n{fields}" == Boat.__doc__
