"""The experiment "cnn" by name: its configuration in the presets paper, delta, quick and smoke.

`paper` has the published settings of MacKay et al. 2019 with the published faults repaired, `delta` those of Bae &
Grosse 2020; `quick` shows the method on a CPU in minutes, `smoke` only that everything runs.
"""

from __future__ import annotations

from dataclasses import replace

from deep.choice import TuningChoice
from deep.cnn.experiment import CNNConfig, CNNSettings
from deep.training import Descent, Method, Span

STN = Method(response="stn", tune_spreads=True, tau=1e-3)

# MacKay et al. 2019, sec. 4.2: AlexNet, 15 hyperparameters, 40,000 / 10,000 images of CIFAR-10. Recalled, not read
# again: validation loss 0.575, test loss 0.576. The published code stops by patience or rate; 500 epochs bound it.
PAPER = CNNConfig(
    CNNSettings(model="alexnet"),
    TuningChoice(tune="stn"),
    STN,
    Descent(batch=128, lr=0.01, momentum=0.9, decay="nonmono", window=60, factor=0.1, least_lr=1e-5),
    Span(epochs=500, warmup_epochs=5, train_per_cycle=2, tune_per_cycle=1, patience=75),
)
# Bae & Grosse 2020, the published code's AlexNet: 18 hyperparameters, mirrored images, 200 epochs.
DELTA = CNNConfig(
    CNNSettings(model="alexnet", ranges="delta", flip=True),
    TuningChoice(tune="delta"),
    Method(response="delta", tune_spreads=True, tau=1e-3, hyper_optimizer="rmsprop", lr_lam=0.01, lr_rho=0.01),
    Descent(batch=128, lr=0.03, momentum=0.9, decay="milestones", milestones=(60, 120, 180), factor=0.2),
    Span(epochs=200, warmup_epochs=5, train_per_cycle=5, tune_per_cycle=1),
)
# Ours: the published setting, the response trained apart (nothing of it was run at full size yet).
SPLIT = replace(
    PAPER,
    choice=replace(PAPER.choice, spread=2.0),
    method=Method(response="split", lr_lam=0.01, box=3.5),
    span=replace(PAPER.span, epochs=200),
)
# 4,000 images, so that a network without dropout overfits within minutes.
QUICK = CNNConfig(
    CNNSettings(model="small", n_train=4_000, n_valid=1_000, n_test=2_000),
    TuningChoice(tune="stn"),
    Method(response="stn", tune_spreads=True, tau=1e-3, lr_lam=0.01, lr_rho=0.01),
    Descent(batch=128, lr=0.03, momentum=0.9, decay="none"),
    Span(epochs=60, warmup_epochs=5, train_per_cycle=2, tune_per_cycle=1),
)
SMOKE = CNNConfig(
    CNNSettings(model="small", n_train=128, n_valid=64, n_test=64),
    TuningChoice(tune="stn"),
    STN,
    Descent(batch=32, decay="none"),
    Span(epochs=3, warmup_epochs=1, train_per_cycle=2, tune_per_cycle=1),
)

CNN = {"paper": PAPER, "delta": DELTA, "split": SPLIT, "quick": QUICK, "smoke": SMOKE}
