"""What torch's fused kernels cannot do that a response needs: other modes of differentiation, with the same numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import anywhere
from hyperopt_hn.nn.modules.places import innermost


@contextmanager
def recurrent_backward(model: nn.Module) -> Iterator[None]:
    """Inside, torch's recurrent layers in evaluation mode can be differentiated on a GPU too; their numbers are alike.

    cuDNN goes backward only through a pass in training mode, which without dropout between the layers is the same.
    """
    plain = (nn.LSTM, nn.GRU, nn.RNN)
    kinds = ((m, m.plain_class if anywhere(m) else type(m)) for m in model.modules() if isinstance(m, nn.RNNBase))
    found: list[tuple[Any, Any]] = [(m, m.dropout) for m, kind in kinds if kind in plain and not m.training]
    for module, _ in found:
        module.training, module.dropout = True, 0.0
    try:
        yield
    finally:
        for module, dropout in found:
            module.training, module.dropout = False, dropout


@contextmanager
def elementary_kernels(model: nn.Module) -> Iterator[None]:
    """Inside, attention, and on a GPU recurrent layers, run as elementary operations.

    Fused attention and cuDNN's recurrences have no forward mode and no second derivative.
    """
    recurrent = any(isinstance(m, nn.RNNBase) for m in model.modules()) and next(model.parameters()).is_cuda
    with _ElementaryAttention(), torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
        yield


@contextmanager
def named_gaps(model: nn.Module) -> Iterator[None]:
    """Inside, what torch cannot differentiate in forward mode is a UserError that names the module and the remedy."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        line = (str(error).splitlines() or [""])[0]
        if not any(sign in str(error) for sign in _GAPS):
            raise
        name = innermost(model, error)
        where = f"in {name!r} ({type(model.get_submodule(name)).__name__})" if name else "on its way back"
        raise UserError(
            f"a first-order pass fails {where}: {line[:160]}; use response='split' or 'stn', which need no forward mode"
        ) from error


_GAPS = ("forward AD", "forward mode", "derivative for", "not implemented", "checkpoint", "leaf Variable", "inplace")
"""What such errors of torch say."""


@contextmanager
def not_written_over() -> Iterator[None]:
    """Inside, a value that was overwritten before its gradient was taken is a UserError with the remedy."""
    try:
        yield
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        found = re.search(r"\[[\w.]*Tensor \[[\d, ]*\]\]", str(error))
        raise UserError(
            f"the model writes in place over a value{f' {found[0]}' if found else ''} that the gradient of valid_loss "
            "needs, as code may in eval() mode, where nobody trains; let it clone that value before it writes, or set "
            "the part to train() inside valid_loss"
        ) from error


@contextmanager
def whole_precision(device: torch.device) -> Iterator[None]:
    """Inside, float32 products on a GPU keep all of its bits: no TF32."""
    if device.type != "cuda":
        yield
        return
    cudnn, before = torch.backends.cudnn, torch.get_float32_matmul_precision()
    with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """F.scaled_dot_product_attention in matrix products and a softmax: its arguments, its result (..., L, E)."""
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    scores = query @ key.transpose(-2, -1) * (1.0 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    hidden = (scores == -math.inf).all(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(hidden, 0.0), -1).masked_fill(hidden, 0.0)
    return (F.dropout(weights, dropout_p) if dropout_p else weights) @ value


class _ElementaryAttention(TorchFunctionMode):
    """Calls `attention` wherever fused attention is called, inside torch's own multi-head attention too."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[Any], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            return attention(*args, **(kwargs or {}))
        if func is F.multi_head_attention_forward:
            with patch.object(F, "scaled_dot_product_attention", attention):
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
