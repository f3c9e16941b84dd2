"""Cross-entropy whose label smoothing is a tensor: one for each example, which torch's own does not take."""

from __future__ import annotations

from torch import Tensor

from hyperopt_hn.errors import UserError


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: Tensor | float) -> Tensor:
    """-(1 - s) log p(label) - s · mean over classes of log p, one number per example: (B,).

    logits (B, K), labels (B,) int64, smoothing s (B,), () or a number in [0, 1]; the mean is torch's
    cross_entropy(logits, labels, label_smoothing=s) where s is one number. Raises UserError for other shapes.
    """
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        shapes = f"{tuple(logits.shape)} and {tuple(labels.shape)}"
        raise UserError(f"logits and labels have shapes {shapes}; they must be (B, classes) and (B,)")
    logp = logits.log_softmax(-1)
    right = logp.gather(1, labels[:, None])[:, 0]
    return -(1 - smoothing) * right - smoothing * logp.mean(-1)
