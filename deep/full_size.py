"""`python -m deep.full_size`: everything that wants a GPU, in pieces that stop in time and go on when called again.

Correctness against the CPU, steps with their kernels and memory, then the full-size runs one after another. Each call
takes `--minutes`; what has ended is left out by the next one. `--tiny` rehearses the same pieces on any machine.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 120.0
"""Seconds that an interrupted run has to write its checkpoint before it is killed."""
LEAST = 20.0
"""Seconds below which no piece is begun."""


@dataclass(frozen=True)
class Piece:
    """A command with a name; `resumes`: it goes on by itself where it was stopped, else it is made again."""

    name: str
    command: tuple[str, ...]
    resumes: bool = True


def pieces(out: Path, tiny: bool) -> list[Piece]:
    """All of them, in order; `tiny` takes presets that last seconds."""
    runs = ("--out", str(out), "--resume")
    fast = () if tiny else ("--amp", "bf16", "--graphs")
    steps = ("LSTM split gated float32, train alone", "--steps", "1", "--device", "cpu") if tiny else ("--steps", "20")
    size = {"preset": "smoke", "data": "topics"} if tiny else {"preset": "paper", "data": "ptb"}

    def lstm(name: str, *more: str) -> Piece:
        return Piece(
            f"lstm-{name}",
            ("deep", "lstm", "--preset", size["preset"], "--data", size["data"], *more, "--seed", "3", *fast, *runs),
        )

    def cnn(name: str, *more: str) -> Piece:
        shown = ("--preset", "smoke", "--data", "digits") if tiny else ("--data", "cifar10", "--amp", "bf16")
        return Piece(f"cnn-{name}", ("deep", "cnn", *shown, *more, *runs))

    correct = ("tests/hyperopt_hn/nn/test_on_cuda.py",) if tiny else ()
    split = ("--response", "split", "--form", "lowrank", "--spread", "2", "--box", "3.5")
    return [
        Piece("correctness", ("pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *correct), resumes=False),
        Piece("steps", ("tests.bench.steps", *steps, "--out", str(out / "steps.json")), resumes=False),
        lstm("split", *split),
        lstm("delta", "--response", "delta"),
        lstm("stn"),
        Piece("table1", ("deep", "table1", "--preset", size["preset"], "--data", size["data"], *runs)),
        cnn("alexnet-stn", *(() if tiny else ("--preset", "paper"))),
        cnn("alexnet-delta", *(("--response", "delta") if tiny else ("--preset", "delta"))),
        cnn("alexnet-split", *(split if tiny else ("--preset", "split"))),
        cnn(
            "resnet18-split", *(("--model", "small", *split) if tiny else ("--preset", "split", "--model", "resnet18"))
        ),
    ]


def run(out: Path, minutes: float, tiny: bool, only: Sequence[str] = ()) -> int:
    """Work through the pieces until the time is over; 1 if one failed, else 0. Says what is left."""
    out.mkdir(parents=True, exist_ok=True)
    ends, failed, left = time.monotonic() + 60 * minutes, [], []
    for piece in pieces(out, tiny):
        done, log = out / f"{piece.name}.done", out / f"{piece.name}.log"
        if done.exists() or (only and piece.name not in only):
            continue
        remaining = ends - time.monotonic()
        if remaining < LEAST:
            left.append(piece.name)
            continue
        print(f"{piece.name}: python -m {' '.join(piece.command)}", flush=True)
        code = _for(remaining, piece, log)
        if code is None or code == 130:
            left.append(piece.name)
            print(f"{piece.name}: stopped in time; {'goes on' if piece.resumes else 'is made again'} next time")
        elif code:
            failed.append(piece.name)
            print(f"{piece.name}: failed with exit code {code}, see {log}")
        else:
            done.touch()
            print(f"{piece.name}: done, see {log}")
    print(f"left: {', '.join(left)}; call again" if left else "nothing is left" if not failed else "the rest is done")
    return int(bool(failed))


def _for(seconds: float, piece: Piece, log: Path) -> int | None:
    """A piece's exit code; None where its time was over and it did not end by itself."""
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-m", *piece.command], stdout=file, stderr=subprocess.STDOUT)
        try:
            return _code(process.wait(seconds), piece)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait(GRACE)
            raise
        try:
            return process.wait(GRACE) or None
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None


def _code(code: int, piece: Piece) -> int:
    """pytest's 5, no test where there is no GPU, is no failure."""
    return 0 if piece.name == "correctness" and code == 5 else code


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deep.full_size", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/full-size"), help="folder of runs, logs and marks")
    parser.add_argument("--minutes", type=float, default=9.0, help="time of this call (default: 9)")
    parser.add_argument("--tiny", action="store_true", help="the same with networks that last seconds, on any machine")
    parser.add_argument("--only", default="", help="names of pieces, comma-separated")
    given = parser.parse_args(arguments)
    names = [piece.name for piece in pieces(given.out, given.tiny)]
    only = [name for name in given.only.split(",") if name]
    for name in only:
        if name not in names:
            parser.error(f"there is no piece {name!r}; there are: {', '.join(names)}")
    if not given.minutes > 0:
        parser.error("--minutes must be above 0")
    try:
        return run(given.out, given.minutes, given.tiny, only)
    except KeyboardInterrupt:
        print("interrupted; call again to go on")
        return 130


if __name__ == "__main__":
    sys.exit(main())
