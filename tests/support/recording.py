"""A Tuner that records what is asked of it and moves in a random walk: the loop's own behaviour, nothing learned."""

import numpy as np

from hyperopt_hn import RunLog, alternate
from hyperopt_hn.runs.display.progress import Progress

CONFIG = {"experiment": "walk", "arm": "a", "preset": "test", "seed": 0, "config": {"steps": 1}, "data": None}


class RecordingTuner:
    """Steps append to `calls`; the "loss" is a random walk whose stream is part of the state."""

    def __init__(self, seed: int = 0, nan_at: int | None = None, losses: list[float] | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.calls: list[str] = []
        self.x = np.zeros(3)
        self.count = 0
        self.nan_at = nan_at
        self.losses = losses
        self.evaluations = 0

    def train_step(self):
        self.calls.append("train")
        return self._move("train_loss")

    def tune_step(self):
        self.calls.append("tune")
        return self._move("tune_loss")

    def _move(self, name):
        self.count += 1
        self.x = self.x + self.rng.standard_normal(3)
        return {name: float("nan") if self.count == self.nan_at else float(self.x.sum())}

    def evaluate(self):
        self.evaluations += 1
        if self.losses is not None:
            return {"valid_loss": self.losses[min(self.evaluations, len(self.losses)) - 1]}
        return {"valid_loss": float((self.x**2).sum())}

    def hypers(self):
        return {"x0": float(self.x[0]), "all": self.x.tolist()}

    def state(self):
        return {"x": self.x.copy(), "count": self.count, "evaluations": self.evaluations,
                "rng": self.rng.bit_generator.state}  # fmt: skip

    def load_state(self, state):
        self.x, self.count, self.evaluations = state["x"].copy(), state["count"], state["evaluations"]
        self.rng.bit_generator.state = state["rng"]

    def arrays(self):
        return {"x": self.x}


def run(path, plan, tuner=None, **flags):
    """The tuner that ran its schedule into a directory, without a word, and its outcome."""
    tuner = tuner or RecordingTuner()
    log = RunLog(path, CONFIG, **flags)
    return tuner, alternate(tuner, plan, log, Progress("walk", plan.total, quiet=True))
