"""The ways of self-tuning that the study compares, by name."""

from __future__ import annotations

from dataclasses import replace

from deep.study.runs import Way

SPLIT = Way()

WAYS = {
    "delta-published": Way("delta", linear=True, rate=0.0, spread=0.5, box=float("inf")),
    "delta": Way("delta", linear=True, rate=1e-3),
    "stn-published": Way("stn", rate=0.0, spread=0.5, box=float("inf")),
    "stn": Way("stn", rate=0.0),
    "stn-centred": Way("centred", rate=1e-3),
    "split": SPLIT,
    "split-1": replace(SPLIT, every=1),
    "split-4": replace(SPLIT, every=4),
    "split-linear-4": replace(SPLIT, every=4, linear=True),
    "split-4-tune-2": replace(SPLIT, every=4, tune_every=2, lr_lam=0.06),
    "split-2-tune-2": replace(SPLIT, every=2, tune_every=2, lr_lam=0.06),
    "split-2-tune-4": replace(SPLIT, every=2, tune_every=4, lr_lam=0.12),
    "split-4-tune-4": replace(SPLIT, every=4, tune_every=4, lr_lam=0.12),
    "split-rate-1e-3": replace(SPLIT, rate=1e-3),
    "split-rate-1e-2": replace(SPLIT, rate=1e-2),
    "split-groups-4": replace(SPLIT, groups=4),
    "split-groups-2": replace(SPLIT, groups=2),
    "split-1-groups-4": replace(SPLIT, every=1, groups=4),
    "split-4-groups-4": replace(SPLIT, every=4, groups=4),
    "split-4-eager": replace(SPLIT, every=4, eager=100),
    "split-4-eager-groups-4": replace(SPLIT, every=4, eager=100, groups=4),
    "split-2-slow": replace(SPLIT, lr_lam=0.01),
    "split-2-slow-groups-4": replace(SPLIT, lr_lam=0.01, groups=4),
    "split-4-slow-groups-4": replace(SPLIT, every=4, eager=100, lr_lam=0.01, groups=4),
    "split-2-groups-4-spread-1": replace(SPLIT, groups=4, spread=1.0),
    "split-gate": replace(SPLIT, gate=True),
    "split-rest": replace(SPLIT, rest=0.25),
    "lowrank": replace(SPLIT, form="lowrank"),
    "lowrank-4": replace(SPLIT, form="lowrank", every=4),
    "gated": replace(SPLIT, form="gated"),
    "gated-spread-1": replace(SPLIT, form="gated", spread=1.0),
}
