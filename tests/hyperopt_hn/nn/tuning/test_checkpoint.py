"""Checkpoints: everything comes back bit for bit, a killed run goes on as if nothing had happened, and foreign,
old, damaged or misfitting files get one clear line."""

from __future__ import annotations

import copy
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, Run, RunLog, UserError, alternate  # noqa: E402
from hyperopt_hn.nn import convert  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.setup.hypers import Hypers  # noqa: E402
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem  # noqa: E402
from hyperopt_hn.nn.tuning import checkpoint, codec  # noqa: E402
from hyperopt_hn.nn.tuning.codec import TORCH, load_checkpoint, save_checkpoint  # noqa: E402
from hyperopt_hn.nn.tuning.tuner import TorchTuner  # noqa: E402
from hyperopt_hn.runs.display.progress import Progress  # noqa: E402
from tests.hyperopt_hn.nn.tuning.test_tuner import build, data, space_of_three, train_loss, valid_loss  # noqa: E402
from tests.support import killed_tuner as killed  # noqa: E402


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def steps(tuner, count=4):
    out = []
    for _ in range(count):
        out += [tuner.train_step(), tuner.tune_step(), tuner.evaluate()]
    return out


@pytest.mark.parametrize("response", ["stn", "delta", "implicit"])
def test_state_brings_everything_and_the_next_steps_back(response, tmp_path):
    """Facts 5.12: φ, λ̂, ρ, optimizers, schedulers, random streams, positions; through a file."""
    make = (lambda: build(response)) if response == "implicit" else (lambda: killed.make(response))
    tuner = make()
    steps(tuner)
    save_checkpoint(tmp_path / "a.pt", tuner.state())
    wanted = steps(tuner)
    end = tuner.state()
    other = make()
    steps(other, 1)
    torch.manual_seed(123)
    other.load_state(load_checkpoint(tmp_path / "a.pt"))
    assert steps(other) == wanted
    assert equal(other.state(), end)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("response", ["stn", "delta"])
