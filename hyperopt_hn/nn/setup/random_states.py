"""Python's and numpy's global random states as plain data and tensors, for checkpoints."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


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
