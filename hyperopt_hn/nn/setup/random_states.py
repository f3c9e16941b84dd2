"""Global random states, torch's, Python's and numpy's, as plain data and tensors: taken, put back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

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
