"""A process that has imported everything and forks one child for each run: thousands of runs without their start.

`python -m tests.campaigns.apparatus.nursery` reads jobs from its standard input, a line of JSON each; `Nursery` is the
other side of the pipe.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.campaigns.apparatus.layer import built
from tests.support.paths import ROOT


class Child:
    """A run in its own process."""

    def __init__(self, nursery: Nursery, pid: int, told: Path) -> None:
        self.nursery, self.pid, self.told = nursery, pid, told
        self.code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, -n after signal n; None while it runs."""
        if self.code is None:
            self.code = self.nursery.answer({"poll": self.pid})
        return self.code

    def wait(self, seconds: float = 300.0) -> int:
        """Its exit code; TimeoutError if it takes longer."""
        end, pause = time.monotonic() + seconds, 0.002
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"still running after {seconds:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return code

    def send(self, number: int) -> None:
        """A signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def said(self) -> str:
        """All that it wrote to its standard error."""
        return self.told.read_text(errors="replace")


class Nursery:
    """Starts runs by fork; `words` of a run are those after `python`: -m MODULE ... or -c PROGRAM ..."""

    def __init__(self) -> None:
        layer = built()
        environment = {
            **os.environ,
            **({"LD_PRELOAD": str(layer)} if layer else {}),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.campaigns.apparatus.nursery"],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def answer(self, question: Mapping[str, Any]) -> Any:
        """What the other side answers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def learn(self, words: Sequence[str], told: Path) -> int:
        """The exit code of a run whose modules all later ones find imported."""
        names = told.with_suffix(".modules")
        code = self.start(words, told, {"NURSERY_LEARNS": str(names)}).wait()
        self.answer({"imports": names.read_text().split() if names.exists() else []})
        return code

    def start(
        self,
        words: Sequence[str],
        told: Path,
        environment: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> Child:
        """A run whose standard error goes to `told`; limits: of `resource`, by name ("FSIZE")."""
        told.parent.mkdir(parents=True, exist_ok=True)
        job = {"words": list(words), "told": str(told), "environment": environment or {}, "limits": limits or {}}
        return Child(self, self.answer(job), told)


def main() -> int:
    """Serve until the standard input ends; in a child: the run, whose exit code is returned or raised."""
    answers = os.fdopen(os.dup(1), "w")
    ended: dict[int, int] = {}
    while line := sys.stdin.readline():
        job = json.loads(line)
        if "poll" in job:
            while (found := _ended()) is not None:
                ended[found[0]] = found[1]
            answer = ended.pop(job["poll"], None)
        elif "imports" in job:
            answer = sum(map(_imported, job["imports"]))
        elif (answer := os.fork()) == 0:
            answers.close()
            return _become(job)
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _ended() -> tuple[int, int] | None:
    """A child that has ended, and its exit code."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def _imported(name: str) -> bool:
    """Whether a module can be imported by its name; those that run something are left out."""
    if name.rpartition(".")[2] == "__main__":
        return False
    try:
        importlib.import_module(name)
    except Exception:
        return False
    return True


def _become(job: Mapping[str, Any]) -> int:
    """The process that `python WORDS` would be."""
    os.setsid()
    null, told = os.open(os.devnull, os.O_RDWR), os.open(job["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for number, target in ((0, null), (1, null), (2, told)):
        os.dup2(target, number)
    words = job["words"]
    for name, most in job["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    os.environ.update(job["environment"])
    if "NURSERY_LEARNS" in os.environ:
        atexit.register(lambda: Path(os.environ["NURSERY_LEARNS"]).write_text("\n".join(sys.modules)))
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<program>", "exec"), {"__name__": "__main__"})
        return 0
    sys.argv = [words[1], *words[2:]]
    runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
