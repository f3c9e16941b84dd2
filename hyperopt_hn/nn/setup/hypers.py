"""λ̂ and its spreads as a module: ordinary parameters, so that any torch optimizer and scheduler tunes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.perturbation import entropy, perturb
from hyperopt_hn.space import HyperSpace
from hyperopt_hn.transforms import inv_softplus, softplus


class Hypers(nn.Module):
    """p(λ|λ̂) = N(λ̂, diag σ²) over a space's tuned hyperparameters, σ = softplus ρ; all in raw units.

    `lam` (n,) and `rho` (n,) are parameters, float32 unless `dtype` says otherwise, whatever the model's precision.
    `spread` and `box` are for hyperparameters that name none themselves, and `decades` bounds the spread of those on a
    log scale (`Hyper.raw_spread`). Entries whose initial spread is 0 are never
    perturbed and have no entropy; `any_free`: there are others; `one_draw`: no perturbed entry differs between
    examples, asked for (`at_once`, which form="generic" needs) or because all are shared.
    Source: MacKay et al. 2019, sec. 3.3.
    """

    shared: Tensor
    free: Tensor
    low: Tensor
    high: Tensor
    both: Tensor
    above: Tensor
    below: Tensor
    _places: Tensor

    def __init__(
        self,
        space: HyperSpace,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
        spread: float = 0.5,
        box: float = math.inf,
        decades: float = math.inf,
        one_draw: bool = False,
    ) -> None:
        super().__init__()
        if dtype not in (torch.float32, torch.float64):
            raise UserError(f"λ in {dtype} would lose its small steps; use torch.float32 (the model may be in {dtype})")
        self.space = space
        spreads = torch.as_tensor(space.spreads(spread, decades), dtype=torch.float64)
        free = spreads > 0
        own = (
            space.spreads(spread) > 0
        )  # in numpy: these two are asked on the host, where reading a GPU would wait for it
        self.any_free = bool(own.any())
        self.at_once = one_draw
        self.one_draw = one_draw or bool((space.shared() | ~own).all())
        rho = inv_softplus(torch.where(free, spreads, 1.0), torch)
        self.lam = nn.Parameter(torch.as_tensor(space.init()).to(device, dtype))
        self.rho = nn.Parameter(rho.to(device, dtype))
        self.register_buffer("shared", torch.as_tensor(space.shared()).to(device))
        self.register_buffer("free", free.to(device))
        for name, bounded in space.bounded().items():
            self.register_buffer(name, torch.as_tensor(bounded).to(device), persistent=False)
        low, high = space.reach(box)
        self.boxed = bool(np.isfinite(low).any())
        for name, end in (("low", low), ("high", high)):
            self.register_buffer(name, torch.as_tensor(end).to(device, dtype), persistent=False)
        # rho[free] would make the host wait for a GPU to learn how many there are
        self.register_buffer("_places", torch.as_tensor(np.flatnonzero(own)).to(device), persistent=False)

    def sigma(self) -> Tensor:
        """Standard deviations of the perturbation, (n,); differentiable in rho."""
        return torch.where(self.free, softplus(self.rho, torch), 0.0)

    def entropy(self) -> Tensor:
        """Entropy of p(λ|λ̂) in nats, summed over the perturbed entries; ()."""
        return entropy(softplus(self.rho[self._places], torch), torch)

    @torch.no_grad()
    def keep_inside(self) -> None:
        """Put λ̂ back into its box."""
        if self.boxed:
            self.lam.clamp_(self.low, self.high)

    def at_the_edge(self) -> list[str]:
        """The tuned hyperparameters of which an entry of λ̂ rests on its box."""
        lam = self.lam.detach()
        there = ((lam <= self.low) | (lam >= self.high)).tolist()
        return [name for name, part in self.space.places.items() if any(there[part])]

    def draw(self, eps: Tensor, first: Tensor) -> Tensor:
        """λ̂ + σ ε, (B, n) from noise (B, n), in λ̂'s dtype; `shared` entries use `first` (n,) in every row."""
        noise = torch.where(self.shared, first.to(self.lam), eps.to(self.lam))
        return perturb(self.lam, self.sigma(), noise, self.shared, torch)

    def values(self, lam: Tensor) -> dict[str, Any]:
        """Natural values at raw λ (n,) or (B, n): name -> () or (B,), vectors with their length last.

        A `shared` hyperparameter comes as one value for the whole batch. Differentiable; the caller detaches.
        """
        out = self.space.values(lam, torch)
        if lam.ndim == 2:
            out.update({name: out[name][0] for name in self.space.tuned if self.space[name].shared})
        return out

    def position(self, lam: Tensor) -> Tensor:
        """How far along its range each entry is, in λ's shape: slope 1 in the middle of a range, 0 at its bounds.

        Four times the share of the way from the low to the high bound, on a log scale for `log`; beyond a single bound
        softplus(λ), without bounds λ itself. Here a step changes what is perturbed alike wherever λ̂ is.
        """
        one = torch.where(self.above, softplus(lam, torch), -softplus(-lam, torch))
        return torch.where(self.both, 4.0 * torch.sigmoid(lam), torch.where(self.above | self.below, one, lam))

    def plain(self) -> dict[str, float | int | list[float]]:
        """The present values in natural units, as Python numbers (lists for vectors)."""
        return self.space.plain(self.lam.detach().double().cpu().numpy())

    @torch.no_grad()
    def raw(self, values: Mapping[str, Any]) -> Tensor:
        """Raw λ (n,) at natural `values`, λ̂ for names not given. Raises UserError for one that is not tuned."""
        lam = self.lam.detach().clone()
        for name in values:
            self.space[name]
            if name not in self.space.tuned:
                raise UserError(f"hyperparameter {name!r} is not tuned; list it in the space's `tuned`")
        start = 0
        for name in self.space.tuned:
            hyper = self.space[name]
            if name in values:
                raw = hyper.raw(np.asarray(values[name], dtype=float))
                lam[start : start + hyper.width] = torch.as_tensor(raw).to(lam)
            start += hyper.width
        return lam

    @torch.no_grad()
    def assign(self, values: Mapping[str, Any]) -> None:
        """Put λ̂ at natural `values`; names that are not given keep theirs, bit for bit."""
        self.lam.copy_(self.raw(values))


class Noise:
    """The stream of ε ~ N(0, I): one explicit generator, the same on every rank and every device.

    Each rank draws the noise of the whole global batch and takes its own rows, so that R ranks with batches of B
    see what one process with a batch of R·B sees.
    """

    def __init__(self, n: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.n, self.rank, self.world = n, rank, world
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, rows: int) -> tuple[Tensor, Tensor]:
        """ε of this rank's rows (rows, n), and the row (n,) that `shared` hyperparameters use everywhere; float32."""
        first = torch.randn(self.n, generator=self._generator)
        eps = torch.randn(self.world * rows, self.n, generator=self._generator)
        return eps[self.rank * rows : (self.rank + 1) * rows], first

    def state(self) -> Tensor:
        """The generator's state."""
        return self._generator.get_state()

    def load_state(self, state: Tensor) -> None:
        """Go on from `state()`."""
        self._generator.set_state(state.cpu())
