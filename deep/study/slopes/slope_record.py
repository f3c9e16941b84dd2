"""The study's presets and its record: a line for a problem, a seed, a place and a method; what is there is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deep.study.slopes.fixed_training import retrained, trained, two_trials
from deep.study.slopes.slope_claims import RESPONSES, implicit, learned, unrolled
from deep.study.slopes.slope_problems import PROBLEMS
from hyperopt_hn.config import described
from hyperopt_hn.files.whole_lines import keep_whole_lines

OWN = 500
"""Added to a thousand seeds: the draws of the networks that make claims, other than those of the truth."""


@described
@dataclass(frozen=True)
class SlopePreset:
    """How much is measured."""

    seeds: tuple[int, ...]
    """Each draws the data's split, its wrong labels and all networks anew."""
    places: tuple[int, ...] = (0, 1, 2)
    """Of the low, the middle and the high value."""
    steps: int = 250
    """Training steps of every network."""
    pairs: int = 4
    """Retrained pairs of which the true slope is the mean."""


SLOPE_PRESETS = {
    "smoke": SlopePreset((1,), (1,), steps=12, pairs=2),
    "quick": SlopePreset((701, 702, 703)),
    "full": SlopePreset(tuple(range(701, 711)), steps=2000, pairs=20),
}

SlopeCase = tuple[str, int, int, str]
"""Problem, seed, place, method."""
TRUTH, TRIALS, UNROLLED = "retrained", "trials", {"unrolled-5": 5, "unrolled-1": 1}


def asked(name: str) -> list[str]:
    """The truth and the methods of a problem: no learned response where L_T does not depend on the hyperparameter."""
    return [TRUTH, TRIALS, *(RESPONSES if PROBLEMS[name].learnable else ()), "implicit", *UNROLLED]


def lacking(preset: SlopePreset, problems: Sequence[str], there: Sequence[dict[str, Any]]) -> list[SlopeCase]:
    """What a record lacks, seed by seed, so that a stopped study has whole seeds."""
    done = {(r["problem"], r["seed"], r["place"], r["method"]) for r in there}
    cases = (
        (name, seed, place, method)
        for seed in preset.seeds for name in problems for place in preset.places for method in asked(name)
    )  # fmt: skip
    return [case for case in cases if case not in done]


def measured(case: SlopeCase, preset: SlopePreset) -> dict[str, Any]:
    """The slopes of one case: (directions, pairs) of the truth, (directions,) claimed, None for no path."""
    name, seed, place, method = case
    started = time.process_time()
    slopes = _slopes(case, preset)
    return {
        "problem": name, "seed": seed, "place": place, "method": method, "value": PROBLEMS[name].places[place],
        "steps": preset.steps, "slopes": slopes, "seconds": round(time.process_time() - started, 2),
    }  # fmt: skip


def _slopes(case: SlopeCase, preset: SlopePreset) -> Any:
    name, seed, place, method = case
    problem, own = PROBLEMS[name], 1000 * seed + OWN
    data = problem.data(seed)
    if method == TRUTH:
        return retrained(problem, data, place, seed, preset.steps, preset.pairs)
    if method == TRIALS:
        return two_trials(problem, data, place, seed, preset.steps)
    if method in RESPONSES:
        claim = learned(problem, data, place, method, own, preset.steps)
    else:
        space = problem.space(place)
        network = trained(problem, space, data[0], torch.as_tensor(space.init()).float(), own, preset.steps)
        length = UNROLLED.get(method)
        claim = implicit(network, data) if length is None else unrolled(network, data, length, own)
    return None if claim is None else (problem.directions(seed) @ np.array(claim)).tolist()


def run_lacking(cases: Sequence[SlopeCase], preset: SlopePreset, out: Path) -> None:
    """Measure case by case and append a line for each."""
    out.parent.mkdir(parents=True, exist_ok=True)
    keep_whole_lines(out)
    for number, case in enumerate(cases, 1):
        found = measured(case, preset)
        with out.open("a") as file:
            file.write(json.dumps(_rounded(found)) + "\n")
        name, seed, place, method = case
        print(f"{number}/{len(cases)} {name} seed {seed} place {place} {method}: {found['seconds']} s", flush=True)


def slope_records(path: Path) -> list[dict[str, Any]]:
    """The finished cells of a record, none where there is no file; a half-written last line is left out."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def whole_rows(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The record's lines put together, a row for each problem, seed and place of which every method is there.

    "true": (directions, pairs), "claims": method -> (directions,) or None, "seconds": method -> of the processor.
    """
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for r in records:
        key = r["problem"], r["seed"], r["place"]
        shared = {name: r[name] for name in ("problem", "seed", "place", "value", "steps")}
        row = rows.setdefault(key, {**shared, "true": None, "claims": {}, "seconds": {}})
        row["seconds"][r["method"]] = r["seconds"]
        if r["method"] == TRUTH:
            row["true"] = r["slopes"]
        else:
            row["claims"][r["method"]] = r["slopes"]
    return [row for row in rows.values() if set(row["seconds"]) == set(asked(row["problem"]))]


def _rounded(value: Any) -> Any:
    """Numbers to seven digits: a record is to stay small."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value
