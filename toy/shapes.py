"""Whether a problem and a response fit together, found out before the first step on two weight vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hyperopt_hn import UserError

Array = Any
B = 2  # weight vectors of the trial: one would pass where a sum over all rows was meant


def check_response(response: Callable[[list[Array], Array], Array], phi: list[np.ndarray], lam: np.ndarray) -> Array:
    """The response's weights (B, P) at B copies of lam (n,). Raises UserError where it does not take n."""
    n, lams = lam.size, np.tile(lam, (B, 1))
    what = f"the problem's space has n = {n} hyperparameters; the response"
    w = _tried(lambda: response(phi, lams), f"{what} fails on lam of shape ({B}, {n})", "build it for this n")
    if np.ndim(w) != 2 or len(w) != B:
        raise UserError(f"{what} gives {_shape(w)} for lam of shape ({B}, {n}); make it give ({B}, P)")
    return w


def check_losses(problem: Any, w: Array, lam: np.ndarray, batches: Mapping[str, slice | None]) -> None:
    """Both losses and `evaluate` on weights w (B, P): each must give (B,). Raises UserError naming n and P."""
    n, weights = lam.size, w.shape[1]
    lams, given = np.tile(lam, (B, 1)), f"w of shape ({B}, {weights}) (P = {weights} weights, as the response gives)"
    train = f"train_loss on {given} and lam of shape ({B}, {n})"
    _expect(lambda: problem.train_loss(w, lams, batches["train"]), train)
    _expect(lambda: problem.valid_loss(w, batches["valid"]), f"valid_loss on {given}")
    call = f"evaluate(w, 'valid') on {given}"
    found = _tried(lambda: problem.evaluate(w, "valid"), f"the problem's {call} fails", "fit the response's P to it")
    if not isinstance(found, Mapping) or "nll" not in found:
        raise UserError(f"the problem's {call} gives no 'nll'; return a dict with it, (B,) numbers")
    for name, value in found.items():
        _expect(lambda value=value: value, f"metric {name!r} of {call}")  # type: ignore[misc]


def _expect(call: Callable[[], Any], what: str) -> None:
    value = _tried(call, f"the problem's {what} fails", "fit the response's P and n to the problem")
    if np.shape(value) != (B,):
        raise UserError(
            f"the problem's {what} gives {_shape(value)}, not ({B},); reduce over axis 1: one loss for each row of w"
        )


def _tried(call: Callable[[], Any], what: str, remedy: str) -> Any:
    try:
        return call()
    except (ValueError, TypeError, IndexError) as error:
        raise UserError(f"{what} ({' '.join(str(error).split())}); {remedy}") from error


def _shape(value: Any) -> str:
    return f"shape {np.shape(value)}" if np.shape(value) else "a single number"
