"""The study's presets and its record: one line a cell, a problem at one place with one seed; what is there is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deep.study.slopes.fixed_training import quotients, trained
from deep.study.slopes.slope_claims import RESPONSES, Claim, implicit, learned, unrolled
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
    steps: int = 400
    """Training steps of every network."""
    pairs: int = 5
    """Retrained pairs of which the true slope is the mean."""


SLOPE_PRESETS = {
    "smoke": SlopePreset((1,), (1,), steps=12, pairs=2),
    "quick": SlopePreset((701, 702, 703)),
    "full": SlopePreset(tuple(range(701, 711)), steps=2000, pairs=20),
}

SlopeCase = tuple[str, int, int]
"""Problem, seed, place."""


def lacking(preset: SlopePreset, problems: Sequence[str], there: Sequence[dict[str, Any]]) -> list[SlopeCase]:
    """What a record lacks, seed by seed, so that a stopped study has whole seeds."""
    done = {(r["problem"], r["seed"], r["place"]) for r in there}
    cases = ((name, seed, place) for seed in preset.seeds for name in problems for place in preset.places)
    return [case for case in cases if case not in done]


def measured(case: SlopeCase, preset: SlopePreset) -> dict[str, Any]:
    """True and claimed slopes of one case, per direction, and the processor seconds of each method."""
    name, seed, place = case
    problem, seconds, claims = PROBLEMS[name], dict[str, float](), dict[str, list[float] | None]()
    data, directions = problem.data(seed), problem.directions(seed)
    clock = _Clock()
    true, trials = quotients(problem, data, place, seed, preset.steps, preset.pairs)
    claims["trials"], seconds["retraining"] = trials, clock.lap()
    lam = torch.as_tensor(problem.space(place).init()).float()
    own = 1000 * seed + OWN
    network = trained(problem, problem.space(place), data[0], lam, own, preset.steps)
    seconds["plain"] = clock.lap()
    asked: dict[str, Callable[[], Claim]] = {
        "implicit": lambda: implicit(network, data),
        "unrolled-5": lambda: unrolled(network, data, 5, own),
        "unrolled-1": lambda: unrolled(network, data, 1, own),
    }
    for response in RESPONSES if problem.learnable else ():
        asked[response] = partial(learned, problem, data, place, response, own, preset.steps)
    for method, ask in asked.items():
        found = ask()
        claims[method] = None if found is None else (directions @ np.array(found)).tolist()
        seconds[method] = clock.lap()
    return {
        "problem": name, "seed": seed, "place": place, "value": problem.places[place], "steps": preset.steps,
        "loss": network.valid_loss(data[1]), "true": true, "claims": claims,
        "seconds": {method: round(value, 2) for method, value in seconds.items()},
    }  # fmt: skip


def run_lacking(cases: Sequence[SlopeCase], preset: SlopePreset, out: Path) -> None:
    """Measure case by case and append a line for each."""
    out.parent.mkdir(parents=True, exist_ok=True)
    keep_whole_lines(out)
    for number, case in enumerate(cases, 1):
        found = measured(case, preset)
        with out.open("a") as file:
            file.write(json.dumps(_rounded(found)) + "\n")
        name, seed, place = case
        spent = sum(found["seconds"].values())
        print(f"{number}/{len(cases)} {name} seed {seed} place {place}: {spent:.1f} s", flush=True)


def slope_records(path: Path) -> list[dict[str, Any]]:
    """The finished cells of a record, none where there is no file; a half-written last line is left out."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


class _Clock:
    """Processor seconds, lap by lap."""

    def __init__(self) -> None:
        self.last = time.process_time()

    def lap(self) -> float:
        now = time.process_time()
        passed, self.last = now - self.last, now
        return passed


def _rounded(value: Any) -> Any:
    """Numbers to seven digits: a record is to stay small."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value
