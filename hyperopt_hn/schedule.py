"""When what is done: a schedule is a pure function from the number of steps done to the kind of the next one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hyperopt_hn.config import check, described, option


@described
@dataclass(frozen=True)
class Alternation:
    """A schedule: a pure function from the number of steps done to the kind of the next one."""

    steps: int = option(1000, "training steps in all, warm-up included", unit="train steps", least=1)
    warmup: int = option(0, "training steps before the first tuning step", unit="train steps", least=0)
    train_per_cycle: int = option(1, "training steps in a cycle", unit="train steps", least=1)
    tune_per_cycle: int = option(1, "tuning steps in a cycle; 0 keeps λ fixed", unit="tune steps", least=0)
    rest: int = option(0, "training steps at the end in which λ rests", unit="train steps", least=0)
    tune_after: int = option(0, "tuning steps after the last training step (Alg. 2)", unit="tune steps", least=0)
    evaluate_every: int = option(100, "steps of either kind between evaluations", unit="steps", least=1)
    evaluate_train: float = option(
        0.0, "evaluate whenever so many training steps are done, as at epoch ends; 0: by evaluate_every",
        unit="train steps", least=0,
    )  # fmt: skip
    checkpoint_every: int = option(0, "steps between checkpoints; 0: at every evaluation", unit="steps", least=0)
    patience: int = option(0, "evaluations without improvement before stopping; 0: never", unit="evaluations", least=0)
    max_seconds: float = option(0.0, "stop at the first evaluation after so long; 0: no limit", unit="s", least=0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def total(self) -> int:
        """Total steps, training and tuning."""
        return self.steps + self._cycles * self.tune_per_cycle + self.tune_after

    @property
    def _cycles(self) -> int:
        return max(self.steps - self.warmup - self.rest, 0) // self.train_per_cycle

    def kind(self, done: int) -> str:
        """ "train" or "tune": what comes after `done` steps of either kind."""
        if done >= self.total - self.tune_after:
            return "tune"
        if done < self.warmup:
            return "train"
        cycle = self.train_per_cycle + self.tune_per_cycle
        whole = self._cycles * cycle
        place = done - self.warmup
        return "train" if place >= whole or place % cycle < self.train_per_cycle else "tune"

    def trained(self, done: int) -> int:
        """Training steps among the first `done` steps."""
        if done <= self.warmup:
            return done
        cycle = self.train_per_cycle + self.tune_per_cycle
        cycles = max(self.steps - self.warmup, 0) // self.train_per_cycle
        behind = done - self.warmup
        whole, rest = divmod(min(behind, cycles * cycle), cycle)
        after = max(behind - cycles * cycle, 0)
        return min(self.warmup + whole * self.train_per_cycle + min(rest, self.train_per_cycle) + after, self.steps)

    def evaluates(self, done: int) -> bool:
        """Whether an evaluation follows after `done` steps: regularly, and at the end.

        By `evaluate_train` it is the last moment before the next training step, so that tuning steps belong before.
        """
        if done == self.total:
            return True
        if not self.evaluate_train or done > self.total - self.tune_after:
            return done % self.evaluate_every == 0
        trained = self.trained(done)
        if trained == 0 or self.kind(done) == "tune":
            return False
        now, before = (math.floor(count / self.evaluate_train + 1e-9) for count in (trained, trained - 1))
        return now > before
