"""Processes side by side: order, places, failures."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hyperopt_hn.cli.jobs import PARENT, SLOT, Job, end_with_parent, run_jobs
from tests.support.paths import ROOT


def job(name, folder, after=(), code=0):
    """Notes when it starts and ends, and its place."""
    script = (
        f"import os, time, pathlib; p = pathlib.Path({str(folder / name)!r}); t = time.time(); time.sleep(0.3); "
        f"p.write_text(f\"{{t}} {{time.time()}} {{os.environ['{SLOT}']}} {{os.environ['OMP_NUM_THREADS']}}\"); "
        f"raise SystemExit({code})"
    )
    return Job(name, (sys.executable, "-c", script), after)


def test_jobs_share_places_and_wait_for_what_they_read(tmp_path):
    jobs = [job("late", tmp_path, ("early",)), job("early", tmp_path), job("other", tmp_path, ("elsewhere",))]
    assert run_jobs(jobs, 2) == 0
    found = {name: (tmp_path / name).read_text().split() for name in ("early", "late", "other")}
    assert float(found["late"][0]) >= float(found["early"][1])
    assert {found["early"][2], found["other"][2]} == {"0", "1"}


def test_what_reads_a_failed_run_is_left_out(tmp_path, capfd):
    assert run_jobs([job("early", tmp_path, code=1), job("late", tmp_path, ("early",))], 2) == 1
    assert not (tmp_path / "late").exists() and "late is left out: it needs early" in capfd.readouterr().err


def test_no_jobs():
    assert run_jobs([], 3) == 0


def test_a_killed_job_is_a_failure_and_named(tmp_path, capfd):
    killed = Job("arm/killed", (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert run_jobs([killed, job("well", tmp_path), job("late", tmp_path, ("arm/killed",))], 2) == 128 + 9
    error = capfd.readouterr().err
    assert "failed: arm/killed (ended by SIGKILL), late (exit code 1)" in error and "late is left out" in error
    assert (tmp_path / "well").exists() and not (tmp_path / "late").exists()


def test_many_more_places_than_jobs(tmp_path):
    start = time.monotonic()
    assert run_jobs([job("only", tmp_path)], 10**12) == 0
    assert time.monotonic() - start < 20 and (tmp_path / "only").read_text().split()[2] == "0"


PARENT_SCRIPT = """
import signal, sys
from hyperopt_hn.cli.jobs import Job, run_jobs
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup or in the background, where these are ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
child = '''
import pathlib, signal, sys, time
from hyperopt_hn.cli.jobs import end_with_parent
def save(number, frame):
    pathlib.Path(sys.argv[1] + ".saved").write_text(str(number)); raise SystemExit(130)
signal.signal(signal.SIGTERM, save)
end_with_parent()
pathlib.Path(sys.argv[1] + ".started").write_text("up")
time.sleep(60)
'''
names = sys.argv[1:]
raise SystemExit(run_jobs([Job(name, (sys.executable, "-c", child, name)) for name in names], len(names)))
"""


def parent(tmp_path):
    """A parent with two jobs that run, and the files in which these say what befell them."""
    names = [str(tmp_path / "one"), str(tmp_path / "two")]
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT_SCRIPT, *names], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    wait_for(*(Path(f"{name}.started") for name in names))
    return process, [Path(f"{name}.saved") for name in names]


def wait_for(*paths):
    end = time.monotonic() + 60
    while not all(path.exists() and path.stat().st_size for path in paths):
        assert time.monotonic() < end, f"{paths} did not come"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_jobs_end_with_their_parent_however_it_ends(tmp_path, number):
    process, saved = parent(tmp_path)
    process.send_signal(number)
    process.communicate(timeout=200)
    wait_for(*saved)
    assert [path.read_text() for path in saved] == [str(int(signal.SIGTERM))] * 2
    assert process.returncode != 0


def test_no_pipe_no_watch(monkeypatch):
    monkeypatch.delenv(PARENT, raising=False)
    before = threading.active_count()
    end_with_parent()
    assert threading.active_count() == before