def test_on_cuda_the_next_steps_come_back_under_the_deterministic_switch(response, tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        tuner, other = (killed.make(response, device="cuda") for _ in range(2))
        steps(tuner)
        save_checkpoint(tmp_path / "a.pt", tuner.state())
        wanted = steps(tuner)
        other.load_state(load_checkpoint(tmp_path / "a.pt"))
        assert steps(other) == wanted
        assert equal(other.state(), tuner.state())
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_loaded_state_is_not_touched_by_later_steps():
    tuner = killed.make("stn")
    steps(tuner)
    state = tuner.state()
    kept = copy.deepcopy(state)
    wanted = steps(tuner)
    assert equal(state, kept)
    for _ in range(2):
        tuner.load_state(state)
        assert steps(tuner) == wanted
        assert equal(state, kept)


def test_global_random_numbers_of_python_numpy_and_torch_come_back():
    tuner = build()
    random.seed(3)
    np.random.seed(4)
    state = tuner.state()
    wanted = [random.random(), np.random.rand(), torch.rand(1).item()]
    tuner.load_state(state)
    assert [random.random(), np.random.rand(), torch.rand(1).item()] == wanted


@pytest.mark.parametrize("response", ["stn", pytest.param("delta", marks=pytest.mark.slow)])
def test_a_run_killed_at_a_random_step_goes_on_bit_for_bit(response, tmp_path, one_thread):
    """A real SIGKILL in another process; the record, the arrays and the last checkpoint end as if it had not been."""
    root = ROOT
    calls = {"stn": 2, "delta": 4}[response] * killed.PLAN.steps
    kill_at = random.SystemRandom().randrange(2, calls)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.support.killed_tuner",
        str(tmp_path / "b"),
        response,
        str(kill_at),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "b" / "result.json").exists()
    whole = killed.run(tmp_path / "a", response)
    resumed = killed.run(tmp_path / "b", response, resume=True)
    assert equal(whole.state(), resumed.state()), f"killed at call {kill_at}"
    for name in ("log.jsonl", "arrays.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), f"{name}, call {kill_at}"
    ours, theirs = (codec.load(tmp_path / run / "best.pt") for run in "ab")
    assert equal(ours, theirs)
    assert Run(tmp_path / "b").finished


def test_files_load_with_weights_only(tmp_path):
    tuner = killed.make("stn")
    steps(tuner, 1)
    save_checkpoint(tmp_path / "a.pt", tuner.state())
    whole = torch.load(tmp_path / "a.pt", weights_only=True)
    assert whole["state"]["kind"] == checkpoint.KIND


def test_the_best_state_brings_back_lambda_with_the_weights(tmp_path):
    """Facts 2.8 C2: what is reported for the best evaluation is what the restored weights AND λ̂ give."""
    tuner = killed.run(tmp_path / "a", "stn")
    best = Run(tmp_path / "a").result["best"]
    tuner.load_state(codec.load(tmp_path / "a" / "best.pt"))
    found = tuner.evaluate()
    assert {key: best[key] for key in found} == found
    assert best["hypers"] == tuner.hypers()


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    tuner = build()
    save_checkpoint(tmp_path / "a.pt", tuner.state())
    old = (tmp_path / "a.pt").read_bytes()

    def half(whole, file):
        file.write(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path / "a.pt", tuner.state())
    assert (tmp_path / "a.pt").read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_objects_are_refused_when_saving(tmp_path):
    with pytest.raises(TypeError, match="tensors and plain data, not PosixPath"):
        save_checkpoint(tmp_path / "a.pt", {"where": tmp_path})
    assert not list(tmp_path.iterdir())
    save_checkpoint(tmp_path / "a.pt", {"loss": np.float64(0.5), "count": (np.int64(3),)})
    found = load_checkpoint(tmp_path / "a.pt")
    assert found == {"loss": 0.5, "count": (3,)}
    assert type(found["loss"]) is float


def test_damaged_foreign_and_newer_files_get_one_line(tmp_path):
    tuner = build()
    path = tmp_path / "a.pt"

    def refused(match):
        with pytest.raises(UserError, match=match) as caught:
            tuner.load_state(load_checkpoint(path))
        assert "\n" not in str(caught.value)

    refused("is missing")
    path.write_bytes(b"")
    refused("damaged or no checkpoint")
    path.write_bytes(b"not a checkpoint at all")
    refused("damaged or no checkpoint")
    save_checkpoint(path, tuner.state())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("damaged or no checkpoint")
    torch.save({"model": nn.Linear(2, 2).state_dict()}, path)
    refused("no checkpoint of this program")
    torch.save(nn.Linear(2, 2), path)
    refused("damaged or no checkpoint")
    torch.save({"kind": codec.KIND, "format": 99, "state": {}}, path)
    refused("format 99, newer than")
    save_checkpoint(path, {"kind": "something else"})
    refused("no checkpoint of a TorchTuner")
    save_checkpoint(path, tuner.state() | {"version": 99})
    refused("newer than 2; update hyperopt_hn")
    save_checkpoint(path, {k: v for k, v in tuner.state().items() if k != "noise"})
    refused("lacks noise")


def test_any_flipped_or_cut_byte_is_an_error_or_harmless(tmp_path):
    tuner = build()
    path = tmp_path / "a.pt"
    save_checkpoint(path, tuner.state())
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        if rng.random() < 0.5:
            damaged = damaged[: rng.randrange(len(damaged))]
        else:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            state = load_checkpoint(path)
        except UserError:
            continue
        assert isinstance(state, dict)


def other_net(width=16, extra=False, space=None, response="stn", optimizer=torch.optim.SGD):
    space = space or space_of_three()
    layers = [nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(), nn.Linear(width, 2)]
    model = convert(nn.Sequential(*layers, *([nn.Linear(2, 2)] if extra else [])), space)
    hypers = Hypers(space)
    problem = TorchProblem(train_loss, valid_loss, Batches.of(data(0), 16, 1), Batches.of(data(1), 16, 2))
    optimizers = Optimizers(optimizer(model.parameters(), 0.1), torch.optim.Adam([hypers.lam], 0.1))
    return TorchTuner(model, hypers, problem, optimizers, response)


def test_another_architecture_space_response_or_optimizer_is_named():
    state = other_net().state()

    def refused(match, **kind):
        other = other_net(**kind)
        before = other.state()
        with pytest.raises(UserError, match=match):
            other.load_state(state)
        assert equal(before, other.state()), "a refused checkpoint changed something"

    refused(r"another model: '0.weight' is \(16, 6\) torch.float32 in the checkpoint, \(8, 6\)", width=8)
    refused("another model: it lacks '5.weight'", extra=True)
    names = HyperSpace([Hyper(n, 0.2, 0.0, 0.9) for n in ("dropout", "decay", "smoth")])
    refused(r"tuned hyperparameters \['dropout', 'decay', 'smooth'\]", space=names)
    refused("response 'STN', this tuner 'Delta'", response="delta")
    refused(r"optimizers and schedulers \['SGD 16'", optimizer=torch.optim.Adam)


def test_alternate_refuses_a_checkpoint_of_another_model(tmp_path):
    log = RunLog(tmp_path / "a", {"config": {}}, codec=TORCH)
    log.checkpoint(
        {"loop": {"done": 1, "best": {}, "final": {}, "stale": 0, "losses": {}}, "tuner": other_net(8).state()}
    )
    log.close()
    log = RunLog(tmp_path / "a", {"config": {}}, resume=True, codec=TORCH)
    with pytest.raises(UserError, match=r"does not fit this experiment .*'0.weight'"):
        alternate(build(), killed.PLAN, log, Progress("x", 1, quiet=True))
    log.close()


def test_a_state_of_version_1_goes_on():
    """It spelled the optimizers "optimisers" and had no gain."""
    tuner = build()
    tuner.train_step()
    new = tuner.state()
    old = {{"optimizers": "optimisers"}.get(k, k): v for k, v in new.items() if k != "gain"} | {"version": 1}
    wanted = [tuner.train_step(), tuner.hypers()]
    other = build()
    other.load_state(old)
    assert [other.train_step(), other.hypers()] == wanted


def test_of_a_thousand_flipped_bits_none_loads_silently(tmp_path):
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"a": torch.arange(400.0), "b": [1, 2.5, "three"], "c": {"d": torch.zeros(3)}})
    whole = path.read_bytes()
    rng = random.Random(2)
    for at in (rng.randrange(8 * len(whole)) for _ in range(1000)):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            load_checkpoint(path)


