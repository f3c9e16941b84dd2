"""What a model does in its calls: which ones a step made, and which weights were read past their layers in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from hyperopt_hn.nn.context import HyperLayer, anywhere, hyper_layers
from hyperopt_hn.nn.layers.by_parameter.questions import AS, QUESTIONS, called

Call = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]
"""A module, its arguments and its keyword arguments."""


@contextmanager
def recorded(model: nn.Module, wanted: bool = True, most: int | None = None) -> Iterator[list[Call]]:
    """Inside, outermost calls of the model, or of parts of it, are added to a list, `most` at most, where wanted."""
    calls: list[Call] = []
    depth = [0]

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        if not depth[0] and (most is None or len(calls) < most):
            kept = tree_map(lambda x: x.detach().clone() if isinstance(x, Tensor) else x, (args, kwargs))
            calls.append((module, *kept))
        depth[0] += 1

    def leave_it(*_: Any) -> None:
        depth[0] -= 1

    hooks: list[Any] = []
    for module in model.modules() if wanted else ():
        hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        hooks.append(module.register_forward_hook(leave_it, always_call=True))
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


class Watch(TorchFunctionMode):
    """Which weights of responding layers torch's functions are given outside these layers' own forward."""

    def __init__(self, model: nn.Module, everywhere: bool = False) -> None:
        """`everywhere`: outside every module's forward, not outside those layers' alone."""
        super().__init__()
        self._everywhere = everywhere
        self.layers: list[Any] = [layer for _, layer in responding(model) if everywhere or not anywhere(layer)]
        self.weights = {id(p) for layer in self.layers for n, p in layer.named_parameters() if elementary(n)}
        self.inside = set[int]()
        self.idle = set[int]()
        self._model, self._within, self._called = model, 0, set[int]()
        self._hooks: list[Any] = []

    def __enter__(self) -> Any:
        responding = {id(layer) for layer in self.layers}
        for module in self._model.modules():
            one = int(self._everywhere or id(module) in responding)
            self._hooks += [
                module.register_forward_pre_hook(lambda m, _, one=one: self._enter(m, one), prepend=True),
                module.register_forward_hook(lambda m, _, out, one=one: self._leave(one, out), always_call=True),
            ]
        return super().__enter__()

    def __exit__(self, *how: Any) -> None:
        super().__exit__(*how)
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        waiting = [layer for layer in self.layers if id(layer) not in self._called]
        self.idle = {id(p) for layer in waiting for n, p in layer.named_parameters() if elementary(n)}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = called(func)
        if not self._within and name not in QUESTIONS:
            given = [*(args[:1] if name in AS else args), *(kwargs or {}).values()]
            for part in given:
                for leaf in part if isinstance(part, (list, tuple)) else (part,):
                    if id(leaf) in self.weights:
                        self._read(leaf)
        return func(*args, **(kwargs or {}))

    def _read(self, weight: Tensor) -> None:
        self.inside.add(id(weight))

    def _enter(self, module: nn.Module, one: int) -> None:
        self._within += one
        if one:
            self._called.add(id(module))

    def _leave(self, one: int, output: Any) -> None:
        self._within -= one


def elementary(name: str) -> bool:
    """Whether a parameter of this name belongs to the plain layer."""
    return not name.rpartition(".")[2].startswith("response_")


def responding(model: nn.Module) -> list[tuple[str, HyperLayer]]:
    """The layers that respond, with their names."""
    return [(name, layer) for name, layer in hyper_layers(model) if layer.num_hyper and layer.home.responds]
