"""Processes side by side: order, places, failures."""

from __future__ import annotations

import sys

from hyperopt_hn.cli.jobs import SLOT, Job, run_jobs


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
