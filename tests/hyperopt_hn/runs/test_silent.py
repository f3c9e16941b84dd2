"""The log of the other ranks: it takes part in the loop, agrees on the clock, and writes nothing."""

from hyperopt_hn import Alternation, alternate
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.runs.silent import NullLog
from tests.support.recording import RecordingTuner


def test_a_run_of_another_rank_leaves_no_file(tmp_path):
    asked = []

    def agree(seconds):
        asked.append(seconds)
        return 100.0  # the first rank's

    plan = Alternation(steps=10, tune_per_cycle=0, evaluate_every=2, max_seconds=50)
    outcome = alternate(RecordingTuner(), plan, NullLog(tmp_path / "r", None, agree), Progress("r", 10, quiet=True))
    assert outcome.reason == "time" and asked and not (tmp_path / "r").exists()
