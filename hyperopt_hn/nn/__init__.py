"""The toolkit's torch room: make anybody's PyTorch model tune itself.

model = convert(model, space)                     # layers answer to λ; optimisers and checkpoints still fit
with at(model, lam): logits = model(x)            # lam (n,) or (B, n), raw
plain = collapse(model, lam)                      # the ordinary model with the weights at λ
"""

from __future__ import annotations

from hyperopt_hn.nn.attention import HyperMultiheadAttention
from hyperopt_hn.nn.batchnorm import HyperBatchNorm1d, HyperBatchNorm2d, HyperBatchNorm3d
from hyperopt_hn.nn.collapse import collapse
from hyperopt_hn.nn.context import at, bind, hyper_values, set_batch_dim, space_of
from hyperopt_hn.nn.conv import HyperConv1d, HyperConv2d, HyperConv3d
from hyperopt_hn.nn.convert import Report, convert, general_parameters, report, response_parameters
from hyperopt_hn.nn.dropout import HyperChannelDropout, HyperDropout, HyperLockedDropout, LockedDropout
from hyperopt_hn.nn.embedding import HyperEmbedding
from hyperopt_hn.nn.linear import HyperLinear
from hyperopt_hn.nn.lstm import HyperLSTM
from hyperopt_hn.nn.norm import HyperGroupNorm, HyperLayerNorm

__all__ = [
    "HyperBatchNorm1d",
    "HyperBatchNorm2d",
    "HyperBatchNorm3d",
    "HyperChannelDropout",
    "HyperConv1d",
    "HyperConv2d",
    "HyperConv3d",
    "HyperDropout",
    "HyperEmbedding",
    "HyperGroupNorm",
    "HyperLSTM",
    "HyperLayerNorm",
    "HyperLinear",
    "HyperLockedDropout",
    "HyperMultiheadAttention",
    "LockedDropout",
    "Report",
    "at",
    "bind",
    "collapse",
    "convert",
    "general_parameters",
    "hyper_values",
    "report",
    "response_parameters",
    "set_batch_dim",
    "space_of",
]
