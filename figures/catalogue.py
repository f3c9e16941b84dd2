"""The table of figures: a name -> what it reads and how it is drawn. A new figure is one file and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from figures import (
    cnn_loss_over_time,
    cnn_table,
    compare_number_layers,
    hypernets_global_small,
    hypernets_local_large,
    hypernets_local_medium,
    hypernets_local_small,
    learn_vs_true_loss_hist,
    learn_vs_true_loss_scatter,
    lstm_loss_over_time,
    lstm_schedules,
    stn_cnn_schedules,
    stn_dropouto_schedules,
    table1,
    train_loss_manifold,
    valid_loss_manifold,
)
from figures.kit.roots import IMAGES, TEXTS
from figures.kit.sheet import Sheet
from figures.study.from_records import FROM_RECORDS
from hyperopt_hn.errors import UserError, unknown

SHEETS: dict[str, Sheet] = {
    "hypernets_global_small": Sheet(hypernets_global_small.draw, hypernets_global_small.READS),
    "hypernets_local_small": Sheet(hypernets_local_small.draw, hypernets_local_small.READS),
    "train_loss_manifold": Sheet(train_loss_manifold.draw, train_loss_manifold.READS),
    "valid_loss_manifold": Sheet(valid_loss_manifold.draw, valid_loss_manifold.READS),
    "learn_vs_true_loss_scatter": Sheet(learn_vs_true_loss_scatter.draw, learn_vs_true_loss_scatter.READS),
    "learn_vs_true_loss_hist": Sheet(learn_vs_true_loss_hist.draw, learn_vs_true_loss_hist.READS),
    **{
        f"ax{index}_{kind}": Sheet(partial(module.draw_panel, index=index), module.READS)
        for kind, module in (("scatter", learn_vs_true_loss_scatter), ("hist", learn_vs_true_loss_hist))
        for index in range(len(learn_vs_true_loss_scatter.SURROGATES))
    },
    "hypernets_local_medium": Sheet(hypernets_local_medium.draw, hypernets_local_medium.READS, pooled=True),
    "hypernets_local_large": Sheet(
        hypernets_local_large.draw, hypernets_local_large.READS, hypernets_local_large.OPTIONAL, pooled=True
    ),
    "compare_number_layers": Sheet(compare_number_layers.draw, compare_number_layers.READS, pooled=True),
    "stn_cnn_schedules": Sheet(
        stn_cnn_schedules.draw, stn_cnn_schedules.READS, which="first", pooled=True, maker=IMAGES
    ),
    "cnn_loss_over_time": Sheet(
        cnn_loss_over_time.draw, cnn_loss_over_time.READS, which="any", pooled=True, maker=IMAGES
    ),
    "cnn_table": Sheet(cnn_table.draw, cnn_table.READS, which="any", pooled=True, maker=IMAGES, csv=cnn_table.as_csv),
    "stn_dropouto_schedules": Sheet(
        stn_dropouto_schedules.draw, stn_dropouto_schedules.READS, which="any", pooled=True, maker=TEXTS
    ),
    "table1": Sheet(table1.draw, table1.READS, which="any", pooled=True, maker=TEXTS, csv=table1.as_csv),
    "lstm_schedules": Sheet(lstm_schedules.draw, lstm_schedules.READS, which="first", pooled=True, maker=TEXTS),
    "lstm_loss_over_time": Sheet(
        lstm_loss_over_time.draw, lstm_loss_over_time.READS, which="any", pooled=True, maker=TEXTS
    ),
}


def choose(names: Sequence[str]) -> dict[str, Sheet]:
    """The sheets of these names, all of them for none. Raises UserError naming the nearest known name."""
    for name in names:
        if name not in SHEETS:
            raise UserError(unknown("figure", name, (*SHEETS, *FROM_RECORDS)))
    return {name: SHEETS[name] for name in names or SHEETS}
