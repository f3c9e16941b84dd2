"""Where a run computes, and how: device, processes, precision, compilation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from hyperopt_hn.cli.jobs import SLOT
from hyperopt_hn.config import check, option
from hyperopt_hn.errors import UserError


@dataclass(frozen=True)
class Machine:
    """Settings that change speed and rounding but not what is computed."""

    device: str = option("auto", "where to compute; auto: CUDA if there is any", choices=("auto", "cpu", "cuda"))
    amp: str = option("", "autocast of the network", choices=("", "bf16"))
    compile: str = option(
        "", "torch.compile; reduce-overhead captures CUDA graphs", choices=("", "default", "reduce-overhead")
    )
    channels_last: bool = option(False, "images and convolutions in channels-last memory order")
    deterministic: bool = option(False, "refuse operations whose result depends on the order of threads")
    tensorboard: bool = option(False, "write each evaluation to TensorBoard too, beside the run's record")

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
        return torch.device("cpu")
    place = int(os.environ.get("LOCAL_RANK", os.environ.get(SLOT, "0"))) % torch.cuda.device_count()
    torch.cuda.set_device(place)
    return torch.device("cuda", place)


def prepared(model: nn.Module, machine: Machine) -> nn.Module:
    """The model as the machine's settings want it called: memory order, compiled or not."""
    if machine.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if machine.compile:
        return torch.compile(model, mode=machine.compile)  # type: ignore[return-value]
    return model


@contextmanager
def room(remedy: str) -> Iterator[None]:
    """Inside, running out of memory is a UserError that says which setting to lower."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(f"out of GPU memory: {remedy}") from None
    except (RuntimeError, MemoryError) as error:
        if "allocate memory" in str(error) or "not enough memory" in str(error) or isinstance(error, MemoryError):
            raise UserError(f"out of memory: {remedy}") from None
        raise
