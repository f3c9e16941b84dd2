"""STN: the response's input is λ itself, and all of φ is trained jointly on perturbed λ.

Source: MacKay et al. 2019, Alg. 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from hyperopt_hn.nn.batches import Batch
from hyperopt_hn.nn.context import at
from hyperopt_hn.nn.response.bench import Bench, Phase, Slope, slope


@dataclass(frozen=True)
class STN:
    """w_φ(λ) = W + diag(V λ) R, layer by layer."""

    phases: tuple[Phase, ...] = (Phase("all", perturbed=True),)
    needs_train_batch: bool = False

    def view(self, bench: Bench, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        """The model at λ."""
        return at(bench.bare, lam, values=bench.fixed)

    def centre(self, bench: Bench) -> Tensor | None:
        """None: the response's input is λ itself."""
        return None

    def held(self, bench: Bench, lam: Tensor) -> AbstractContextManager[object]:
        """The response stays at λ̂."""
        return at(bench.bare, lam, lam - bench.hypers.lam.detach(), values=bench.fixed)

    def tune(self, bench: Bench, lam: Tensor, perturbed: bool, batches: Sequence[Batch]) -> Slope:
        """L_V and its gradient by one backward pass through the response."""
        return slope(bench, self.view(bench, lam, perturbed), lam, batches[0])
