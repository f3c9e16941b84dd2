"""What a user gets to read: one line that names the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hyperopt_hn.errors import UserError


def refused(call: Callable[..., Any], *arguments: Any) -> str:
    """The one line with which the call is refused."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_typed(call: Callable[..., Any], *arguments: Any) -> str:
    """The same, as a command line says it."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in caught.value.typed
    return caught.value.typed
