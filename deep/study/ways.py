"""The ways of self-tuning that the study compares, by name."""

from __future__ import annotations

from dataclasses import replace

from deep.study.runs import Way

SPLIT = Way(every=4, eager=100)
"""A response step in every training step of the warm-up, then in every fourth: the default of SelfTuner."""

WAYS = {
    "delta-published": Way("delta", linear=True, rate=0.0, spread=0.5, box=float("inf")),
    "delta": Way("delta", linear=True, rate=1e-3),
    "stn-published": Way("stn", rate=0.0, spread=0.5, box=float("inf")),
    "stn": Way("stn", rate=0.0),
    "stn-centred": Way("centred", rate=1e-3),
    "split": SPLIT,
    "split-1": replace(SPLIT, every=1),
    "split-2": replace(SPLIT, every=2),
    "split-not-eager": replace(SPLIT, eager=0),
    "split-linear": replace(SPLIT, linear=True),
    "split-groups-2": replace(SPLIT, groups=2),
    "split-groups-4": replace(SPLIT, groups=4),
    "split-rate-1e-3": replace(SPLIT, rate=1e-3),
    "split-rate-1e-2": replace(SPLIT, rate=1e-2),
    "split-spread-1": replace(SPLIT, spread=1.0),
    "split-no-box": replace(SPLIT, box=float("inf")),
    "split-slow": replace(SPLIT, lr_lam=0.01),
    "split-fast": replace(SPLIT, lr_lam=0.1),
    "split-tune-2": replace(SPLIT, tune_every=2),
    "split-tune-4": replace(SPLIT, tune_every=4),
    "split-gate": replace(SPLIT, gate=True),
    "split-rest": replace(SPLIT, rest=0.25),
    "lowrank": replace(SPLIT, form="lowrank"),
    "gated": replace(SPLIT, form="gated"),
}