def test_a_file_of_format_1_has_no_checksum_and_loads(tmp_path):
    torch.save({"kind": codec.KIND, "format": 1, "state": {"a": torch.arange(3)}}, tmp_path / "a.pt")
    assert load_checkpoint(tmp_path / "a.pt")["a"].tolist() == [0, 1, 2]
    torch.save({"kind": codec.KIND, "format": 2, "state": {"a": torch.arange(3)}}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="its checksum is missing"):
        load_checkpoint(tmp_path / "a.pt")


class Full:
    """A file on a full disk: the first bytes are taken."""

    def __init__(self, room):
        self.room = room

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return len(data)

    def flush(self):
        pass


@pytest.mark.parametrize("room", [0, 10, 700, 2000])
def test_a_full_disk_is_the_systems_own_error_not_torchs(room):
    with pytest.raises(OSError, match="No space left"):
        codec.save(Full(room), {"a": torch.zeros(5000)})


def test_what_unfolds_into_far_more_than_the_file_holds_is_refused(tmp_path):
    import zipfile

    path = tmp_path / "a.pt"
    nest = [0]
    for _ in range(40):
        nest = [nest, nest]  # 2^40 numbers to whoever copies it
    for state in ({"a": nest}, {"a": torch.zeros(1).expand(10**12)}):
        torch.save({"kind": codec.KIND, "format": 1, "state": state}, path)
        with pytest.raises(UserError, match="claims far more"):
            load_checkpoint(path)
    torch.save({"kind": codec.KIND, "format": 1, "state": {"a": torch.zeros(10**7)}}, tmp_path / "b.pt")
    with zipfile.ZipFile(tmp_path / "b.pt") as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(UserError, match="claims 4000"):
        load_checkpoint(path)


def test_a_tensor_that_repeats_its_elements_comes_back(tmp_path):
    save_checkpoint(tmp_path / "a.pt", {"a": torch.ones(1).expand(1000, 7)})
    assert torch.equal(load_checkpoint(tmp_path / "a.pt")["a"], torch.ones(1000, 7))
