"""What a run says: a bar on a terminal with λ and losses, none elsewhere; one line per evaluation always."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

from hyperopt_hn.runs.progress import Progress, describe
from tests.support.paths import ROOT

SCRIPT = """
import time
from hyperopt_hn.runs.progress import Progress
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
