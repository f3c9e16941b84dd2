"""Faults of the operating system on demand: a layer of C between a program and the system (`layer.c`, LD_PRELOAD)."""

from __future__ import annotations

import errno
import functools
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("layer.c")


@functools.cache
def built() -> Path | None:
    """The compiled layer; None where there is no Linux with a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    library = Path(tempfile.mkdtemp(prefix="layer-")) / "layer.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@dataclass(frozen=True)
class Fault:
    """What happens at the k-th event: "kill", "torn", "fails 5", "full 28", "signal 15"; 0: nothing."""

    at: int = 0
    how: str = "kill"
    reads: bool = False
    """Whether reading is an event too."""

    def environment(self, root: Path, trace: Path | None = None) -> dict[str, str]:
        """For a process that the layer was loaded into; what lies below `root` is meant."""
        more: Mapping[str, str] = {} if trace is None else {"FAULT_TRACE": str(trace)}
        reads = {"FAULT_READS": "1"} if self.reads else {}
        return {"FAULT_ROOT": str(root), "FAULT_AT": str(self.at), "FAULT_DO": self.how, **reads, **more}

    def __str__(self) -> str:
        word, _, number = self.how.partition(" ")
        named = signal.Signals(int(number)).name if word == "signal" else errno.errorcode[int(number)] if number else ""
        return f"{' '.join(filter(None, (word, named)))} at event {self.at}{' (reads counted)' if self.reads else ''}"
