"""Two gloo processes under torchrun are one process with the doubled batch; λ̂ is the same on all ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.paths import ROOT

torch = pytest.importorskip("torch")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("this torch has no gloo", allow_module_level=True)

from hyperopt_hn import Run  # noqa: E402
from hyperopt_hn.nn.tuning.codec import load_checkpoint  # noqa: E402
from tests.hyperopt_hn.nn.tuning.test_checkpoint import equal  # noqa: E402
from tests.support import ranks, ranks_stopped  # noqa: E402


@pytest.fixture(scope="module")
def parallel_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "tests.support.ranks", str(folder)]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | (
        {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    )
    root = ROOT
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def both(folder, case):
    return [load_checkpoint(folder / f"{case}.{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", ["stn", "delta", "implicit", "wrapped"])
def test_two_processes_are_one_with_the_doubled_batch(parallel_run, case):
    first, second = both(parallel_run, case)
    assert equal(first["state"]["hypers"], second["state"]["hypers"])
    assert equal(first["state"]["model"], second["state"]["model"])
    assert first["losses"] == second["losses"]
    tuner = ranks.make("stn" if case == "wrapped" else case, 16)
    losses = ranks.steps(tuner)
    assert first["losses"] == pytest.approx(losses, rel=1e-5)
    alone = tuner.state()
    for part in ("hypers", "model"):
        for name, tensor in alone[part].items():
            assert torch.allclose(first["state"][part][name], tensor, rtol=1e-4, atol=1e-6), name
    assert torch.equal(first["state"]["noise"], alone["noise"]), "every rank draws the noise of the whole batch"


@pytest.mark.parametrize("case", ["resumed", "alternate"])
def test_lambda_and_phi_are_one_on_all_ranks_with_dropout_and_batch_norm(parallel_run, case):
    first, second = both(parallel_run, case)
    for part in ("hypers", "model", "optimizers", "random"):
        assert equal(first["state"][part], second["state"][part]) or part == "random", part
    masks = first["state"]["random"]["torch"]
    assert len(masks) == 2
    assert not torch.equal(*masks), "each rank has its own dropout masks"
    if case == "resumed":
        assert first["losses"] == second["losses"] == [1.0], "a resumed parallel run took other steps"


def test_one_rank_writes_the_run(parallel_run):
    run = Run(parallel_run / "run")
    assert run.finished
    assert run.steps.tolist() == [0, 4, 8, 12, 16, 20, 24]


def test_a_signal_to_any_rank_stops_both_within_two_steps_with_a_checkpoint(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "tests.support.ranks_stopped", str(tmp_path)]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 200
        while not (tmp_path / "outside" / "checkpoint.pt").exists() and time.monotonic() < end:
            assert launcher.poll() is None, launcher.communicate()[0].decode()[-3000:]
            time.sleep(0.1)
        launcher.send_signal(signal.SIGTERM)  # torchrun hands it to both, and kills after 30 s what is still there
        asked = time.monotonic()
        said = launcher.communicate(timeout=60)[0].decode()
    finally:
        launcher.kill()
    assert time.monotonic() - asked < 25, said[-3000:]
    first, second = (json.loads((tmp_path / f"told.{rank}.json").read_text()) for rank in range(2))
    whole = (tmp_path / "whole" / "log.jsonl").read_bytes()
    for name in ranks_stopped.SIGNALS:
        for who in range(2):
            case = f"{name}-{who}"
            stopped, saved, ended = first[case]
            assert first[case] == second[case] and ended == 20
            assert ranks_stopped.AT <= stopped == saved <= ranks_stopped.AT + 2, case
            assert (tmp_path / case / "log.jsonl").read_bytes() == whole, case
    assert first["seen"] and second["seen"], "a rank left alternate before the files were there"
    assert "finished run" in first["refused"] and "the first process could not begin" in second["refused"]
    assert (
        first["outside"]
        == second["outside"]
        == load_checkpoint(tmp_path / "outside/checkpoint.pt")["state"]["loop"]["done"]
    )
