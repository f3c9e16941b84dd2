"""The record of the zoo as tables: how many models are right, and what is to be said of the others."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

Line = dict[str, Any]
MUCH = 0.9
"""The share of its parameters from which a model is said to respond."""


def read(path: Path) -> list[Line]:
    """The latest line of each model."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return list({(line["family"], line["name"]): line for line in lines}.values())


def right(line: Line) -> bool:
    """Whether every check of convert, rows, collapse and split passed."""
    return not (line["wrong"] or line["refused"] or line["crashed"])


def table(lines: Sequence[Line]) -> str:
    """As Markdown: a row a library, then the models that are not right, or respond with little."""
    heads = [
        "library",
        "models",
        "right",
        "of them ≥ 90 %",
        "refused",
        "crashed",
        "wrong",
        "stn",
        "delta",
        "train and respond / plain",
    ]
    rows = [heads, ["---"] * len(heads)]
    families = list(dict.fromkeys(line["family"] for line in lines))
    for name, some in [*((f, [x for x in lines if x["family"] == f]) for f in families), ("all", list(lines))]:
        good = [x for x in some if right(x)]
        counts = [
            len(some), len(good), sum(x["share"] >= MUCH for x in good), sum(bool(x["refused"]) for x in some),
            sum(bool(x["crashed"]) for x in some), sum(bool(x["wrong"]) and not x["refused"] for x in some),
            *(sum(x["steps"].get(kind) == "right" for x in good) for kind in ("stn", "delta")),
        ]  # fmt: skip
        cost = f"{median(x['cost'] for x in good):.2f}" if good else ""
        rows.append([name, *map(str, counts), cost])
    others = [x for x in lines if not right(x) or x["share"] < MUCH]
    listed = ["", *(f"- {said(x)}" for x in others)] if others else []
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + listed)


def said(line: Line) -> str:
    """One model in a line: its library and name, and what came of it."""
    return f"{line['family']} {line['name']}: {_words(line)}"


def _words(line: Line) -> str:
    if right(line):
        return f"right, {100 * line['share']:.1f} % responding"
    kinds = {"wrong": "; ".join(line["wrong"]), "refused": line["refused"], "crashed": line["crashed"]}
    text = "; ".join(f"{kind}: {what}" for kind, what in kinds.items() if what)
    return re.sub(r"[|<>\n]", " ", text)[:220]
