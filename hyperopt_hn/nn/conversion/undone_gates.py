"""Where a gate would be undone: a batch norm directly behind a layer divides by what the gate multiplied."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BEHIND = "the batch norm behind it, which would undo a gate, responds instead"


def undone(model: nn.Module) -> Mapping[nn.Module, nn.Module]:
    """Linear and convolution layers whose next sibling is an affine batch norm of as many features -> that norm.

    Siblings in the order in which the parent made them: what runs in another order keeps a norm's response instead of
    a gate, which has the same number of gains and offsets.
    """
    found: dict[nn.Module, nn.Module] = {}
    for parent in model.modules():
        for layer, norm in pairwise(parent.children()):
            if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)) and type(norm).__name__ in _NORMS:
                assert isinstance(norm, _BatchNorm)
                if norm.affine and norm.num_features == layer.weight.shape[0]:
                    found[layer] = norm
    return found


_NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
