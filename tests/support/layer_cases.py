"""Every hyper layer with every option that changes its arithmetic: how to make it, its plain twin and an input.

All take and give the batch in dimension `axis`; n = 2 hyperparameters, B = 3 examples, float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.nn import (
    HyperBatchNorm1d,
    HyperBatchNorm2d,
    HyperBatchNorm3d,
    HyperConv1d,
    HyperConv2d,
    HyperConv3d,
    HyperEmbedding,
    HyperGroupNorm,
    HyperLayerNorm,
    HyperLinear,
    HyperLSTM,
    HyperMultiheadAttention,
    bind,
)
from hyperopt_hn.nn.layers.kinds import FORMS
from hyperopt_hn.nn.layers.plain import Options

N, B = 2, 3
SPACE = HyperSpace([Hyper("p", 0.3, 0, 1), Hyper("q", 0.2, 0, 1)])
NONE = SPACE.with_tuned([])
F64 = {"dtype": torch.float64}


@dataclass(frozen=True)
class Case:
    """`make(n)` gives the hyper layer, `plain()` torch's own, `inputs(batch)` positional arguments."""

    name: str
    make: Callable[[int], Any]
    plain: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Any, ...]]
    axis: int = 0
    options: tuple[tuple[str, Any], ...] = ()

    def call(self, layer: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
        """The main output."""
        out = layer(*inputs, **dict(self.options))
        return out[0] if isinstance(out, tuple) else out

    def one(self, inputs: tuple[Any, ...], i: int) -> tuple[Any, ...]:
        """Example i as a batch of one."""

        def pick(x: Any) -> Any:
            return tuple(s.narrow(1, i, 1) for s in x) if isinstance(x, tuple) else x.narrow(self.axis, i, 1)

        return tuple(map(pick, inputs))


def randomised(layer: nn.Module, seed: int = 0) -> nn.Module:
    """All parameters and statistics at random, so that no term of the response is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, x in [*layer.named_parameters(), *layer.named_buffers()]:
            if x.is_floating_point():
                noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
                x.copy_(noise.abs() + 0.5 if name.endswith("running_var") else 0.5 * noise)
        if getattr(layer, "padding_idx", None) is not None:  # as torch and reset_response leave it
            for name, table in layer.named_parameters():
                if name in ("weight", "response_weight", "response_outer"):
                    table[layer.padding_idx] = 0
    return layer


def made(case: Case, n: int = N, gain: float | None = None) -> Any:
    """The hyper layer in evaluation mode with random parameters, bound to the space; V and C zero if gain is 0."""
    layer = randomised(case.make(n)).eval()
    if gain == 0:
        with torch.no_grad():
            for name, p in layer.named_parameters():
                if any(f"response_{part}" in name for part in ("scale", "shift", "gain")):
                    p.zero_()
    bind(layer, SPACE if n else NONE)
    return layer


def real(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
    """Inputs (batch, *shape)."""
    return lambda batch: (torch.randn(batch, *shape, **F64),)


def _linear(bias: bool) -> Case:
    return Case(
        f"linear-bias{bias}",
        lambda n: HyperLinear(4, 5, n, bias, **F64),
        lambda: nn.Linear(4, 5, bias, **F64),
        real(4) if bias else real(2, 4),
    )


def _conv(dims: int, size: tuple[int, ...], **options: Any) -> Case:
    hyper: Any = {1: HyperConv1d, 2: HyperConv2d, 3: HyperConv3d}[dims]
    plain: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    return Case(
        f"conv{dims}d-" + "-".join(f"{k}{v}" for k, v in options.items()),
        lambda n: hyper(4, 6, 3, n, **options, **F64),
        lambda: plain(4, 6, 3, **options, **F64),
        real(4, *size),
    )


def _tokens(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda batch: (torch.randint(0, 7, (batch, *shape)),)


def _embedding(*shape: int, **options: Any) -> Case:
    return Case(
        f"embedding-{len(shape)}-" + "-".join(f"{k}{v}" for k, v in options.items()),
        lambda n: HyperEmbedding(7, 4, n, **options, **F64),
        lambda: nn.Embedding(7, 4, **options, **F64),
        _tokens(*shape),
    )


def _lstm(state: bool = False, **options: Any) -> Case:
    first = options.get("batch_first", False)
    deep = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)

    def inputs(batch: int) -> tuple[Any, ...]:
        x = torch.randn(batch, 6, 4, **F64) if first else torch.randn(6, batch, 4, **F64)
        return (x, (torch.randn(deep, batch, 5, **F64), torch.randn(deep, batch, 5, **F64))) if state else (x,)

    return Case(
        f"lstm-state{state}-" + "-".join(f"{k}{v}" for k, v in options.items()),
        lambda n: HyperLSTM(4, 5, n, **options, **F64),
        lambda: nn.LSTM(4, 5, **options, **F64),
        inputs,
        0 if first else 1,
    )


def _attention(self_attention: bool = True, options: tuple[tuple[str, Any], ...] = (), **kind: Any) -> Case:
    first = kind.get("batch_first", False)
    widths = (4, kind.get("kdim", 4), kind.get("vdim", 4))

    def inputs(batch: int) -> tuple[Tensor, ...]:
        lengths = (5, 5, 5) if self_attention else (3, 5, 5)
        shapes = [(batch, t, w) if first else (t, batch, w) for t, w in zip(lengths, widths, strict=True)]
        q, k, v = (torch.randn(*s, **F64) for s in shapes)
        return (q, q, q) if self_attention else (q, k, v)

    text = "-".join(f"{k}{v}" for k, v in [*kind.items(), *((k, "") for k, _ in options)])
    return Case(
        f"attention-self{self_attention}-{text}",
        lambda n: HyperMultiheadAttention(4, 2, n, **kind, **F64),
        lambda: nn.MultiheadAttention(4, 2, **kind, **F64),
        inputs,
        0 if first else 1,
        options,
    )


def _norm(name: str, hyper: Any, plain: Any, args: tuple[Any, ...], shape: tuple[int, ...], **options: Any) -> Case:
    return Case(
        f"{name}-" + "-".join(f"{k}{v}" for k, v in options.items()),
        lambda n: hyper(*args, n, **options, **F64),
        lambda: plain(*args, **options, **F64),
        real(*shape),
    )


_CAUSAL = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)

FULL: tuple[Case, ...] = (
    _linear(True),
    _linear(False),
    _conv(1, (8,), padding=1, stride=2),
    _conv(2, (6, 5), bias=False, dilation=2, padding=2),
    _conv(2, (6, 5), padding="same", groups=2),
    _conv(2, (6, 5), padding=(1, 2), padding_mode="circular"),
    _conv(2, (6, 5), padding="same", padding_mode="reflect"),
    _conv(3, (4, 4, 4), padding="valid"),
    _embedding(),
    _embedding(5, padding_idx=2),
    _embedding(2, 3, padding_idx=-1, scale_grad_by_freq=True),
    _norm("layernorm", HyperLayerNorm, nn.LayerNorm, (4,), (5, 4)),
    _norm("layernorm", HyperLayerNorm, nn.LayerNorm, ((3, 4),), (5, 3, 4), bias=False, eps=0.1),
    _norm("layernorm", HyperLayerNorm, nn.LayerNorm, (4,), (5, 4), elementwise_affine=False),
    _norm("groupnorm", HyperGroupNorm, nn.GroupNorm, (2, 4), (4, 3, 3)),
    _norm("batchnorm1d", HyperBatchNorm1d, nn.BatchNorm1d, (4,), (4,)),
    _norm("batchnorm1d-length", HyperBatchNorm1d, nn.BatchNorm1d, (4,), (4, 6), eps=0.1),
    _norm("batchnorm2d", HyperBatchNorm2d, nn.BatchNorm2d, (4,), (4, 3, 3)),
    _norm("batchnorm2d", HyperBatchNorm2d, nn.BatchNorm2d, (4,), (4, 3, 3), affine=False),
    _norm("batchnorm3d", HyperBatchNorm3d, nn.BatchNorm3d, (4,), (4, 2, 3, 3)),
    _lstm(),
    _lstm(state=True, num_layers=2, batch_first=True),
    _lstm(state=True, num_layers=2, bidirectional=True),
    _lstm(bias=False),
    _attention(),
    _attention(batch_first=True, bias=False),
    _attention(self_attention=False, kdim=3, vdim=6),
    _attention(self_attention=False, add_bias_kv=True, add_zero_attn=True, batch_first=True),
    _attention(options=(("need_weights", False), ("attn_mask", _CAUSAL), ("is_causal", True))),
    _attention(options=(("attn_mask", torch.randn(5, 5, **F64)),), add_zero_attn=True),
)


def _formed(case: Case, form: str) -> Case:
    def make(n: int) -> Any:
        plain = case.plain()
        return FORMS[form][type(plain)].from_plain(plain, Options(n, rank=2))

    return replace(case, name=f"{form}-{case.name}", make=make)


CASES: tuple[Case, ...] = FULL + tuple(
    _formed(case, form) for form in ("lowrank", "gated") for case in FULL if "norm" not in case.name
)
