"""All of a tuner that its next step depends on: taken as one state, put back from one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hyperopt_hn.nn.diagnosis.found_before import found_of, put_back
from hyperopt_hn.nn.diagnosis.gain import ResponseGain
from hyperopt_hn.nn.diagnosis.overtuning import OverTuning
from hyperopt_hn.nn.responses import Losses, Response
from hyperopt_hn.nn.setup.hypers import Noise
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem
from hyperopt_hn.nn.setup.random_states import random_state, set_random_state
from hyperopt_hn.nn.tuning import checkpoint
from hyperopt_hn.nn.tuning.history import Trace


@dataclass(frozen=True)
class WholeState:
    """The pieces; `take` and `put` are `TorchTuner.state` and `load_state`."""

    losses: Losses
    problem: TorchProblem
    optimizers: Optimizers
    response: Response
    noise: Noise
    trace: Trace
    over: OverTuning
    gain: ResponseGain

    def take(self, steps: dict[str, int]) -> dict[str, Any]:
        """A copy on the processor; all ranks must call it together."""
        hypers, opt = self.losses.hypers, self.optimizers
        live = {
            "kind": checkpoint.KIND,
            "version": checkpoint.VERSION,
            "response": type(self.response).__name__,
            "names": list(hypers.space.tuned),
            "model": self.losses.bare.state_dict(),
            "metadata": {name: dict(own) for name, own in _metadata(self.losses.bare.state_dict()).items()},
            "hypers": hypers.state_dict(),
            "kinds": checkpoint.kinds(opt),
            "optimizers": [o.state_dict() for o in opt.all()],
            "schedulers": [s.state_dict() for s in opt.schedulers.all()],
            "batches": [source.state() for source in (self.problem.train, self.problem.valid)],
            "noise": self.noise.state(),
            "random": random_state(hypers.lam.device),
            "steps": dict(steps),
            "course": self.trace.state(),
            "over": self.over.state(),
            "gain": self.gain.state(),
            "found": found_of(self.losses.bare),
        }
        whole: dict[str, Any] = checkpoint.copied(live)
        return whole

    def put(self, state: Any) -> dict[str, int]:
        """Put a state back and return its steps; UserError if it belongs to another model, space or optimizers."""
        state = checkpoint.upgraded(state)
        self._check(state)
        whole, hypers, opt = checkpoint.copied(state), self.losses.hypers, self.optimizers
        model = OrderedDict(whole["model"])
        vars(model)["_metadata"] = whole.get("metadata", _metadata(self.losses.bare.state_dict()))
        self.losses.bare.load_state_dict(model)
        put_back(self.losses.bare, whole["found"])
        hypers.load_state_dict(whole["hypers"])
        for optimizer, saved in zip(opt.all(), whole["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for scheduler, saved in zip(opt.schedulers.all(), whole["schedulers"], strict=True):
            scheduler.load_state_dict(saved)
        for source, saved in zip((self.problem.train, self.problem.valid), whole["batches"], strict=True):
            source.load_state(saved)
        self.noise.load_state(whole["noise"])
        self.trace.load_state(whole["course"], hypers.lam.device)
        self.over.load_state(whole["over"])
        if whole["gain"] is not None:
            self.gain.load_state(whole["gain"])
        set_random_state(whole["random"], hypers.lam.device)  # last: sources may draw while loading
        steps: dict[str, int] = whole["steps"]
        return steps

    def _check(self, state: Any) -> None:
        checkpoint.check_kind(state)
        hypers = self.losses.hypers
        checkpoint.check_names("response", state["response"], type(self.response).__name__)
        checkpoint.check_names("tuned hyperparameters", state["names"], list(hypers.space.tuned))
        checkpoint.check_fits(self.losses.bare, state["model"], "model")
        checkpoint.check_fits(hypers, state["hypers"], "space")
        checkpoint.check_names("optimizers and schedulers", state["kinds"], checkpoint.kinds(self.optimizers))


def _metadata(state: Mapping[str, Any]) -> dict[str, Any]:
    """The versions of a model's modules, by which they read older states; torch hangs them on the state itself."""
    return dict(getattr(state, "_metadata", {}))
