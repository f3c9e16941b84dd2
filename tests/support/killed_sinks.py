"""`python killed_sinks.py FOLDER WHERE NUMBER`: a run with a recording sink that kills itself at a place, else ends.

WHERE: "step" (in the NUMBER-th training step of this sitting), "before" or "after" (the sink's NUMBER-th record),
"checkpoint" (before the NUMBER-th checkpoint is written), "finish" (between the sinks' last record and result.json).
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hyperopt_hn import Alternation, RunLog, alternate
from hyperopt_hn.runs import writer
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.runs.sinks import CSV, TensorBoard
from tests.support.recording import RecordingTuner

FOLDER, WHERE, NUMBER = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
counts: dict[str, int] = {}


def passing(place: str) -> None:
    counts[place] = counts.get(place, 0) + 1
    if place == WHERE and counts[place] == NUMBER:
        os.kill(os.getpid(), signal.SIGKILL)


class Lines:
    """A sink that cannot take anything back: what it has is the lines of a file outside the run."""

    def open(self, run, records):
        self.file = open(FOLDER / "lines", "a+")  # noqa: SIM115  open for the life of the run
        self.file.seek(0)
        return len(self.file.readlines())

    def record(self, entry):
        passing("before")
        self.file.write(json.dumps(entry) + "\n")
        self.file.flush()
        passing("after")

    def close(self):
        self.file.close()


class Killed(RecordingTuner):
    def train_step(self):
        passing("step")
        return super().train_step()


def save(file, state):
    passing("checkpoint")
    writer.NPZ.save(file, state)


def write_json(path, data):
    if path.name == "result.json":
        passing("finish")
    original(path, data)


original, writer.atomic.write_json = writer.atomic.write_json, write_json
codec = writer.Codec("npz", save, writer.NPZ.load)
sinks = [Lines(), CSV()] + ([TensorBoard()] if len(sys.argv) > 4 else [])
log = RunLog(FOLDER / "run", {"config": {}}, (FOLDER / "run").exists(), codec=codec, sinks=sinks)
plan = Alternation(steps=12, tune_per_cycle=0, evaluate_every=1, checkpoint_every=5)
alternate(Killed(), plan, log, Progress("run", 12, quiet=True))
