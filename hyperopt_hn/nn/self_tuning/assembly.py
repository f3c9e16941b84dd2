"""From a network, hyperparameters and losses to a TorchTuner: everything that SelfTuner does for the user."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hyperopt_hn.course import Course
from hyperopt_hn.errors import UserError
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.context import hyper_layers
from hyperopt_hn.nn.conversion.converter import convert, response_parameters
from hyperopt_hn.nn.conversion.copies import copy_of
from hyperopt_hn.nn.layers.kinds import Form
from hyperopt_hn.nn.responses import Response, Split
from hyperopt_hn.nn.self_tuning.data import NoData
from hyperopt_hn.nn.self_tuning.defaults import FASTEST, OPTIMIZER, Tuning
from hyperopt_hn.nn.self_tuning.steady_shapes import with_steady_shapes
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.nn.setup.narrowing import Narrowing
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TrainLoss, TunerConfig, ValidLoss, rows_of
from hyperopt_hn.nn.setup.schedulers import Schedulers, is_by_loss
from hyperopt_hn.nn.tuning.tuner import TorchTuner
from hyperopt_hn.space import HyperSpace

Metrics = Callable[[nn.Module, Batch], Mapping[str, Tensor]]


class DoubleDecayWarning(UserWarning):
    """The optimizer decays the weights, and so does a tuned penalty."""


@dataclass(frozen=True)
class Specification:
    """All that a SelfTuner is made from, kept so that another one can be: with fixed values, or along a course."""

    net: nn.Module
    space: HyperSpace
    train_loss: TrainLoss
    valid_loss: ValidLoss
    dropout: Mapping[str, str] = field(default_factory=dict)
    optimizer: Callable[[list[nn.Parameter]], Optimizer] = OPTIMIZER
    metrics: Metrics | None = None
    rows: Callable[[Batch], int] = rows_of
    tuning: Tuning = Tuning()
    seed: int = 0
    course: Course | None = None


def space_of_hypers(hypers: HyperSpace | Sequence[Hyper]) -> HyperSpace:
    """A space, made from a list of Hyper if need be. Raises UserError for anything else."""
    if isinstance(hypers, HyperSpace):
        return hypers
    if isinstance(hypers, Hyper):
        return HyperSpace([hypers])
    if not isinstance(hypers, Sequence) or not all(isinstance(hyper, Hyper) for hyper in hypers):
        raise UserError('hypers must be a list such as [Hyper("dropout", 0.1, 0.0, 0.9)], or a HyperSpace')
    return HyperSpace(hypers)


def assemble(given: Specification) -> tuple[TorchTuner, Hypers]:
    """The converted network, λ̂ and the optimizers as a TorchTuner that has no data yet, and its λ̂.

    What starts at random, as a response may, does so by the seed; torch's own generator stays where it is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(given.seed)
        return _assembled(given)


def _assembled(given: Specification) -> tuple[TorchTuner, Hypers]:
    _check_processes()
    tuning = given.tuning
    if any(p.is_meta for p in given.net.parameters()):
        raise UserError(
            "this network is on the meta device, where parameters have no numbers; give it some, by to_empty(...) and "
            "its initialisation or load_state_dict(..., assign=True), then tune it"
        )
    model = converted(given.net, given.space, given.dropout, tuning.response, tuning.form)
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    if parameter is None:
        raise UserError("this network has no parameters; there is nothing to train")
    wide = parameter.dtype == torch.float64
    dtype = torch.float64 if wide else torch.float32
    at_once = tuning.form == "generic"
    hypers = Hypers(given.space, parameter.device, dtype, tuning.spread, tuning.box, tuning.decades, at_once)
    wrapped = model if given.tuning.wrap is None else given.tuning.wrap(model)
    problem = TorchProblem(
        with_steady_shapes(given.train_loss, given.space, given.rows), given.valid_loss,
        NoData("training", empty=True), NoData("validation"),
        metrics=given.metrics, rows=given.rows,
    )  # fmt: skip
    optimizers = _optimizers(given, model, hypers)
    config = TunerConfig(
        seed=given.seed, accumulate=tuning.accumulate, clip=tuning.clip, autocast=tuning.autocast,
        gain=tuning.gain if given.space.n else 0.0, course=given.course,
    )  # fmt: skip
    return TorchTuner(wrapped, hypers, problem, optimizers, tuning.learner(), config), hypers  # type: ignore[arg-type]


