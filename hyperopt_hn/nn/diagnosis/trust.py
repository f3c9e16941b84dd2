"""May the tuned values be believed? One sentence for each hyperparameter, from what the run itself has measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST_T = 0.0
"""A response whose gain is below so many standard errors predicts worse than none at all."""
SETTLED = 0.2
"""The share of the tuning steps at the end over which λ̂'s drift is judged."""
DRIFT = 0.5
"""Raw units that λ̂ may still drift over that share."""
WANDERS = 1.0
"""Raw units over that share from which λ̂ wanders: with no response that predicts, it has found nothing."""
LOCKSTEP = 0.8
"""Correlation of two hyperparameters' increments above which they move as one."""


@dataclass(frozen=True, repr=False)
class Trust:
    """What speaks against each value, name -> reasons (none: nothing does), and the response gain, name -> t.

    `alarm`: no response predicts better than none, and λ̂ wanders; what is rarely so in a good run.
    """

    reasons: Mapping[str, tuple[str, ...]]
    gain: Mapping[str, float]
    alarm: bool = False

    @property
    def verdict(self) -> str:
        """ "distrust": the alarm; "partly": something is to be said of some value, as of most good runs; "trust"."""
        return "distrust" if self.alarm else "partly" if any(self.reasons.values()) else "trust"

    @property
    def believed(self) -> tuple[str, ...]:
        """The hyperparameters whose values nothing speaks against."""
        return tuple(name for name, reasons in self.reasons.items() if not reasons)

    def __repr__(self) -> str:
        lines = [f"{self.verdict}: nothing speaks against {len(self.believed)} of {len(self.reasons)} tuned values"]
        if self.alarm:
            lines[0] += "; no response predicts better than none, and the values still wander: do not use them"
        for name, reasons in self.reasons.items():
            gain = f"gain t = {self.gain[name]:.1f}" if name in self.gain else "gain not measured"
            lines.append(f"  {name}: {'; '.join(reasons) if reasons else 'nothing speaks against it'} ({gain})")
        return "\n".join(lines)


def judged(
    names: Sequence[str],
    places: Mapping[str, slice],
    gain: Mapping[str, float],
    edge: Sequence[str],
    course: np.ndarray,
) -> Trust:
    """Judge a run: `gain` name -> t, `edge` those on their box, `course` raw λ̂ after tuning steps, (S, n)."""
    reasons: dict[str, tuple[str, ...]] = {}
    for name in names:
        found = []
        if name in gain and gain[name] < LEAST_T:
            found.append("its response predicts worse than none")
        if name in edge:
            found.append("it rests on the edge of its box: widen its range, or fix it there")
        found += _moving(course, places[name])
        reasons[name] = tuple(found)
    for first, second, r in _lockstep(names, places, course):
        words = f"it moves as one with {{}} (correlation of increments {r:.2f})"
        reasons[first] += (words.format(second),)
        reasons[second] += (words.format(first),)
    return Trust(reasons, dict(gain), wandering(gain, course))


def wandering(gain: Mapping[str, float], course: np.ndarray) -> bool:
    """The alarm: the largest t below LEAST_T, and λ̂ (S, n), after tuning steps, still moving by more than WANDERS."""
    return bool(gain) and max(gain.values()) < LEAST_T and _drift(course) > WANDERS


def _drift(course: np.ndarray) -> float:
    """The largest way of an entry over the last part, raw units."""
    late = course[int(len(course) * (1 - SETTLED)) :]
    return float(np.abs(late[-1] - late[0]).max()) if len(late) > 1 else 0.0


def _moving(course: np.ndarray, place: slice) -> list[str]:
    drift = _drift(course[:, place])
    return [f"it still moves ({drift:.1f} raw units in the last fifth of tuning)"] if drift > DRIFT else []


def _lockstep(names: Sequence[str], places: Mapping[str, slice], course: np.ndarray) -> list[tuple[str, str, float]]:
    single = [name for name in names if places[name].stop - places[name].start == 1]
    if len(course) < 20 or len(single) < 2:
        return []
    blocks = course[:: max(1, len(course) // 50)]
    moves = np.diff(np.stack([blocks[:, places[name].start] for name in single], 1), axis=0)
    if not moves.std(0).all():
        return []
    r = np.corrcoef(moves.T)
    pairs = ((i, j) for i in range(len(single)) for j in range(i + 1, len(single)))
    return [(single[i], single[j], float(r[i, j])) for i, j in pairs if r[i, j] > LOCKSTEP]
