"""The loss manifolds: a two-dimensional bilevel problem whose exact and linear best responses are known.

    L_T(w, λ) = -ln(exp(-1) + exp(-(w - sin(λ + π))²)) - (λ + sin 2λ) / 10,      L_V(w) = sin w

The exact response is w*(λ) = -sin λ (the log term is largest where the square vanishes); its tangent at λ̂ = 0 is
w = -λ. Lorraine & Duvenaud 2018, fig. "theory1".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad

LAM_HAT = 0.0
STEP = 0.04  # of the published grids, in w
ACROSS = STEP * 2.0 * np.pi / 4.0  # the same number of points in λ


def train_loss(w: Any, lam: Any) -> Any:
    """L_T, elementwise."""
    return -anp.log(anp.exp(-1.0) + anp.exp(-((w - anp.sin(lam + anp.pi)) ** 2))) - (lam + anp.sin(2.0 * lam)) / 10.0


def valid_loss(w: Any) -> Any:
    """L_V, elementwise."""
    return anp.sin(w)


def best_response(lam: Any) -> Any:
    """w*(λ) = argmin_w L_T(w, λ) = sin(λ + π)."""
    return anp.sin(lam + anp.pi)


def linear_response(lam: Any) -> Any:
    """The tangent of w* at λ̂: what a linear hypernetwork learns there."""
    return best_response(LAM_HAT) + grad(best_response)(LAM_HAT) * (lam - LAM_HAT)


class ClosedForm:
    """A Tuner without a step: its arrays are the two surfaces and the responses on the published grids."""

    def train_step(self) -> dict[str, float]:
        """Nothing to train."""
        return {}

    def tune_step(self) -> dict[str, float]:
        """Nothing to tune."""
        return {}

    def evaluate(self) -> dict[str, float]:
        """L_V at the optimum of the exact response."""
        return {"valid_loss": float(valid_loss(best_response(np.pi / 2.0)))}

    def hypers(self) -> dict[str, float | list[float]]:
        """The optimal λ."""
        return {"lam": float(np.pi / 2.0)}

    def state(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing changes."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Grids w, lam (100,), train (100, 100) with w first, valid (100,); lines and optima of both responses."""
        w, lam = np.arange(-2.0, 2.0, STEP), np.arange(-np.pi, np.pi, ACROSS)
        out = {"w": w, "lam": lam, "train": train_loss(w[:, None], lam[None]), "valid": valid_loss(w)}
        out |= {"lam_hat": np.array(LAM_HAT), "lam_hat_w": np.array(best_response(LAM_HAT))}
        out["lam_hat_loss"] = np.array(train_loss(out["lam_hat_w"], LAM_HAT))
        near_train = np.arange(-np.pi / 1.61, np.pi / 1.65, ACROSS)  # where the tangent stays on the picture
        near_valid = np.arange(-np.pi / 1.6, np.pi / 1.55, ACROSS)
        for name, response, train_lam, valid_lam in (
            ("best", best_response, lam, lam),
            ("linear", linear_response, near_train, near_valid),
        ):
            out |= {f"train_{name}_lam": train_lam, f"train_{name}_w": response(train_lam)}
            out[f"train_{name}_loss"] = train_loss(response(train_lam), train_lam)
            out |= {f"valid_{name}_lam": valid_lam, f"valid_{name}_w": response(valid_lam)}
            out[f"valid_{name}_loss"] = valid_loss(response(valid_lam))
            at = int(np.argmin(out[f"valid_{name}_loss"]))
            for key in ("lam", "w", "loss"):
                out[f"optimum_{name}_{key}"] = np.array(out[f"valid_{name}_{key}"][at])
        return out
