"""Whether a model, λ̂ and optimizers belong together: every mistake is found at construction, with its remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.context import hyper_layers, space_of
from hyperopt_hn.nn.conversion.converter import response_parameters
from hyperopt_hn.nn.responses import Delta, Implicit, Response, Split
from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.nn.setup.problem import Optimizers, TunerConfig


def unwrap(model: nn.Module) -> nn.Module:
    """The bare module behind DistributedDataParallel and torch.compile."""
    distributed.refuse_sharded(model)
    if isinstance(model, DataParallel):
        raise UserError("DataParallel does not split λ with the batch; use DistributedDataParallel under torchrun")
    if isinstance(model, DistributedDataParallel):
        return unwrap(model.module)
    if _compiled(model):
        return unwrap(cast(nn.Module, model._orig_mod))
    return model


def check_fit(model: nn.Module, hypers: Hypers, optimizers: Optimizers, response: Response) -> None:
    """Raise UserError for the first thing that does not fit."""
    bare = unwrap(model)
    if isinstance(response, Delta) and response.linear and model is not bare and _compiled(model):
        raise UserError("torch.compile does not trace forward mode: give Δ-STN the plain model, or Delta(linear=False)")
    _check_places(bare, hypers)
    _check_space(bare, hypers, response)
    _check_phi(bare, hypers, optimizers)
    _check_tuned(hypers, optimizers)
    if isinstance(response, Implicit) and optimizers.rho is not None:
        raise UserError("the implicit method perturbs nothing, so it cannot tune spreads; leave `rho` out")


def with_response(optimizers: Optimizers, bare: nn.Module, response: Response) -> Optimizers:
    """With an Adam for the response's parameters where a Split needs one and none is given."""
    own = [p for p in response_parameters(bare) if p.requires_grad]
    if not isinstance(response, Split) or optimizers.response is not None or not own:
        return optimizers
    return replace(optimizers, response=torch.optim.Adam(own, response.lr))


def autocast_dtype(name: str) -> torch.dtype | None:
    """The dtype of TunerConfig.autocast. Raises UserError for an unknown one, and for float16."""
    if name == "":
        return None
    if name == "bfloat16":
        return torch.bfloat16
    if name == "float16":
        raise UserError("float16 needs loss scaling, which small steps on λ do not survive; use autocast='bfloat16'")
    raise UserError(f"autocast={name!r} is unknown; take 'bfloat16' or ''")


def check_course(config: TunerConfig, hypers: Hypers) -> None:
    """Raise UserError for a course of a hyperparameter that the space lacks, or that is tuned."""
    for name in config.course.at(0) if config.course is not None else ():
        hypers.space[name]
        if name in hypers.space.tuned:
            raise UserError(f"hyperparameter {name!r} is tuned and follows a course; take it out of `tuned`")


def _check_places(bare: nn.Module, hypers: Hypers) -> None:
    devices = {p.device for p in bare.parameters()}
    if not devices:
        raise UserError("this model has no parameters; there is nothing to train")
    if len(devices) > 1:
        raise UserError(f"the model is on {', '.join(sorted(map(str, devices)))}; move it to one device with .to(...)")
    (device,) = devices
    if hypers.lam.device != device:
        raise UserError(
            f"the model is on {device} and λ̂ on {hypers.lam.device}; make Hypers(space, device={str(device)!r})"
        )
    types = {p.dtype for p in bare.parameters() if p.is_floating_point()}
    if torch.float64 in types and len(types) > 1:
        raise UserError("the model mixes float64 with another precision; bring it to one with .double() or .float()")
    if hypers.lam.dtype not in (torch.float32, torch.float64):
        raise UserError(f"λ̂ is in {hypers.lam.dtype}; keep Hypers out of .to(dtype): it stays in float32")


def _check_space(bare: nn.Module, hypers: Hypers, response: Response) -> None:
    layers = [layer for _, layer in hyper_layers(bare)]
    if layers:
        space = space_of(bare)
        if (space.names, space.tuned, space.n) != (hypers.space.names, hypers.space.tuned, hypers.space.n):
            raise UserError("the model was converted with another space than Hypers has; use the same one for both")
    if hypers.space.n and not isinstance(response, Implicit) and not any(layer.num_hyper for layer in layers):
        raise UserError("no layer of this model has a response to λ; make it with convert(model, space)")


def _check_phi(bare: nn.Module, hypers: Hypers, optimizers: Optimizers) -> None:
    covered: set[int] = set()
    for optimizer in optimizers.all():
        if isinstance(optimizer, torch.optim.LBFGS):
            raise UserError(
                "torch.optim.LBFGS evaluates the loss several times in a step, through a closure that a tuner does not "
                "give; use SGD, Adam or AdamW"
            )
    own = _identities(optimizers.response) if optimizers.response is not None else set()
    _check_response(bare, own)
    for optimizer in optimizers.phis():
        covered |= _identities(optimizer)
    if covered & {id(hypers.lam), id(hypers.rho)}:
        raise UserError("φ's optimizer holds λ̂ or ρ, which a train step must not move; give them their own optimizers")
    for name, parameter in bare.named_parameters():
        if parameter.requires_grad and id(parameter) not in covered | own:
            raise UserError(
                f"parameter {name!r} is in no optimizer; make φ's optimizer after convert(model, space), or freeze it "
                "with requires_grad_(False)"
            )


def _identities(optimizer: torch.optim.Optimizer) -> set[int]:
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def _check_response(bare: nn.Module, own: set[int]) -> None:
    if own - {id(p) for p in response_parameters(bare)}:
        raise UserError(
            "the optimizer `response` holds other parameters than the response's; make it with "
            "response_parameters(model), and φ's with general_parameters(model)"
        )


def _check_tuned(hypers: Hypers, optimizers: Optimizers) -> None:
    if optimizers.lam is None:
        if optimizers.rho is not None:
            raise UserError("the spreads are tuned and λ̂ is not; give Optimizers a `lam` too")
        return
    if hypers.space.n == 0:
        raise UserError("the space tunes nothing; list names in HyperSpace(..., tuned=[...]), or leave `lam` out")
    for name, optimizer, parameter in (("lam", optimizers.lam, hypers.lam), ("rho", optimizers.rho, hypers.rho)):
        if optimizer is None:
            continue
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if len(parameters) != 1 or parameters[0] is not parameter:
            raise UserError(f"the optimizer `{name}` must hold [hypers.{name}] and nothing else")
    if optimizers.rho is not None and not hypers.any_free:
        raise UserError("every spread is 0, so none can be tuned; give a Hyper a spread, or leave `rho` out")


def _compiled(model: nn.Module) -> bool:
    return type(model).__name__ == "OptimizedModule"  # by name: importing torch._dynamo takes a second
