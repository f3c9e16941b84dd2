"""convert: an ordinary model's layers respond to λ, in place, its function unchanged where the response is zero."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import HyperLayer, anywhere, hyper_layers, named_own
from hyperopt_hn.nn.conversion.binding import bind
from hyperopt_hn.nn.conversion.kind_rules import RULED, KindRules, Rule
from hyperopt_hn.nn.conversion.obstacles import by_itself, frozen, obstacle
from hyperopt_hn.nn.conversion.reports import LEAST, FewRespondWarning, Report, percent
from hyperopt_hn.nn.conversion.selection import LayerSelection, RateNames, Select, drops
from hyperopt_hn.nn.conversion.source_reads import read_past
from hyperopt_hn.nn.conversion.ties import left_together, tie, ties_agreed
from hyperopt_hn.nn.conversion.undone_gates import BEHIND, undone
from hyperopt_hn.nn.distributed import refuse_sharded
from hyperopt_hn.nn.layers.affine_response import Gain
from hyperopt_hn.nn.layers.by_parameter.layer import respond_by_parameter
from hyperopt_hn.nn.layers.in_place import undo
from hyperopt_hn.nn.layers.kinds import GENERIC, Form, Table, table_of
from hyperopt_hn.nn.layers.plain import Options
from hyperopt_hn.space import HyperSpace


def convert(
    model: nn.Module,
    space: HyperSpace,
    include: Select = (),
    exclude: Select = (),
    gain: Gain = "delta",
    dropout: Mapping[str, str] | None = None,
    *,
    form: Form = "full",
    rank: int | None = None,
    kinds: Mapping[type[nn.Module], Rule] | None = None,
) -> nn.Module:
    """Make the layers of `model` respond to the space's λ; in place, and returned.

    Elementary parameters stay the same objects under the same names, so optimizers and checkpoints still fit. Layers
    that share a weight share its response; a module used twice stays one. `form`: "full" adds a second matrix to each
    layer, W + diag(V h) R; "lowrank" one of rank `rank` (by the layer's size if not given, below a tenth of a usual
    model's parameters); "gated" only scales and shifts units, and skips a layer whose batch norm would undo it, since
    the norm responds itself. In all three the parameters of other modules respond by themselves (see
    layers/by_parameter). "generic": all parameters of all modules do, to one λ for a batch, which is right whatever a
    model computes. `gain`: "delta" starts the response at zero, "stn" at N(0, 0.01²). `dropout` maps names or patterns
    to hyperparameters: dropout modules then drop at each example's own rate ("*" leaves those off whose rate is 0),
    stochastic depth (not meant by "*") drops rows, an LSTM between its layers, attention in its weights, an embedding
    (by its exact name) whole word types, and "rnn.weight_hh" or "fc.weight" is DropConnect of that weight. `kinds`
    overrules the rest for modules of a class: {Class: {"weight": 0, "bias": None}} has these parameters respond by
    themselves, scaled along that axis or entry by entry (None), and leaves its others plain. A space that tunes nothing
    leaves all layers plain. Raises UserError for a pattern without a match, nothing to convert, or a model that cannot
    be.
    """
    refuse_sharded(model)
    if next(hyper_layers(model), None) is not None:
        raise UserError("this model is converted already; convert the plain one, or call bind(model, space)")
    gates = undone(model) if form == "gated" else {}
    how = _How(table_of(form), Options(space.n, gain, rank), gates, KindRules(kinds or {}))
    made: dict[nn.Module, nn.Module] = {}
    try:
        found = _respond(model, space, LayerSelection(include, exclude), RateNames(space, dropout or {}), how, made)
        if not made and space.n:
            some = "; ".join(f"{k or 'the model'}: {v}" for k, v in list(found.left.items())[:5])
            raise UserError(f"convert found nothing to convert: {some or 'the model has no parameters'}")
        dropped = set((dropout or {}).values()) & set(space.tuned)
        if dropped and any(True for _ in model.parameters()) and not any(layer.num_hyper for layer in _hyper(made)):
            some = "; ".join(f"{k}: {v}" for k, v in list(found.left.items())[:5])
            raise UserError(f"no layer responds to λ, so that no rate of dropout could be tuned: {some}")
        tie(made, {module: name for name, module in model.named_modules()})
    except BaseException:
        undo(made.values())
        raise
    model = replace(model, made)
    _forbid_fast_path(model, made.values())
    if made:
        bind(model, space)
        _, first = next(hyper_layers(model))
        first.home.report = found
        if space.n and found.share < LEAST and not (include or exclude or kinds or form == "gated"):
            _warn(found)
    return model


def _hyper(made: Mapping[nn.Module, nn.Module]) -> Iterator[HyperLayer]:
    return (layer for new in made.values() for _, layer in hyper_layers(new))


@dataclass(frozen=True)
class _How:
    table: Table
    options: Options
    undone: Mapping[nn.Module, nn.Module]
    rules: KindRules


def _respond(
    model: nn.Module,
    space: HyperSpace,
    chosen: LayerSelection,
    rates: RateNames,
    how: _How,
    made: dict[nn.Module, nn.Module],
) -> Report:
    converted: dict[str, str] = {}
    plain: dict[tuple[str, str], int] = {}
    left: dict[str, str] = {}
    at_once = how.table is GENERIC
    every = list(_outermost(model, at_once))
    sizes = _sizes(every, at_once)
    unlike = {module: frozen(module, space.n) or obstacle(module, how.table) for _, module in every}
    unlike |= {module: why for module, why in read_past(model).items() if unlike.get(module, "") is None}
    wish = {module: chosen.reason(names, module) for names, module in every}
    ruled = {module: how.rules.of(module) for _, module in every}
    unlike |= {module: RULED for module, rule in ruled.items() if rule is not None}
    alone = {m for m, why in unlike.items() if why and not wish[m] and space.n and by_itself(m, at_once)}
    alone -= {module for module, rule in ruled.items() if rule is not None and not rule}
    reasons = {m: wish[m] or (None if m in alone else why) for m, why in unlike.items()}
    left_together(model, reasons, {module: names[0] for names, module in every})
    alone = {m for m in alone if reasons[m] is None}
    ties_agreed(model, reasons, alone)
    for names, module in every:
        layer: nn.Module | None = rates.dropout_for(names, module)
        reason, wanted = reasons[module], rates.wants(names, module)
        if not wanted and module in how.undone and reasons[how.undone[module]] is None:
            reason = reason or BEHIND
        if layer is None and not reason and module in alone:
            plain |= {(names[0], key): size for key, size in how.rules.unnamed(module).items()}
            layer = respond_by_parameter(module, how.options, at_once, ruled[module])
        elif layer is None and not reason and (space.n or wanted):
            kind = type(module)
            layer = how.table[kind].from_plain(module, how.options)
            rates.apply(names, kind, layer)
        if layer is not None:
            made[module] = layer
            converted[names[0]] = f"{type(layer).__name__}, by parameter" if anywhere(layer) else type(layer).__name__
        elif drops(module) or next(module.parameters(recurse=False), None) is not None:
            left[names[0]] = reason or "the space tunes nothing"
    chosen.check()
    how.rules.check()
    rates.check()
    found = Report(converted, left, sizes, {names[0]: type(module).__name__ for names, module in every})
    for (name, key), size in plain.items():
        found = found.without_part(name, f"{name}.{key}" if name else key, size, RULED)
    return found


def _sizes(every: Iterable[tuple[list[str], nn.Module]], at_once: bool) -> dict[str, int]:
    """Parameters to be trained of each module's own, an attention layer's whole; a shared one is its first owner's."""
    seen: set[int] = set()
    sizes: dict[str, int] = {}
    for names, module in every:
        whole = module.parameters(isinstance(module, nn.MultiheadAttention) and not at_once)
        own = [p for p in whole if p.requires_grad and id(p) not in seen]
        seen.update(map(id, own))
        sizes[names[0]] = sum(p.numel() for p in own if not isinstance(p, UninitializedParameter))
    return {name: size for name, size in sizes.items() if size}


def _warn(found: Report) -> None:
    """One line where most of a model does not respond."""
    largest = max(found.left, key=lambda name: found.sizes.get(name, 0))
    size, every = found.sizes.get(largest, 0), found.responding[1]
    warnings.warn(
        f"only {percent(found.share)} of the parameters respond; the most of the rest, {percent(size / every)}, is in "
        f"{largest or 'the model itself'}: {found.left[largest]} (print(report(model)) shows all; "
        "form='generic' serves whatever a model computes; exclude= is silent)",
        FewRespondWarning,
        stacklevel=3,
    )


def report(model: nn.Module) -> Report:
    """What `convert` did with this model."""
    found = next((layer.home.report for _, layer in hyper_layers(model) if isinstance(layer.home.report, Report)), None)
    return found or Report()


def leave(model: nn.Module, name: str, reason: str, part: tuple[str, int] | None = None) -> None:
    """Say in the report that a converted layer, or one parameter of it (name, size), does not respond after all."""
    old = report(model)
    new = old.without(name, reason) if part is None else old.without_part(name, *part, reason)
    for _, layer in hyper_layers(model):
        if isinstance(layer.home.report, Report) or layer.home.report is None:
            layer.home.report = new


def response_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of the response: R, b_R, V and C of every hyper layer, each once."""
    ids = _response_ids(model)
    return (p for p in model.parameters() if id(p) in ids)


def general_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """All other parameters: those that the plain model has."""
    ids = _response_ids(model)
    return (p for p in model.parameters() if id(p) not in ids)


def replace(model: nn.Module, made: Mapping[Any, nn.Module]) -> nn.Module:
    """Put each replacement wherever its module is; the model itself may be one."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in made:
                parent._modules[name] = made[child]
        vars(parent).update({key: _replaced(held, made) for key, held in vars(parent).items() if key != "_modules"})
    return made.get(model, model)


def _replaced(held: Any, made: Mapping[Any, nn.Module], deep: int = 3) -> Any:
    """What a module holds beside its children: layers in a list, a dictionary or an attribute that torch ignores."""
    if isinstance(held, nn.Module):
        return made.get(held, held)
    if type(held) is list and deep:
        held[:] = [_replaced(x, made, deep - 1) for x in held]
    if type(held) is dict and deep:
        held.update({key: _replaced(x, made, deep - 1) for key, x in held.items()})
    return tuple(_replaced(x, made, deep - 1) for x in held) if type(held) is tuple and deep else held


def _response_ids(model: nn.Module) -> set[int]:
    own = (p for _, layer in hyper_layers(model) for p in named_own(layer))
    return {id(p) for name, p in own if name.rpartition(".")[2].startswith("response_")}


def _outermost(model: nn.Module, at_once: bool) -> Iterator[tuple[list[str], nn.Module]]:
    """Each module once with all its names; nothing inside attention, which is converted whole, unless `at_once`."""
    names: dict[nn.Module, list[str]] = {}
    inside: set[nn.Module] = set()
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
        if isinstance(module, nn.MultiheadAttention) and not at_once:
            inside.update(m for m in module.modules() if m is not module)
    return ((names[m], m) for m in names if m not in inside)


def _forbid_fast_path(model: nn.Module, made: Iterable[nn.Module]) -> None:
    """In evaluation torch's encoders read their children's plain weights past them; these flags forbid that."""
    new = set(made)
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and any(child in new for child in module.modules()):
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder) and any(child in new for child in module.modules()):
            module.use_nested_tensor = False
