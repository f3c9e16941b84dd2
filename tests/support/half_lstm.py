"""Whether torch's own LSTM runs in bfloat16 here: on processors without its instructions it may not."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn


@cache
def lstm_in_bfloat16() -> bool:
    """Tried once, with a plain layer."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(2, 2)(torch.zeros(1, 1, 2))
    except RuntimeError:
        return False
    return True
