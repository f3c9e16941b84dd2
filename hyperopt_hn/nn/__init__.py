"""PyTorch: make anybody's PyTorch model tune itself.

model = convert(model, space)                     # layers answer to λ; optimizers and checkpoints still fit
with at(model, lam): logits = model(x)            # lam (n,) or (B, n), raw
plain = collapse(model, lam)                      # the ordinary model with the weights at λ
tuner = TorchTuner(model, Hypers(space), problem, optimizers, "delta")
tuner.train_step(), tuner.tune_step()             # or alternate(tuner, plan, RunLog(path, {}, codec=TORCH))
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401  asked for first, so that its absence is reported with the remedy
except ImportError as error:
    raise ImportError("hyperopt_hn.nn needs PyTorch; install it with: pip install 'hyperopt_hn[nn]'") from error

from hyperopt_hn.nn.context import at, hyper_values, space_of
from hyperopt_hn.nn.conversion.binding import bind, set_batch_dim
from hyperopt_hn.nn.conversion.collapsing import collapse
from hyperopt_hn.nn.conversion.converter import convert, general_parameters, report, response_parameters
from hyperopt_hn.nn.conversion.penalty import squared_norm
from hyperopt_hn.nn.conversion.reports import FewRespondWarning, Report
from hyperopt_hn.nn.layers.attention.attention import HyperMultiheadAttention
from hyperopt_hn.nn.layers.dropout import HyperChannelDropout, HyperDropout, HyperLockedDropout, LockedDropout
from hyperopt_hn.nn.layers.feedforward.batchnorm import HyperBatchNorm1d, HyperBatchNorm2d, HyperBatchNorm3d
from hyperopt_hn.nn.layers.feedforward.conv import HyperConv1d, HyperConv2d, HyperConv3d
from hyperopt_hn.nn.layers.feedforward.embedding import HyperEmbedding
from hyperopt_hn.nn.layers.feedforward.linear import HyperLinear
from hyperopt_hn.nn.layers.feedforward.norm import HyperGroupNorm, HyperLayerNorm
from hyperopt_hn.nn.layers.lstm.lstm import HyperLSTM
from hyperopt_hn.nn.per_example.erasing import random_erase
from hyperopt_hn.nn.per_example.label_smoothing import smoothed_cross_entropy
from hyperopt_hn.nn.per_example.rotation import random_rotate
from hyperopt_hn.nn.responses import STN, Delta, Implicit, Split
from hyperopt_hn.nn.self_tuner import SelfTuner
from hyperopt_hn.nn.self_tuning.assembly import DoubleDecayWarning
from hyperopt_hn.nn.self_tuning.defaults import Tuning
from hyperopt_hn.nn.self_tuning.loading import LoadedRun, load_run
from hyperopt_hn.nn.self_tuning.result import TuningResult
from hyperopt_hn.nn.setup.batches import Batches
from hyperopt_hn.nn.setup.course_rates import FollowedRates, apply_course
from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.nn.setup.looped import Looped
from hyperopt_hn.nn.setup.nonmonotone import NonMonotone
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TunerConfig
from hyperopt_hn.nn.setup.schedulers import Schedulers
from hyperopt_hn.nn.tuning.codec import TORCH, load_checkpoint, save_checkpoint
from hyperopt_hn.nn.tuning.response_check import OverTuningWarning, ResponseCheck, Retraining, check_response
from hyperopt_hn.nn.tuning.tuner import TorchTuner

__all__ = [
    "STN",
    "TORCH",
    "Batches",
    "Delta",
    "DoubleDecayWarning",
    "FewRespondWarning",
    "FollowedRates",
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
    "Hypers",
    "Implicit",
    "LoadedRun",
    "LockedDropout",
    "Looped",
    "NonMonotone",
    "Optimizers",
    "OverTuningWarning",
    "Report",
    "ResponseCheck",
    "Retraining",
    "Schedulers",
    "SelfTuner",
    "Split",
    "TorchProblem",
    "TorchTuner",
    "TunerConfig",
    "Tuning",
    "TuningResult",
    "apply_course",
    "at",
    "bind",
    "check_response",
    "collapse",
    "convert",
    "general_parameters",
    "hyper_values",
    "load_checkpoint",
    "load_run",
    "random_erase",
    "random_rotate",
    "report",
    "response_parameters",
    "save_checkpoint",
    "set_batch_dim",
    "smoothed_cross_entropy",
    "space_of",
    "squared_norm",
]
