"""What a run says: a bar on a terminal with λ and losses, none elsewhere; one line per evaluation always."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from hyperopt_hn.runs.display.lines import describe, fitted, most_moved
from hyperopt_hn.runs.display.progress import Progress
from tests.support.paths import ROOT

SCRIPT = """
import time
from hyperopt_hn.runs.display.progress import Progress
bar = Progress("walk", 40)
for step in range(1, 41):
    time.sleep(0.01)
    bar.step()
    if step % 10 == 0:
        bar.evaluated({"step": step, "valid_loss": 1.0 / step, "test_mse": 2.0, "hypers": {"rate": 0.25}})
bar.close()
"""


def test_a_terminal_gets_a_bar_with_rate_time_left_lambda_and_loss():
    """A real pseudo-terminal, 120 columns wide."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=side, stderr=side, cwd=ROOT)
    os.close(side)
    said = b""
    while True:
        try:
            said += os.read(main, 4096)
        except OSError:  # the other side is closed: how Linux ends a terminal
            break
    os.close(main)
    assert process.wait() == 0
    text = said.decode()
    assert "step/s" in text and "<" in text and "40/40" in text
    assert "valid_loss 0.1  rate=0.25" in text
    assert "walk step 40/40  valid_loss 0.025  test_mse 2  rate=0.25" in text


def test_elsewhere_only_the_lines():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 4


def test_quiet_says_nothing(capsys):
    bar = Progress("walk", 2, quiet=True)
    bar.step()
    bar.evaluated({"step": 1, "valid_loss": 1.0, "hypers": {}})
    bar.close()
    assert capsys.readouterr() == ("", "")


def test_many_hyperparameters_are_cut_and_vectors_summarised():
    record = {"step": 1, "valid_loss": 0.5, "hypers": {f"h{i}": float(i) for i in range(33)}}
    assert "h29=29" in describe(record) and "… 3 more" in describe(record) and "h30" not in describe(record)
    assert "decay=0.1..0.2..0.3" in describe({"hypers": {"decay": {"min": 0.1, "mean": 0.2, "max": 0.3}}})


def test_a_run_without_a_limit_in_steps_tells_none(capsys):
    record = {"step": 10, "valid_loss": 0.5, "hypers": {}}
    for total, said in ((40, "walk step 10/40  "), (10**9, "walk step 10  ")):
        Progress("walk", total).evaluated(record)
        assert capsys.readouterr().out.startswith(said)


def test_further_numbers_stand_before_a_records_own(capsys):
    record = {"step": 1, "valid_loss": 2.0, "hypers": {f"h{i}": 0.5 for i in range(26)}}
    Progress("walk", 3, derived=lambda r: {"valid_perplexity": r["valid_loss"] + 1}).evaluated(record)
    out = capsys.readouterr().out
    assert "valid_perplexity 3  valid_loss 2" in out and "h25=0.5" in out, "every hyperparameter is told"


ELEVEN = """
import time
from hyperopt_hn.runs.display.progress import Budget, Progress
start = time.monotonic()
budget = Budget(1.0, lambda: time.monotonic() - start)
bar = Progress("compare-cnn/stn", 10**8, budget=budget)
for step in range(1, 41):
    time.sleep(0.01)
    bar.step()
    if step % 10 == 0:
        hypers = {f"dropout{i}": 0.3 + (step - 10) * i / 100 for i in range(11)}
        bar.evaluated({"step": step, "train_loss": 0.3, "valid_loss": 1 / step, "test_loss": 2.0, "hypers": hypers})
bar.close()
"""


def on_a_terminal(script: str, columns: int) -> list[str]:
    """What a script shows on a real pseudo-terminal, every redrawing a line of its own."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=side, stderr=side, cwd=ROOT)
    os.close(side)
    shown = b""
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:
            break
    os.close(main)
    assert process.wait() == 0
    return [part.rstrip() for line in shown.decode().replace("\r\n", "\n").split("\n") for part in line.split("\r")]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_time_budget_is_shown_in_seconds_and_lines_fit_the_terminal(columns):
    shown = on_a_terminal(ELEVEN, columns)
    assert all(len(line) <= columns for line in shown)
    bars = [line for line in shown if "|" in line]
    assert bars and all(re.search(r"%\|.{20}\|", line) for line in bars), "a bar of 20 columns"
    assert any(re.search(r"\d/1 ?s", line) for line in bars) and not any("100000000" in line for line in shown)
    last = [line for line in shown if "40" in line and "%" not in line][-1]
    assert "0.025" in last and "test" in last and "dropout10=3.3" in last, "loss, test and what moved most"
    if columns >= 80:
        assert "dropout9=3" in last and "dropout8=2.7" in last and "dropout7" not in last


def test_what_moved_most_is_relative_to_the_start():
    start = {"a": 1.0, "b": 1e-4, "c": {"min": 0.0, "mean": 2.0, "max": 3.0}, "d": 0.0}
    now = {"a": 1.5, "b": 2e-4, "c": {"min": 0.0, "mean": 2.1, "max": 3.0}, "d": 0.0}
    assert most_moved(start, now) == ["b", "a", "c", "d"]


def test_a_fitted_line_leaves_out_whole_words():
    record = {"step": 1, "train_loss": 0.125, "valid_loss": 0.25, "test_loss": 0.5, "hypers": {"a": 1.0, "b": 2.0}}
    for width in range(120):
        words = fitted(record, {"valid_perplexity": 1.284}, ["b", "a"], width).split("  ")
        assert len("  ".join(words)) <= width
        whole = {"", "valid_perplexity 1.284", "train_loss 0.125", "valid_loss 0.25", "test_loss 0.5", "b=2", "a=1"}
        assert set(words) <= whole
    assert fitted(record, {}, ["b", "a"], 26, compact=True) == "valid 0.25  test 0.5  b=2"


def test_a_closed_terminal_does_not_end_a_run(monkeypatch):
    """EIO is what a terminal that is gone answers."""

    class Gone(io.StringIO):
        def write(self, text):
            raise OSError(5, "Input/output error")

        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Gone())
    monkeypatch.setattr(sys, "stderr", Gone())
    bar = Progress("walk", 2)
    bar.step()
    bar.evaluated({"step": 1, "valid_loss": 1.0, "hypers": {"a": 1.0}})
    bar.close()


def test_an_ascii_terminal_gets_letters_spelled(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    Progress("Δ", 2).say("λ")
    assert out.buffer.getvalue() == b"lambda\n"  # type: ignore[attr-defined]
