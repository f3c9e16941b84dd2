"""Named settings of the LSTM's experiments; what to expect stands beside them.

Presets: "paper" is the published setting, "quick" a study that one core does in minutes an arm, "smoke" seconds and
only shows that everything runs. Losses are nats a word; a perplexity is their exponential.
"""

from __future__ import annotations

from dataclasses import replace

from deep.ptb import LSTMConfig, Network
from deep.schedules import ONE, Table1

# Table 2; recalled, not re-read: test perplexity 67.68 with all seven hyperparameters tuned (run with --seed 3).
PAPER = LSTMConfig()
# Table 1; recalled, not re-read: test perplexity 83.19 fixed, 79.02 STN, 79.93 replayed, 86.90 at the final value.
TABLE1 = Table1(replace(PAPER, choice=ONE))

# Small enough that output dropout 0.05 overfits within the run (validation loss 5.37 at its best, then rising; 5.20 at
# 0.6: one seed), large enough that the order of the arms is seen. lr 20 and lr_lam 0.03 are for 25 epochs, not 200.
STUDY = replace(
    PAPER,
    network=replace(PAPER.network, hidden=100, bptt=20, train_tokens=30_000, valid_tokens=10_000, test_tokens=10_000),
    method=replace(PAPER.method, lr_lam=0.03),
    descent=replace(PAPER.descent, batch=20, lr=20.0),
    span=replace(PAPER.span, epochs=25, warmup_epochs=1.0, patience=0),
)
TINY = replace(
    PAPER,
    network=Network(hidden=16, bptt=10, train_tokens=600, valid_tokens=300, test_tokens=300),
    descent=replace(PAPER.descent, batch=4, lr=5.0),
    span=replace(PAPER.span, epochs=3, patience=0),
)

PRESETS: dict[str, dict[str, object]] = {
    "lstm": {"paper": PAPER, "quick": STUDY, "smoke": TINY},
    "table1": {
        "paper": TABLE1,
        "quick": Table1(replace(STUDY, choice=ONE)),
        "smoke": Table1(replace(TINY, choice=ONE)),
    },
}
