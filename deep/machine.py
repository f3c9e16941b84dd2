"""Where a run computes, and how: device, processes, precision, compilation."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from hyperopt_hn.cli.jobs import SLOT
from hyperopt_hn.config import check, option
from hyperopt_hn.errors import UserError

SLOW_BF16 = "--amp bf16: this processor has no bf16 instructions, so that it is about four times slower than float32"


@dataclass(frozen=True)
class Machine:
    """Settings that change speed and rounding but not what is computed."""

    device: str = option(
        "auto", "where to compute; auto: CUDA if there is any", choices=("auto", "cpu", "cuda"), technical=True
    )
    amp: str = option("", "autocast of the network", choices=("", "bf16"))
    compile: str = option(
        "",
        "torch.compile; reduce-overhead captures CUDA graphs",
        choices=("", "default", "reduce-overhead"),
        technical=True,
    )
    graphs: bool = option(False, "on a GPU, record steps as CUDA graphs and replay them", technical=True)
    channels_last: bool = option(False, "images and convolutions in channels-last memory order", technical=True)
    deterministic: bool = option(
        False, "refuse operations whose result depends on the order of threads", technical=True
    )
    tensorboard: bool = option(
        False, "write each evaluation to TensorBoard too, beside the run's record", technical=True
    )

    def __post_init__(self) -> None:
        check(self)


def device_of(machine: Machine) -> torch.device:
    """The device; under torchrun this joins the group of processes and takes the local rank's GPU.

    Raises UserError if CUDA is asked for and absent.
    """
    if machine.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    cuda = torch.cuda.is_available()
    if machine.device == "cuda" and not cuda:
        raise UserError("--device cuda: there is no CUDA device here; choose --device cpu, or leave it out")
    name = "cuda" if cuda and machine.device != "cpu" else "cpu"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if name == "cuda" else "gloo")
    if name == "cpu":
        if machine.amp and not bf16_instructions():
            warnings.warn(SLOW_BF16, stacklevel=2)
        return torch.device("cpu")
    place = int(os.environ.get("LOCAL_RANK", os.environ.get(SLOT, "0"))) % torch.cuda.device_count()
    torch.cuda.set_device(place)
    return torch.device("cuda", place)


def bf16_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bf16 itself; True where the system does not say."""
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        return True
    flags = {word for line in text.splitlines() if line.startswith(("flags", "Features")) for word in line.split()}
    return not flags or bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def prepared(model: nn.Module, machine: Machine) -> nn.Module:
    """The model as the machine's settings have it called: memory order, compiled or not."""
    if machine.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if machine.compile:
        return torch.compile(model, mode=machine.compile)  # type: ignore[return-value]
    return model


@contextmanager
def out_of_memory_says(remedy: str) -> Iterator[None]:
    """Inside, running out of memory is a UserError that says which setting to lower."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(f"out of GPU memory: {remedy}") from None
    except (RuntimeError, MemoryError) as error:
        if "allocate memory" in str(error) or "not enough memory" in str(error) or isinstance(error, MemoryError):
            raise UserError(f"out of memory: {remedy}") from None
        raise
