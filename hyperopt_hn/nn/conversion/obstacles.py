"""Why a module has no hyper layer, and whether its own parameters may respond by themselves instead."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.conversion.selection import drops
from hyperopt_hn.nn.layers.by_parameter.layer import NEEDED
from hyperopt_hn.nn.layers.kinds import Table
from hyperopt_hn.nn.layers.stochastic_depth import rate_name


def obstacle(module: nn.Module, table: Table) -> str | None:
    """Why this module cannot become a hyper layer of the table; UserError where it has no shape yet."""
    kind = type(module).__name__
    if any(isinstance(p, UninitializedParameter) for p in module.parameters(recurse=False)):
        raise UserError(f"a {kind} has no shape yet; run one batch through the model, then convert it")
    if isinstance(module, torch.jit.ScriptModule):
        raise UserError("a TorchScript module cannot respond; convert the module that it was scripted from")
    if drops(module):
        off = "its rate is 0.0, and " if not getattr(module, rate_name(module) or "p") else ""
        return off + "no hyperparameter was named for its rate; dropout={'name or pattern': 'hyperparameter'}"
    if type(module) not in table:
        parent = next((k.__name__ for k in table if isinstance(module, k)), None)
        return (
            f"a subclass of {parent}, whose own code would be lost" if parent else f"there is no hyper layer for {kind}"
        )
    if next(module.parameters(), None) is None:
        return "it has no parameters"
    if any(p.is_complex() for p in module.parameters()):
        return "its parameters are complex, and λ is real"
    if any(parametrize.is_parametrized(part) for part in module.modules()):
        return "it is parametrized (weight_norm, spectral_norm, ...), so its weight is no parameter"
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return "it has hooks, which would be lost"
    if len(list(module.named_parameters(remove_duplicate=False))) > len(list(module.parameters())):
        return "it holds one parameter under several names"
    if getattr(module, "max_norm", None) is not None:
        return "max_norm rewrites its table as it runs"
    if isinstance(module, (_BatchNorm, nn.GroupNorm)) and module.bias is None:
        return "there is no response for a norm with a gain and no offset"
    if getattr(module, "proj_size", 0):
        return "there is no response for proj_size"
    return None


def frozen(module: nn.Module, n: int) -> str | None:
    """Why a layer with frozen parameters is left: a response would move what its owner holds fixed."""
    still = [name for name, p in module.named_parameters() if not p.requires_grad]
    return f"{', '.join(still)} frozen (requires_grad=False)" if still and n else None


def by_itself(module: nn.Module, at_once: bool = False) -> bool:
    """Whether parameters of the module's own, not of those inside it, may respond wherever they are read.

    `at_once`: with one λ for a batch, where it does not matter who reads them.
    """
    own = [p for p in module.parameters(recurse=False) if p.requires_grad]
    if not own or any(p.is_complex() for p in own) or getattr(module, "max_norm", None) is not None:
        return False
    if isinstance(module, nn.MultiheadAttention) and not at_once:
        return False
    return not any(hasattr(module, name) for name in NEEDED)
