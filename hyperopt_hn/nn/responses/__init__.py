"""Best responses w_φ(λ) and how to learn and use them, a file for each.

stn       uncentred input, φ trained jointly on perturbed λ (MacKay et al. 2019)
delta     centred input; general weights at the mean, response weights on a linearised forward (Bae & Grosse 2020)
split     centred input; the plain network at λ̂ in every step, the response in steps of its own (ours)
implicit  no response at all: λ̂'s gradient by the implicit function theorem; for penalties only
"""

from __future__ import annotations

from hyperopt_hn.nn.responses.base import Losses, Phase, Response
from hyperopt_hn.nn.responses.delta import Delta
from hyperopt_hn.nn.responses.implicit import Implicit
from hyperopt_hn.nn.responses.split import Split
from hyperopt_hn.nn.responses.stn import STN

__all__ = ["STN", "Delta", "Implicit", "Losses", "Phase", "Response", "Split"]
