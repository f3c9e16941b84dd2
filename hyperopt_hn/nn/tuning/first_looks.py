"""What is looked at once in a run: where each layer's batch is, who else reads its weights, whether its twin agrees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hyperopt_hn.nn.diagnosis.axes.batch_axes import batch_axes_measured
from hyperopt_hn.nn.diagnosis.calls import recorded
from hyperopt_hn.nn.diagnosis.reads.loss_reads import loss_watched
from hyperopt_hn.nn.diagnosis.reads.own_rows import settle_own
from hyperopt_hn.nn.diagnosis.reads.past_reads import settle
from hyperopt_hn.nn.diagnosis.twin_check import CALLS, check_twin
from hyperopt_hn.nn.layers.by_parameter.reading import escapes
from hyperopt_hn.nn.responses import Losses, Response
from hyperopt_hn.nn.setup.batches import Batch


class FirstLooks:
    """Around the first steps of each kind. Raises UserError by name for what cannot be right."""

    def __init__(self) -> None:
        self._axes = self._twin = False

    @contextmanager
    def training(self, losses: Losses, batch: Batch, wanted: bool) -> Iterator[Losses]:
        """Around the first train step of a run, on this batch, where this is wanted: the losses to take inside."""
        if not wanted:
            yield losses
            return
        self._axes = True
        per_example = not losses.hypers.one_draw
        with (
            escapes() as escaped,
            batch_axes_measured(losses, batch, per_example) as end,
            recorded(losses.bare) as made,
            loss_watched(losses, end) as watched,
        ):
            yield watched
        settle(losses, made)
        settle_own(losses, made, escaped, losses.problem.rows(batch) if per_example else None)

    @contextmanager
    def tuning(self, losses: Losses, batch: Batch, perturbed: bool) -> Iterator[None]:
        """Around a tune step with a λ per example, for a run that goes on with one."""
        wanted = perturbed and not self._axes and not losses.hypers.one_draw
        self._axes |= wanted
        with batch_axes_measured(losses, batch, wanted, validation=True):
            yield

    @contextmanager
    def evaluation(self, losses: Losses, response: Response, wanted: bool) -> Iterator[None]:
        """Around an evaluation; at the first that is wanted."""
        first = wanted and not self._twin
        self._twin |= first
        with recorded(losses.bare, first, CALLS) as calls:
            yield
        if first and calls:
            check_twin(losses, response, calls)
