"""Following an error's remedy word by word, from the command that was refused, works."""

import re
from dataclasses import replace

import pytest

from hyperopt_hn import Run
from hyperopt_hn.cli.launch import main
from tests.hyperopt_hn.cli.test_launch import PROGRAM, build
from tests.support.recording import RecordingTuner


class Killed(RecordingTuner):
    """Its process ends in its third training step."""

    def train_step(self):
        if self.calls.count("train") == 2:
            raise SystemExit
        return super().train_step()


class Other(RecordingTuner):
    """It does not know the states of the others."""

    def load_state(self, state):
        raise KeyError("walked")


def program(tuner=RecordingTuner):
    one = replace(PROGRAM.experiments[1], build=lambda *given: (tuner(), build(*given)[1]))
    return replace(PROGRAM, experiments=(one,))


def followed(words, error):
    """The words that were refused, changed as the remedy says."""
    remedy = re.search(r"start the run again with (--\S+), without (--\S+)\n", error)
    return [word for word in words if word != remedy[2]] + [remedy[1]]


def damaged(run, name):
    path = run / name
    path.write_bytes(path.read_bytes()[:5])


@pytest.mark.parametrize(
    ("tuner", "harm", "message"),
    [
        (Other, [], "does not fit this experiment ('walked')"),
        (RecordingTuner, ["log.jsonl"], "has lost its end"),
        (RecordingTuner, ["checkpoint.npz", "checkpoint.previous.npz"], "is damaged"),
    ],
)
def test_a_run_that_cannot_go_on_is_started_again_as_its_message_says(tmp_path, capsys, tuner, harm, message):
    words = ["two", "--data", "digits", "--out", str(tmp_path)]
    with pytest.raises(SystemExit):
        main(program(Killed), words)
    (run,) = (path.parent for path in tmp_path.rglob("config.json"))
    for name in harm:
        damaged(run, name)
    capsys.readouterr()
    again = [*words, "--resume"]
    assert main(program(tuner), again) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "=True" not in error
    assert main(program(), [*again, "--overwrite"]) == 2  # both together are refused
    assert main(program(), followed(again, error)) == 0
    assert Run(run).finished
