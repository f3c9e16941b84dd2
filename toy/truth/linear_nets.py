"""Many linear networks trained side by side, each on its own rows: gradients by hand, one product per network.

Legend: K networks, C classes, D inputs, N rows, P = (D + 1) C weights. A network is kept class by class, (C, S): row c
holds the bias of class c, its D weights, the input that is most often not zero first, and zeros up to S, the next
multiple of eight. So every row begins at a cache line, a window of the data is read as it is in memory, and a window
of images ends where its last ink is: 625 of MNIST's 784 pixels on average, the rest is left out of the products.
`mlp` keeps the same network as [W; b] row by row; `Windows.nets` and `Windows.flat` translate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toy.network.mlp import NLL_PER_MSE
from toy.network.penalties import CLASS_SHARE
from toy.optim import LINE, aligned_zeros
from toy.problems import RowSplit

PER_LINE = LINE // 8  # doubles in a cache line
CHUNK = 512  # rows laid out at once


@dataclass(frozen=True, eq=False)
class Windows:
    """Training rows laid out for gradients on windows of `size` consecutive rows, and the layout of networks."""

    rows: np.ndarray
    """(N, S): a one, the inputs in `order`, zeros."""
    targets: np.ndarray
    """(C, N)."""
    order: np.ndarray
    """(D + 1,): which entry of an augmented row (its one is the last) is where."""
    size: int
    widths: Sequence[int]
    """Of the window that starts at each row: how many columns hold all that is not zero, a multiple of eight."""

    @classmethod
    def of(cls, split: RowSplit, size: int) -> Windows:
        """A copy of a split's rows and targets in this layout."""
        inked = split.rows != 0.0
        often = inked.sum(axis=0)
        often[-1] = len(split) + 1  # the bias, first
        order = np.argsort(-often, kind="stable")
        rows = aligned_zeros((len(split), _whole_lines(len(order))))
        for first in range(0, len(rows), CHUNK):  # a second copy of all rows would cost 0.3 GB
            rows[first : first + CHUNK, : len(order)] = split.rows[first : first + CHUNK, order]
        ends = len(order) - np.argmax(inked[:, order[::-1]], axis=1)
        reach = np.lib.stride_tricks.sliding_window_view(ends, size).max(axis=1)
        return cls(rows, np.ascontiguousarray(split.targets.T), order, size, [_whole_lines(end) for end in reach])

    def nets(self, w: np.ndarray) -> np.ndarray:
        """Networks (K, P) in mlp's order as (K, C, S), a copy."""
        matrices = w.reshape(len(w), len(self.order), -1)
        nets = aligned_zeros((len(w), matrices.shape[2], self.rows.shape[1]))
        nets[:, :, : len(self.order)] = matrices[:, self.order].transpose(0, 2, 1)
        return nets

    def flat(self, nets: np.ndarray) -> np.ndarray:
        """Networks (K, C, S) in mlp's order, (K, P), a copy."""
        matrices = np.empty((len(nets), len(self.order), nets.shape[1]))
        matrices[:, self.order] = nets[:, :, : len(self.order)].transpose(0, 2, 1)
        return matrices.reshape(len(nets), -1)

    def gradients(self, nets: np.ndarray, starts: Sequence[int], out: np.ndarray) -> None:
        """out[k] = gradient of network k's Gaussian NLL on the window that starts at starts[k].

        With R = 50 (2 / (size C)) (W X' - T) it is R X: views of the rows, no gathering (a gathered batch of windows
        was measured slower: it copies 0.6 MB per network and gains no product).
        """
        residual = aligned_zeros((nets.shape[1], self.size))
        scale = 2.0 * NLL_PER_MSE / residual.size
        for net, start, gradient in zip(nets, starts, out, strict=True):
            width = self.widths[start]
            rows = self.rows[start : start + self.size, :width]
            np.matmul(net[:, :width], rows.T, out=residual)
            residual -= self.targets[:, start : start + self.size]
            residual *= scale
            np.matmul(residual, rows, out=gradient[:, :width])
            gradient[:, width:] = 0.0

    def shared_gradients(self, nets: np.ndarray, out: np.ndarray) -> None:
        """The gradients of all networks on all rows, in two products."""
        classes, side_by_side = nets.shape[1], nets.reshape(-1, nets.shape[2])
        residual = side_by_side @ self.rows.T
        residual.reshape(-1, *self.targets.shape)[...] -= self.targets
        residual *= 2.0 * NLL_PER_MSE / (len(self.rows) * classes)
        np.matmul(residual, self.rows, out=out.reshape(side_by_side.shape))


class NormPenalty:
    """exp(lam_k) ||(W, b)||, the unsquared L2 norm with biases: lam (K,)."""

    def __init__(self, lam: np.ndarray) -> None:
        self.weight = np.exp(lam)

    def add(self, nets: np.ndarray, grads: np.ndarray) -> None:
        """grads += the penalty's gradient, w / ||w|| of each network (0 at w = 0)."""
        whole = nets.reshape(len(nets), -1)
        pull = self.weight / _nonzero(np.sqrt(np.vecdot(whole, whole)))
        grads += pull[:, None, None] * nets


class ClassPenalty:
    """(1/10) sum_i exp(lam_ki) ||W_i||, the unsquared L2 norm of each class's weights, no biases.

    lam (K, C), networks (K, C, columns).
    """

    def __init__(self, lam: np.ndarray, columns: int) -> None:
        self.weight = np.exp(lam) * CLASS_SHARE
        self._pulled = aligned_zeros((*lam.shape, columns))  # made once: a fresh array per step costs a tenth of it

    def add(self, nets: np.ndarray, grads: np.ndarray) -> None:
        """grads += the penalty's gradient (0 where a class has no weight at all)."""
        weights = nets[:, :, 1:]
        pull = self.weight / _nonzero(np.sqrt(np.vecdot(weights, weights)))
        np.multiply(nets, pull[:, :, None], out=self._pulled)
        self._pulled[:, :, 0] = 0.0  # whole rows are twice as fast as rows without their first entry
        grads += self._pulled


def _whole_lines(count: int) -> int:
    return -(-int(count) // PER_LINE) * PER_LINE


def _nonzero(length: np.ndarray) -> np.ndarray:
    filled: np.ndarray = length + (length == 0.0)
    return filled
