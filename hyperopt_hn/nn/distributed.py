"""Several processes under torchrun: gradients averaged, λ̂ and φ equal on all ranks, one rank that writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.loop import Log
from hyperopt_hn.runs.generations import Codec, newest
from hyperopt_hn.runs.silent import NullLog
from hyperopt_hn.runs.sinks import Sink
from hyperopt_hn.runs.team import ALONE, Team
from hyperopt_hn.runs.writer import RunLog


def rank() -> int:
    """This process's number; 0 without torch.distributed."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this process is the one of several that writes and talks to the user."""
    return rank() == 0


def world() -> int:
    """How many processes there are; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def refuse_sharded(model: nn.Module) -> None:
    """Raise UserError for a model under FSDP, whose parameters no process has whole."""
    kinds = {kind.__name__ for module in model.modules() for kind in type(module).__mro__}
    if kinds & {"FullyShardedDataParallel", "FSDPModule"}:
        raise UserError(
            "FSDP spreads a model's parameters over processes, where a response cannot follow them; take "
            "DistributedDataParallel under torchrun"
        )


@torch.no_grad()
def average_(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over all ranks, in place: one collective per dtype."""
    if world() == 1:
        return
    for group in _by_dtype(tensors):
        flat = torch.cat([t.reshape(-1) for t in group])
        dist.all_reduce(flat)
        flat /= world()
        for tensor, part in zip(group, flat.split([t.numel() for t in group]), strict=True):
            tensor.copy_(part.view_as(tensor))


@torch.no_grad()
def broadcast_(tensors: Iterable[Tensor]) -> None:
    """Give every rank rank 0's tensors, in place."""
    if world() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def total(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all ranks."""
    if world() > 1:
        dist.all_reduce(tensor)
    return tensor


def gather(tensor: Tensor) -> list[Tensor]:
    """Every rank's tensor of one shape (held on the processor), in order of rank."""
    if world() == 1:
        return [tensor]
    device = _wire()
    mine = tensor.to(device)
    parts = [torch.empty_like(mine) for _ in range(world())]
    dist.all_gather(parts, mine)
    return [part.cpu() for part in parts]


def open_log(
    path: Path,
    config: Mapping[str, Any],
    codec: Codec,
    resume: bool = False,
    overwrite: bool = False,
    sinks: Sequence[Sink] = (),
) -> Log:
    """What `alternate` asks of a log, on every rank: rank 0 writes the run's directory, the others read along.

    The directory must be visible to all ranks. Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP on any rank end all of them within
    two steps, with a checkpoint. Raises on every rank where rank 0 refuses.
    """
    if world() == 1:
        return RunLog(path, config, resume, overwrite, codec, sinks)
    if rank() == 0:
        try:
            log = RunLog(path, config, resume, overwrite, codec, sinks)
        except BaseException:
            first(_REFUSED)
            raise
        first(0.0 if log.resumed is None else 1.0)
        log.agree, log.team = first, team()
        return log
    found = first(0.0)
    if found == _REFUSED:
        raise UserError(f"the first process could not begin {path}; its message says why")
    resumed = codec.load(newest(Path(path), codec))["state"] if found else None
    return NullLog(Path(path), resumed, first, team())


_REFUSED = -1.0
GRACE = 10.0
"""Seconds in which a second signal is the first one again: torchrun hands Ctrl-C on to ranks that have it already."""


def team() -> Team:
    """How all ranks stop together; they must call it together."""
    if world() == 1:
        return ALONE
    flag = _StopFlag(None if dist.get_backend() == "gloo" else _processor_group())
    return Team(flag.stops, flag.meet, GRACE)


class _StopFlag:
    """Whether any rank was asked to stop, known one step later, so that no step waits for it."""

    def __init__(self, group: Any) -> None:
        self._group = group
        self._flag = torch.zeros(1)
        self._work: Any = None

    def stops(self, asked: bool) -> bool:
        """What the ranks said a step ago; asks anew."""
        before = self._answer()
        self._flag = torch.tensor([float(asked)], device=_wire() if self._group is None else "cpu")
        self._work = dist.all_reduce(self._flag, dist.ReduceOp.MAX, group=self._group, async_op=True)
        return before

    def meet(self) -> None:
        """All ranks are here, and nothing is under way."""
        self._answer()
        dist.barrier()

    def _answer(self) -> bool:
        if self._work is None:
            return False
        self._work.wait()
        self._work = None
        return bool(self._flag.item())


def _processor_group() -> Any:
    """A group that talks without the GPU, which a flag would otherwise wait for; None where there is no gloo."""
    return dist.new_group(backend="gloo") if dist.is_gloo_available() else None


def first(number: float) -> float:
    """Rank 0's number on every rank, so that all take the same decision."""
    shared = torch.tensor([number], dtype=torch.float64, device=_wire())
    dist.broadcast(shared, src=0)
    return float(shared)


def _by_dtype(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())


def _wire() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