def copied(net: nn.Module) -> nn.Module:
    """A deep copy of the network. Raises UserError where it has none."""
    distributed.refuse_sharded(net)
    try:
        copied_net: nn.Module = copy_of(net)
        return copied_net
    except Exception as error:  # whatever its modules hold: locks, generators, tensors of a graph
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"this network cannot be copied ({line[:100]}); give inplace=True to convert it itself"
        ) from None


def converted(
    net: nn.Module, space: HyperSpace, dropout: Mapping[str, str], response: str | Response, form: Form = "full"
) -> nn.Module:
    """The network itself, its layers responding where this response needs it; one that responds already stays."""
    kind = (response if isinstance(response, str) else type(response).__name__).lower()
    if next(hyper_layers(net), None) is not None:
        return net  # converted by the user, with settings of their own
    if kind == "implicit":
        if set(dropout.values()) & set(space.tuned):
            raise UserError("the implicit method cannot tune dropout, only penalties; take another response")
        if not dropout:
            return net
    if not space.n and not dropout:
        return net
    return convert(net, space, gain="stn" if kind == "stn" else "delta", dropout=dropout, form=form)


def _optimizers(given: Specification, model: nn.Module, hypers: Hypers) -> Optimizers:
    apart = isinstance(given.tuning.learner(), Split) or given.tuning.response_optimizer is not None
    answering = [p for p in response_parameters(model) if p.requires_grad] if apart else []
    own = {id(p) for p in answering}
    phi = given.optimizer([p for p in model.parameters() if p.requires_grad and id(p) not in own])
    if not isinstance(phi, Optimizer):
        raise UserError(
            f"optimizer gave a {type(phi).__name__}; give a function of the parameters, such as "
            "optimizer=lambda parameters: torch.optim.AdamW(parameters, 3e-3, weight_decay=0.0)"
        )
    warn_of_double_decay(phi, given)
    lam = torch.optim.Adam([hypers.lam], given.tuning.lr_lam or FASTEST) if given.space.n else None
    make = given.tuning.response_optimizer
    respond = make(answering) if make is not None and answering else None  # split makes itself an Adam
    schedulers = _schedulers(given.tuning, phi)
    narrowing = Narrowing(hypers, given.tuning.spread, given.tuning.decades)
    if narrowing.moves:
        schedulers = replace(schedulers, train=[*schedulers.train, narrowing])
    return Optimizers(phi, lam, schedulers=schedulers, response=respond)


def _schedulers(tuning: Tuning, optimizer: Optimizer) -> Schedulers:
    if tuning.scheduler is None:
        return Schedulers()
    scheduler = tuning.scheduler(optimizer)
    return Schedulers(evaluation=[scheduler]) if is_by_loss(scheduler) else Schedulers(train=[scheduler])


def warn_of_double_decay(optimizer: Optimizer, given: Specification) -> None:
    """Warn once, naming both, if the optimizer decays weights that a tuned hyperparameter decays too."""
    rates = [group.get("weight_decay", 0) for group in optimizer.param_groups]
    decay = max((rate for rate in rates if isinstance(rate, (int, float))), default=0)
    dropped = set(given.dropout.values())
    words = ("decay", "l2", "penalty", "ridge")
    penalties = [
        name
        for name in given.space.tuned
        if name not in dropped and (given.space[name].shared or any(word in name.lower() for word in words))
    ]
    if decay and penalties:
        warnings.warn(
            f"{type(optimizer).__name__}'s weight_decay={decay:g} acts beside the tuned {penalties[0]!r}, which then "
            "is not the whole decay (and AdamW's is no L2 penalty); set weight_decay=0.0 in the optimizer",
            DoubleDecayWarning,
            stacklevel=6,
        )


def _check_processes() -> None:
    processes = int(os.environ.get("WORLD_SIZE", "1") or 1)
    if "TORCHELASTIC_RUN_ID" in os.environ and processes > 1 and distributed.world() == 1:
        raise UserError(
            f"torchrun started {processes} processes and none is connected; call "
            "torch.distributed.init_process_group() before SelfTuner"
        )
