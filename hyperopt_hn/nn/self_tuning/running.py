"""A run of SelfTuner.fit: its schedule, its folder, and its result with the network at its best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from hyperopt_hn.errors import UserError
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.loop import alternate
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.self_tuning.assembly import Specification
from hyperopt_hn.nn.self_tuning.data import Data, as_source, epoch_of, rows_in
from hyperopt_hn.nn.self_tuning.defaults import Tuning
from hyperopt_hn.nn.self_tuning.folder import choose
from hyperopt_hn.nn.self_tuning.memory import Memory
from hyperopt_hn.nn.self_tuning.result import TuningResult
from hyperopt_hn.nn.setup.narrowing import Narrowing
from hyperopt_hn.nn.setup.random_states import host_states, set_host_states
from hyperopt_hn.nn.tuning.codec import TORCH
from hyperopt_hn.nn.tuning.tuner import TorchTuner
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.runs.provenance import versions_and_commit
from hyperopt_hn.runs.reader import Run
from hyperopt_hn.runs.sinks import Sink
from hyperopt_hn.schedule import Alternation
from hyperopt_hn.space import HyperSpace


@dataclass(frozen=True)
class FitPlan:
    """What `fit` was asked for: the three splits, how long, in batches of how many rows, and where it is recorded."""

    train: Data
    valid: Data
    test: Data = None
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 64
    out: Path | str | None = None
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False
    sinks: Sequence[Sink] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "steps"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UserError(f"{name}={value!r} must be a whole number of at least 1")
        if (self.epochs is None) == (self.steps is None):
            raise UserError("say how long to train: epochs=20, or steps=5000 (training steps)")
        if self.resume and self.overwrite:
            raise UserError("resume=True goes on with a run and overwrite=True starts it again; give one of them")
        if self.out is None and (self.resume or self.overwrite):
            raise UserError("a run without out= is not recorded; give out='runs/name' to resume or overwrite it")
        if self.out is None and self.sinks:
            raise UserError("sinks get the records of a run that is recorded; give out='runs/name' too")
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise UserError(f"batch_size={self.batch_size!r} must be a whole number of at least 1")


def give_data(tuner: TorchTuner, plan: FitPlan, seed: int) -> None:
    """The plan's data as the tuner's batches; each split is shuffled with a seed of its own."""
    model, size = tuner.losses.bare, plan.batch_size
    test = None if plan.test is None else as_source(plan.test, "test", model, size, seed + 3)
    tuner.problem = replace(
        tuner.problem,
        train=as_source(plan.train, "train", model, size, seed + 1),
        valid=as_source(plan.valid, "valid", model, size, seed + 2),
        test=test,
    )


def schedule(tuner: TorchTuner, plan: FitPlan, tuning: Tuning) -> Alternation:
    """Epochs as steps; warm-up is over once something was tuned. UserError where an epoch has no length."""
    batches = epoch_of(tuner.problem.train)
    if batches is None and plan.epochs is not None:
        raise UserError("the training data do not say how many batches an epoch has; give steps= instead of epochs=")
    epoch = None if batches is None else max(batches // tuning.accumulate, 1)
    steps = plan.steps or (plan.epochs or 1) * (epoch or 1)
    tunes = tuner.optimizers.lam is not None
    warmup = max(steps // 10 if tuning.warmup is None else tuning.warmup, tuning.least_warmup())
    every = tuning.evaluate_every or min(epoch or 100, steps)
    return Alternation(
        steps=steps,
        warmup=0 if tuner.steps["tune"] else min(warmup, steps),
        train_per_cycle=tuning.train_per_tune,
        tune_per_cycle=1 if tunes else 0,
        evaluate_every=every + (every // tuning.train_per_tune if tunes else 0),
        patience=tuning.patience,
        max_seconds=tuning.max_seconds,
    )


def run(tuner: TorchTuner, given: Specification, plan: FitPlan) -> TuningResult:
    """Train, tune, record, repeatably: random masks come from the seed, and torch's generators end as they began.

    The tuner ends in its best state. Raises what `alternate` raises.
    """
    device = next(tuner.losses.bare.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(given.seed + 1_000_003 * tuner.steps["train"])
        return _run(tuner, given, plan)


def _run(tuner: TorchTuner, given: Specification, plan: FitPlan) -> TuningResult:
    give_data(tuner, plan, given.seed)
    course = schedule(tuner, plan, given.tuning)
    if tuner.optimizers.lam is not None:
        for group in tuner.optimizers.lam.param_groups:
            group["lr"] = given.tuning.pace((course.steps - course.warmup) // course.train_per_cycle)
    for schedule_ in tuner.optimizers.schedulers.train:
        if isinstance(schedule_, Narrowing):
            schedule_.begin(course.steps)
    if plan.out is None:
        log = Memory(distributed.team())
        alternate(tuner, course, log, Progress("fit", course.total, quiet=_quiet(plan)))
        return _result(tuner, given.space, log.best_state, vars(log), None)
    place = choose(plan.out, plan.resume, plan.overwrite)
    if place.line and not _quiet(plan):
        print(place.line)
    if not place.finished:
        log_ = distributed.open_log(
            place.path, _config(given, plan, course), TORCH, place.resume, plan.overwrite, plan.sinks
        )
        alternate(tuner, course, log_, Progress(place.path.name, course.total, quiet=_quiet(plan)))
    if distributed.world() > 1:
        dist.barrier()  # rank 0 has written the files that all read now
    written = Run(place.path)
    best = TORCH.load(place.path / f"best.{TORCH.suffix}")
    whole = {"records": written.records, "result": written.result, "arrays": written.arrays}
    return _result(tuner, given.space, best, whole, place.path)


def _config(given: Specification, plan: FitPlan, course: Alternation) -> dict[str, Any]:
    """What config.json holds: enough to compare a resumed run with, and to load its network again."""
    tuning = {option.name: _plain(getattr(given.tuning, option.name)) for option in fields(given.tuning)}
    schedule_of = {name: value for name, value in asdict(course).items() if name not in tuning}
    return {
        "experiment": "self-tuner",
        "arm": type(given.net).__name__,
        "preset": "own",
        "seed": given.seed,
        "config": {**schedule_of, **tuning, "batch_size": plan.batch_size, "tuned": list(given.space.tuned)},
        "data": {"name": "own", "rows": [rows_in(split) for split in (plan.train, plan.valid, plan.test)]},
        "hypers": [_hyper(hyper) for hyper in given.space.hypers],
        "dropout": dict(given.dropout),
        "response": _response(given.tuning),
        **versions_and_commit(["hyperopt_hn", "torch", "numpy"]),
    }


def _response(tuning: Tuning) -> dict[str, Any]:
    """A response's kind and its plain settings."""
    learner = tuning.learner()
    if isinstance(learner, str):
        return {"kind": learner, "settings": {}}
    settings = {option.name: getattr(learner, option.name) for option in fields(learner)}  # type: ignore[arg-type]
    plain = {name: value for name, value in settings.items() if isinstance(value, (bool, int, float, str))}
    return {"kind": type(learner).__name__.lower(), "settings": plain}


