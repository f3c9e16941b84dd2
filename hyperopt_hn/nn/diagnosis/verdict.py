"""May a learned response be trusted? Its changes of the validation loss against those that retraining gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Word = Literal["trust", "partly", "distrust", "undecided"]

HALF = 0.5
"""The share of the true changes that must be foreseen for a response to be trusted in how far to go, not only where."""


def judge(foreseen: Sequence[float], true: Sequence[float], drift: float, names: Sequence[str]) -> tuple[Word, str]:
    """The verdict and why, from the changes of the loss away from λ̂ at K settings, foreseen and true.

    "undecided" where no true change exceeds `drift`, what retraining itself still changed in its second half;
    "distrust" where a change that does is foreseen with the wrong sign, or where the response errs by no less than
    one that knows nothing; "partly" where the directions are right and less than HALF of the size is foreseen; else
    "trust".
    """
    decisive = [i for i, change in enumerate(true) if abs(change) > drift]
    if not decisive:
        return "undecided", (
            f"no setting changes the loss by more than retraining still does ({drift:.2g}); try settings further from "
            "the tuned values, or retrain for longer"
        )
    wrong = [i for i in decisive if foreseen[i] * true[i] < 0]
    if wrong:
        worst = max(wrong, key=lambda i: abs(true[i]))
        return "distrust", (
            f"at {names[worst]} the response foresees a change of {foreseen[worst]:+.2g} where retraining gives "
            f"{true[worst]:+.2g}"
        )
    error, blind = rms([f - t for f, t in zip(foreseen, true, strict=True)]), rms(true)
    if error >= blind:
        return "distrust", f"it errs by {error:.2g}, no less than knowing nothing would ({blind:.2g})"
    share = sum(f * t for f, t in zip(foreseen, true, strict=True)) / sum(t * t for t in true)
    counted = (
        f"{len(decisive)} of {len(true)} settings change the loss by more than retraining still does ({drift:.2g})"
    )
    found = f"each in the direction that the response foresees, {100 * share:.0f} % of its size on the whole"
    if share < HALF:
        return "partly", f"{counted}, {found}: where to go can be believed, how far cannot"
    return "trust", f"{counted}, {found}"


def rms(values: Sequence[float]) -> float:
    """Root mean square."""
    return (sum(v * v for v in values) / len(values)) ** 0.5
