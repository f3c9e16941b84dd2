"""Layers whose weights the code around them reads past them, as its source says: known before anything runs.

Of each module that is not torch's own, `forward` and the methods that it calls on itself are read: `self.qkv.weight`
given to a function or an operator is such a read; asking for its type, device or shape is none. What the source does
not show is found after the first train step (diagnosis/reads/past_reads).
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

from torch import nn

WHY = "the code of {} reads its weights past it, so it cannot respond"
_WEIGHTS = ("weight", "bias", "in_proj_weight", "in_proj_bias")
_QUESTIONS = frozenset(
    [
        "dtype",
        "device",
        "shape",
        "ndim",
        "requires_grad",
        "size",
        "dim",
        "numel",
        "is_cuda",
        "grad",
        "new_zeros",
        "new_ones",
    ]
)
_AS = frozenset(
    [
        "to",
        "type_as",
        "isinstance",
        "len",
        "id",
        "hasattr",
        "getattr",
        "expand_as",
        "view_as",
        "zeros_like",
        "ones_like",
        "empty_like",
    ]
)


def read_past(model: nn.Module) -> dict[nn.Module, str]:
    """The modules of which some other one's code reads the weights, and why they are left."""
    found: dict[nn.Module, str] = {}
    for parent in model.modules():
        kind: Any = type(parent)
        for path in _paths(kind):
            try:
                child = parent.get_submodule(path)
            except AttributeError:
                continue
            if child is not parent:
                found.setdefault(child, WHY.format(type(parent).__name__))
    return found


@cache
def _paths(kind: type[nn.Module]) -> frozenset[str]:
    """Paths of the children whose weights are read: "qkv" of `self.qkv.weight`."""
    waiting, seen, found = ["forward"], set[str](), set[str]()
    while waiting:
        name = waiting.pop()
        method = getattr(kind, name, None)
        if name in seen or not inspect.isfunction(method) or (method.__module__ or "").startswith("torch."):
            continue
        seen.add(name)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
        except (OSError, SyntaxError, TypeError):
            continue
        above: dict[ast.AST, ast.AST] = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            chain = _chain(node)
            if len(chain) > 1 and chain[-1] in _WEIGHTS and _is_read(node, above):
                found.add(".".join(chain[:-1]))
            if len(chain) == 1 and isinstance(above.get(node), ast.Call):
                waiting.append(chain[0])
    return frozenset(found)


def _chain(node: ast.AST) -> list[str]:
    """["qkv", "weight"] of self.qkv.weight; nothing of what does not begin with self."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return names[::-1] if isinstance(node, ast.Name) and node.id == "self" else []


def _is_read(node: ast.AST, above: dict[ast.AST, ast.AST]) -> bool:
    parent = above.get(node)
    if isinstance(parent, ast.Attribute):
        return parent.attr not in _QUESTIONS
    if isinstance(parent, (ast.Compare, ast.BoolOp, ast.If, ast.UnaryOp)) or _stored(node):
        return False
    if isinstance(parent, ast.IfExp):
        return parent.test is not node and _is_read(parent, above)
    return not (isinstance(parent, ast.Call) and _called(parent.func) in _AS and node is not parent.func)


def _stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def _called(function: ast.AST) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
