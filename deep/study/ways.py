"""The ways of self-tuning that the study compares, by name."""

from __future__ import annotations

import math
from dataclasses import replace

from deep.study.runs import Way

SPLIT = Way(every=2, eager=100)
"""A response step in every training step of the warm-up, then in every second."""
LOW = replace(SPLIT, form="lowrank")
DEFAULT = replace(LOW, tune_every=4, lr_lam=0.1, rate=1e-2, decades=1.0, narrowing=True)
"""What SelfTuner does."""

WAYS = {
    "delta-published": Way("delta", linear=True, rate=0.0, spread=0.5, box=float("inf")),
    "delta": Way("delta", linear=True, rate=1e-3),
    "stn-published": Way("stn", rate=0.0, spread=0.5, box=float("inf")),
    "stn": Way("stn", rate=0.0),
    "stn-centred": Way("centred", rate=1e-3),
    "split": SPLIT,
    "default": DEFAULT,
    "default-gated": replace(DEFAULT, form="gated"),
    "implicit": replace(DEFAULT, kind="implicit", rate=0.0),
    "lowrank": LOW,
    "gated": replace(SPLIT, form="gated"),
    "lowrank-raw": replace(LOW, position=False),
    "lowrank-1": replace(LOW, every=1),
    "lowrank-4": replace(LOW, every=4),
    "lowrank-4-raw": replace(LOW, every=4, position=False),
    "lowrank-tune-2": replace(LOW, tune_every=2),
    "lowrank-tune-2-fast": replace(LOW, tune_every=2, lr_lam=0.06),
    "default-3e-3": replace(DEFAULT, rate=3e-3),
    "default-narrow": replace(DEFAULT, narrowing=False),
    "default-wide": replace(DEFAULT, decades=math.inf, narrowing=False),
    "default-wide-3e-3": replace(DEFAULT, decades=math.inf, rate=3e-3, narrowing=False),
    "default-4-4": replace(DEFAULT, every=4),
    "default-4-8": replace(DEFAULT, every=4, tune_every=8),
    "default-4-8-fast": replace(DEFAULT, every=4, tune_every=8, lr_lam=0.2),
    "default-half": replace(DEFAULT, share=0.5),
    "lowrank-4-tune-4-fast": replace(LOW, every=4, tune_every=4, lr_lam=0.1),
    "lowrank-slow": replace(LOW, lr_lam=0.015),
    "split-not-eager": replace(SPLIT, eager=0),
    "split-linear": replace(SPLIT, linear=True),
    "split-groups-2": replace(SPLIT, groups=2),
    "split-groups-4": replace(SPLIT, groups=4),
    "split-rate-1e-3": replace(SPLIT, rate=1e-3),
    "split-rate-1e-2": replace(SPLIT, rate=1e-2),
    "split-spread-1": replace(SPLIT, spread=1.0),
    "split-no-box": replace(SPLIT, box=float("inf")),
    "split-gate": replace(SPLIT, gate=True),
    "split-rest": replace(SPLIT, rest=0.25),
}
