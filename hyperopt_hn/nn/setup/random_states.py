"""Global random states, torch's, Python's and numpy's, as plain data and tensors: taken, put back."""

from __future__ import annotations

import gc
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperopt_hn.nn import distributed


def host_states() -> dict[str, Any]:
    """The parts "python" and "numpy": what `set_host_states` puts back."""
    kind, keys, place, has_gauss, gauss = np.random.get_state()
    words = torch.as_tensor(np.asarray(keys).astype(np.int64))
    return {"python": random.getstate(), "numpy": [kind, words, int(place), int(has_gauss), float(gauss)]}


def set_host_states(state: Mapping[str, Any]) -> None:
    """Put back what `host_states` took."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, place, has_gauss, value = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), place, has_gauss, value))


def random_state(device: torch.device) -> dict[str, Any]:
    """torch's generators (each rank's own), Python's and numpy's global ones. All ranks must call it together."""
    return {
        "torch": distributed.gather(torch.get_rng_state()),
        "device": distributed.gather(torch.cuda.get_rng_state(device)) if device.type == "cuda" else [],
        **host_states(),
    }


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Put back what `random_state` took; a rank that was not there then keeps its own torch generators."""
    rank = distributed.rank()
    if rank < len(state["torch"]):
        torch.set_rng_state(state["torch"][rank].cpu())
    if device.type == "cuda" and rank < len(state["device"]):
        torch.cuda.set_rng_state(state["device"][rank].cpu(), device)
    set_host_states(state)


@contextmanager
def kept_generators(*roots: Any) -> Iterator[None]:
    """Inside, generators that functions or objects hold (torch's, numpy's, Python's) may move; they come back."""
    found = _generators(roots)
    kept = [(x, _state(x)) for x in found]
    try:
        yield
    finally:
        for generator, state in kept:
            if isinstance(generator, torch.Generator):
                generator.set_state(state)
            elif isinstance(generator, random.Random):
                generator.setstate(state)
            else:
                generator.bit_generator.state = state


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    return generator.getstate() if isinstance(generator, random.Random) else generator.bit_generator.state


def _generators(roots: Iterable[Any], most: int = 20_000) -> list[Any]:
    """Those reachable from the roots, through objects, containers and what functions refer to; `most` are looked at."""
    waiting, seen = deque(roots), dict[int, Any]()
    found = []
    while waiting and len(seen) < most:
        here = waiting.popleft()
        if id(here) in seen or isinstance(here, (type, ModuleType, Tensor, str, bytes, int, float)):
            continue
        seen[id(here)] = here
        if isinstance(here, (torch.Generator, np.random.Generator, random.Random)):
            found.append(here)
        elif isinstance(here, FunctionType):
            named = [here.__globals__[name] for name in here.__code__.co_names if name in here.__globals__]
            waiting.extend([*(here.__closure__ or ()), *(here.__defaults__ or ()), *named])
        else:
            waiting.extend(gc.get_referents(here))
    return found
