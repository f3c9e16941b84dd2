"""Ridge regression: a bilevel problem whose best response and optimal λ are known in closed form.

L_T(w, λ) = mean (X w - y)² + exp(λ) |w|²,   w*(λ) = (X'X/N + exp(λ) I)^-1 X'y/N,   L_V(w) = mean (X_V w - y_V)²
"""

import autograd.numpy as anp
import numpy as np
from scipy.optimize import minimize_scalar

from hyperopt_hn import Hyper, HyperSpace

D = 8


class Ridge:
    """A toy problem (`toy.tuner.ToyProblem`) with its exact answers."""

    def __init__(self, seed: int = 0, init: float = 0.01) -> None:
        rng = np.random.default_rng(seed)
        w = rng.standard_normal(D)
        self.data = {}
        for split, rows in (("train", 12), ("valid", 200), ("test", 200)):
            x = rng.standard_normal((rows, D))
            self.data[split] = x, x @ w + 2.0 * rng.standard_normal(rows)
        self.space = HyperSpace([Hyper("decay", init, 0.0, log=True, spread=0.1, shared=True)])

    def rows(self, split):
        return len(self.data[split][0])

    def error(self, w, split):
        x, y = self.data[split]
        return anp.mean((anp.dot(w, x.T) - y) ** 2, axis=1)

    def train_loss(self, w, lam, batch=None):
        return self.error(w, "train") + self.space.values(lam, anp)["decay"] * anp.sum(w**2, axis=1)

    def valid_loss(self, w, batch=None):
        return self.error(w, "valid")

    def evaluate(self, w, split):
        return {"nll": self.error(w, split)}

    def exact_response(self, lam):
        """w*(λ), (D,)."""
        x, y = self.data["train"]
        return np.linalg.solve(x.T @ x / len(y) + np.exp(lam) * np.eye(D), x.T @ y / len(y))

    def exact_loss(self, lam):
        """L_V(w*(λ))."""
        return float(self.error(self.exact_response(lam)[None], "valid")[0])

    def optimum(self):
        """λ* = argmin L_V(w*(λ))."""
        return float(minimize_scalar(self.exact_loss, bounds=(-6.0, 6.0), method="bounded").x)
