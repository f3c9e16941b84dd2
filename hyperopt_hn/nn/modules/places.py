"""Where in a model an error arose."""

from __future__ import annotations

import traceback

from torch import nn


def innermost(model: nn.Module, error: BaseException) -> str:
    """The name of the innermost module of the model that was running; nothing if none was."""
    names = {module: name for name, module in model.named_modules()}
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((names[x] for x in reversed(frames) if isinstance(x, nn.Module) and names.get(x)), "")
