"""Where the batch is in the inputs of a layer, from what it was fed at two sizes of the batch.

B rows of a batch, B' of the same one with a row less; k rows of an input for each row of the batch.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from hyperopt_hn.nn.context import HyperLayer
from hyperopt_hn.nn.layers.dropout import LockedDropout

STILL = "its input has no batch axis (as of a position table), so that no example's λ belongs to it"
OTHER = "the rows of its input are not those of the batch (routed, pooled or mixed)"
Fits = frozenset[int]
"""The values of Home.batch_dim that tell a layer where its batch is."""
ANY: Fits = frozenset(range(8))


@dataclass(frozen=True)
class BatchPlace:
    """Where the batch is in what a layer was fed: `axis` of `lead` that it could be, k rows an example; or `why` not.

    `order`: 0 where an example's k rows follow each other, 1 where the whole batch comes k times.
    """

    axis: int = 0
    lead: int = 1
    k: int = 1
    why: str = ""
    order: int = 0

    def fits(self, plain: nn.Module) -> Fits:
        """See `align` and `batch_axis`, which read Home.batch_dim; `plain` is the layer as torch's own."""
        if self.why:
            return frozenset()
        whole = ANY if self.k == 1 else frozenset((self.order,))
        only = only_axis(plain)
        if only is not None:
            return whole if self.axis == only else frozenset()
        return whole if self.lead == 1 else whole & {self.axis}


def place_of(plain: nn.Module, one: Tensor, two: Tensor, rows: tuple[int, int]) -> BatchPlace | None:
    """Where the batch is in inputs of (B, B') rows, the order of k > 1 not yet known; None where it is unclear."""
    if one.dim() != two.dim():
        return None
    lead = lead_of(plain, one)
    moved = [d for d in range(one.dim()) if one.shape[d] != two.shape[d]]
    if not moved:
        return BatchPlace(why=STILL)
    fits = [d for d in moved if d < lead and one.shape[d] * rows[1] == two.shape[d] * rows[0]]
    fits = [d for d in fits if one.shape[d] % rows[0] == 0]
    if len(fits) > 1:
        return None
    return BatchPlace(fits[0], lead, one.shape[fits[0]] // rows[0]) if fits else BatchPlace(why=OTHER)


def ordered(place: BatchPlace | None, one: Tensor, two: Tensor, rows: tuple[int, int]) -> BatchPlace | None:
    """With the order in which k rows belong to an example, by the values of the rows that both have."""
    if place is None or place.k == 1:
        return place
    axis, fits = place.axis, []
    for order in (0, 1):
        first, second = (
            x.unflatten(axis, (n, place.k) if order == 0 else (place.k, n)).narrow(axis + order, 0, min(rows)).double()
            for x, n in zip((one, two), rows, strict=True)
        )
        if float((first - second).abs().max()) <= 1e-3 * float(first.abs().max()):
            fits.append(order)
    return replace(place, order=fits[0]) if len(fits) == 1 else None


def plain_of(layer: HyperLayer) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of layers without a single output
        return layer.plain()


def lead_of(plain: nn.Module, x: Tensor) -> int:
    """How many axes of an input can be the batch: all but the features."""
    if isinstance(plain, nn.Embedding):
        return x.dim()
    if isinstance(plain, nn.LayerNorm):
        return x.dim() - len(plain.normalized_shape)
    return 1 if isinstance(plain, _CHANNELS) else max(x.dim() - 1, 1)


_CHANNELS = (_ConvNd, _BatchNorm, nn.GroupNorm, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


def only_axis(plain: nn.Module) -> int | None:
    """The one axis that a layer itself takes for the batch; None for one that treats all rows alike."""
    if isinstance(plain, (nn.RNNBase, nn.MultiheadAttention, LockedDropout)):
        return 0 if plain.batch_first else 1
    return None


def in_another_order(one: Tensor, swapped: Tensor, axis: int) -> bool:
    """Whether an input has the rows of the batch, but not in its order, by what it is with the first two swapped.

    Rows that follow the batch are swapped with it. Those that are sorted or rolled are the same in another order.
    """
    if one.shape != swapped.shape or one.shape[axis] < 2 or not one.numel():
        return False
    rows, other = (x.movedim(axis, 0).flatten(1).double() for x in (one, swapped))
    small = 1e-3 * float(rows.abs().max())
    if float((torch.cat([other[:2].flip(0), other[2:]]) - rows).abs().max()) <= small:
        return False
    nearest = torch.cdist(other, rows).argmin(1)
    each = len(nearest.unique()) == len(rows)
    return each and float((rows[nearest] - other).abs().max()) <= small
