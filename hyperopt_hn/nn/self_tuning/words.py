"""What a SelfTuner says of itself: what is tuned and where it is now, and which weights respond."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from hyperopt_hn.hyper import Hyper
from hyperopt_hn.nn.context import hyper_layers, named_own
from hyperopt_hn.nn.conversion.converter import general_parameters, report
from hyperopt_hn.space import HyperSpace


def tuned_rows(space: HyperSpace, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, present value, and range with scale and sharing, of every hyperparameter."""
    return [(hyper.name, _value(values[hyper.name]), _range(hyper, space)) for hyper in space.hypers]


def responding(model: nn.Module) -> tuple[int, int]:
    """How many parameters of the plain model have a response, and how many there are."""
    layers = [layer for _, layer in hyper_layers(model) if layer.num_hyper]
    inside = {id(p) for layer in layers for _, p in named_own(layer)}
    general = list(general_parameters(model))
    return sum(p.numel() for p in general if id(p) in inside), sum(p.numel() for p in general)


def summary(title: str, space: HyperSpace, values: Mapping[str, Any], model: nn.Module, steps: str) -> str:
    """The lines of `repr`."""
    answering, every = responding(model)
    rows = tuned_rows(space, values)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    tuned = [f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {words}" for name, value, words in rows]
    responds = f"responding: {100 * answering / max(every, 1):.3g} % of {every:,} parameters"
    left = [f"  not {name or '(the model)'}: {why}" for name, why in _left(model)]
    return "\n".join([title, *tuned, responds, *left, steps])


def table(title: str, space: HyperSpace, values: Mapping[str, Any], model: nn.Module, steps: str) -> str:
    """The same as a table for notebooks."""
    answering, every = responding(model)
    cells = [
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in tuned_rows(space, values)
    ]
    left = "".join(
        f"<li>not {html.escape(name or '(the model)')}: {html.escape(why)}</li>" for name, why in _left(model)
    )
    return (
        f"<b>{html.escape(title)}</b><table><tr><th>hyperparameter</th><th>now</th><th>range</th></tr>"
        f"{''.join(cells)}</table><p>responding: {100 * answering / max(every, 1):.3g} % of {every:,} parameters"
        f"</p>{f'<ul>{left}</ul>' if left else ''}<p>{html.escape(steps)}</p>"
    )


def _left(model: nn.Module) -> list[tuple[str, str]]:
    left = list(report(model).left.items())
    return left if len(left) <= 8 else [*left[:8], (f"{len(left) - 8} more", "print(report(tuner.model)) names them")]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"{min(value):.4g} to {max(value):.4g}"
    return f"{value:.4g}"


def _range(hyper: Hyper, space: HyperSpace) -> str:
    if hyper.name not in space.tuned:
        return "fixed"
    ends = [f"{end:g}" for end in (hyper.low, hyper.high)]
    words = [f"in ({', '.join(ends)})"] if math.isfinite(hyper.low) or math.isfinite(hyper.high) else ["unbounded"]
    words += ["log scale"] if hyper.log else []
    words += [f"{hyper.size} values"] if hyper.size is not None else []
    return ", ".join([*words, "one draw a batch" if hyper.shared else "a draw for each example"])