def _hyper(hyper: Hyper) -> dict[str, Any]:
    """A hyperparameter's settings; infinite bounds, which JSON lacks, as words."""
    return {k: str(v) if isinstance(v, float) and math.isinf(v) else v for k, v in asdict(hyper).items()}


def _plain(value: Any) -> Any:
    """Numbers and words as they are, responses with their settings, functions and the like by their kind."""
    if isinstance(value, float) and math.isinf(value):
        return str(value)  # which JSON lacks
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value) if is_dataclass(value) else type(value).__name__


def _result(
    tuner: TorchTuner, space: HyperSpace, best: Mapping[str, Any] | None, run: Mapping[str, Any], path: Path | None
) -> TuningResult:
    """The result of a run (its records, result and arrays), with the tuner put into its best state."""
    verdict = tuner.trust() if space.n else None  # at the end of the run, before its best state is put back
    if best is not None:
        before = host_states()
        tuner.load_state(dict(best))
        set_host_states(before)
    values = {name: np.array(v) if isinstance(v, list) else v for name, v in tuner.hypers().items()}
    outcome, arrays = run["result"], run["arrays"]
    lams = arrays["course_lambda"].reshape(len(arrays["course_step"]), space.n)
    natural = space.values(lams)
    course = {"step": arrays["course_step"], **{name: np.asarray(natural[name]) for name in space.tuned}}
    return TuningResult(
        best_hypers=values,
        best_loss=float(outcome["best"]["valid_loss"]),
        best=outcome["best"],
        records=list(run["records"]),
        course=course,
        arrays=arrays,
        reason=outcome["reason"],
        seconds=float(outcome["seconds"]),
        path=path,
        trust=verdict,
    )


def _quiet(plan: FitPlan) -> bool:
    return plan.quiet or distributed.rank() != 0
