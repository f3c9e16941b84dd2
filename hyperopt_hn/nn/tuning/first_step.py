"""What is looked at once, around the first train step: where each layer's batch is, and who else reads its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hyperopt_hn.nn.diagnosis.axes.batch_axes import batch_axes_measured
from hyperopt_hn.nn.diagnosis.calls import recorded
from hyperopt_hn.nn.diagnosis.past_reads import settle
from hyperopt_hn.nn.responses import Losses
from hyperopt_hn.nn.setup.batches import Batch


@contextmanager
def looked_at(losses: Losses, batch: Batch, wanted: bool) -> Iterator[None]:
    """Around the first train step of a run, on this batch, where this is wanted. Raises UserError by name."""
    if not wanted:
        yield
        return
    per_example = not losses.hypers.one_draw
    with batch_axes_measured(losses, batch, per_example), recorded(losses.bare) as calls:
        yield
    settle(losses, calls)
