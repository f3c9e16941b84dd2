"""Which class of torch's becomes which hyper layer, for each form of the response.

full      W + diag(V h) R: a second matrix of W's size (MacKay et al. 2019, sec. 3.2)
lowrank   W + U diag(V h) Z: a second matrix of low rank
gated     diag(1 + S h) W: no second matrix
Normalisations have one number per feature and one response, w + V h, in every form.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.layers.attention.attention import HyperMultiheadAttention
from hyperopt_hn.nn.layers.attention.form_attention import GatedMultiheadAttention, LowRankMultiheadAttention
from hyperopt_hn.nn.layers.feedforward import batchnorm, conv, gated_layers, low_rank_layers, norm
from hyperopt_hn.nn.layers.feedforward.embedding import HyperEmbedding
from hyperopt_hn.nn.layers.feedforward.linear import HyperLinear
from hyperopt_hn.nn.layers.lstm.gated_lstm import GatedLSTM
from hyperopt_hn.nn.layers.lstm.low_rank_lstm import LowRankLSTM
from hyperopt_hn.nn.layers.lstm.lstm import HyperLSTM

Form = Literal["full", "lowrank", "gated", "generic"]
Table = dict[type[nn.Module], Any]

_NORMS: Table = {
    nn.LayerNorm: norm.HyperLayerNorm,
    nn.GroupNorm: norm.HyperGroupNorm,
    nn.BatchNorm1d: batchnorm.HyperBatchNorm1d,
    nn.BatchNorm2d: batchnorm.HyperBatchNorm2d,
    nn.BatchNorm3d: batchnorm.HyperBatchNorm3d,
}

FULL: Table = {
    nn.Linear: HyperLinear,
    nn.Conv1d: conv.HyperConv1d,
    nn.Conv2d: conv.HyperConv2d,
    nn.Conv3d: conv.HyperConv3d,
    nn.Embedding: HyperEmbedding,
    nn.LSTM: HyperLSTM,
    nn.MultiheadAttention: HyperMultiheadAttention,
    **_NORMS,
}
LOW_RANK: Table = {
    nn.Linear: low_rank_layers.LowRankLinear,
    nn.Conv1d: low_rank_layers.LowRankConv1d,
    nn.Conv2d: low_rank_layers.LowRankConv2d,
    nn.Conv3d: low_rank_layers.LowRankConv3d,
    nn.Embedding: low_rank_layers.LowRankEmbedding,
    nn.LSTM: LowRankLSTM,
    nn.MultiheadAttention: LowRankMultiheadAttention,
    **_NORMS,
}
GATED: Table = {
    nn.Linear: gated_layers.GatedLinear,
    nn.Conv1d: gated_layers.GatedConv1d,
    nn.Conv2d: gated_layers.GatedConv2d,
    nn.Conv3d: gated_layers.GatedConv3d,
    nn.Embedding: gated_layers.GatedEmbedding,
    nn.LSTM: GatedLSTM,
    nn.MultiheadAttention: GatedMultiheadAttention,
    **_NORMS,
}
GENERIC: Table = {}
"""Nothing has a class of its own: all parameters respond by themselves, with one λ for a batch."""
FORMS: dict[str, Table] = {"full": FULL, "lowrank": LOW_RANK, "gated": GATED, "generic": GENERIC}


def table_of(form: str) -> Table:
    """The classes of a form; UserError for an unknown one."""
    if form not in FORMS:
        raise UserError(f"form={form!r} is unknown; take one of {', '.join(map(repr, FORMS))}")
    return FORMS[form]
