"""The self-tuning LSTM at the published size, whole steps: embedding, masks, loss, clipping, the optimizer's step.

650 x 2, batch 40, 70 words a window, a vocabulary of 10,000, seven hyperparameters, random words; an evaluation is of
some windows of ten streams. The reference does in a loop over time what the paper describes (deep_lstm_loop.py). Both
sides draw the same perturbations and masks and go on from where they were, so that their losses can be compared; bf16
agrees to its own rounding. Peak: memory that a step needs beside what was there before it.
"""

from __future__ import annotations

from importlib.util import find_spec

from tests.bench.harness import Row


def rows() -> list[Row]:
    """Every comparison; none without torch, which `make bench` does not install."""
    if find_spec("torch") is None:
        return []
    from tests.bench import _deep_lstm

    return _deep_lstm.rows()
