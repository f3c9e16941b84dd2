"""Damaged checkpoints and records: the generation before takes over bit for bit, or the refusal names the file."""

import json
import random
import re
import shutil
import warnings

import pytest

from hyperopt_hn import Alternation, NonFiniteError, Run, RunLog, UserError, alternate
from hyperopt_hn.errors import NewerError, UnreadError
from hyperopt_hn.files import signed_archives, states
from hyperopt_hn.runs import generations
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.runs.sinks import CSV
from tests.support.recording import RecordingTuner

CONFIG = {"experiment": "walk", "config": {"steps": 1}}
PLAN = Alternation(steps=20, tune_per_cycle=0, evaluate_every=2, checkpoint_every=3)


def run(path, tuner=None, sinks=(), **flags):
    log = RunLog(path, CONFIG, sinks=sinks, **flags)
    return alternate(tuner or RecordingTuner(), PLAN, log, Progress("walk", PLAN.total, quiet=True))


def record(path):
    return {name: (path / name).read_bytes() for name in ("log.jsonl", "arrays.npz", "best.npz")}


@pytest.fixture
def cut(tmp_path):
    """A run that stopped at step 14: checkpoints of steps 12 and 9, records of 0, 2, ..., 12."""
    with pytest.raises(NonFiniteError):
        run(tmp_path / "cut", RecordingTuner(nan_at=14))
    run(tmp_path / "whole")
    return tmp_path / "cut"


@pytest.mark.parametrize("codec", ["npz", "pt"])
def test_what_the_system_did_not_give_is_not_called_damaged(tmp_path, codec):
    load = states.load_state if codec == "npz" else pytest.importorskip("hyperopt_hn.nn").TORCH.load
    with pytest.raises(UnreadError, match=r"cannot be read \(Is a directory\); check the disk"):
        load(tmp_path)


def done(path):
    return states.load_state(path)["state"]["loop"]["done"]


def test_two_generations_are_kept_and_a_finished_run_has_one(cut):
    assert done(cut / "checkpoint.npz") == 12 and done(cut / "checkpoint.previous.npz") == 9
    run(cut, resume=True)
    assert record(cut) == record(cut.parent / "whole")
    assert sorted(path.name for path in cut.glob("checkpoint*")) == ["checkpoint.npz"]


@pytest.mark.parametrize("damage", ["flip", "cut", "zeros", "empty", "gone"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(cut, damage):
    file = cut / "checkpoint.npz"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    new = {"flip": bytes(data), "cut": bytes(data[:-300]), "zeros": bytes(len(data)), "empty": b"", "gone": None}[
        damage
    ]
    if new is None:
        file.unlink()
    else:
        file.write_bytes(new)
    tuner = RecordingTuner()
    with pytest.warns(UserWarning, match="goes on from the checkpoint before it") as said:
        run(cut, tuner, resume=True)
    assert len(said) == 1 and "checkpoint.npz" in str(said[0].message) and "\n" not in str(said[0].message)
    assert len(tuner.calls) == 20 - 9, "it went on from another step"
    assert record(cut) == record(cut.parent / "whole")


def test_a_second_kill_after_the_fall_back_finds_two_whole_generations(cut):
    (cut / "checkpoint.npz").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="goes on"), pytest.raises(NonFiniteError):
        run(cut, RecordingTuner(nan_at=13), resume=True)
    assert done(cut / "checkpoint.npz") == 12 and done(cut / "checkpoint.previous.npz") == 9
    run(cut, resume=True)
    assert record(cut) == record(cut.parent / "whole")


def test_a_record_that_lost_its_end_falls_back_where_the_older_one_fits(cut):
    size = states.load_state(cut / "checkpoint.previous.npz")["log_bytes"]
    with open(cut / "log.jsonl", "r+b") as file:
        file.truncate(size + 5)
    with pytest.warns(UserWarning, match=r"log\.jsonl has lost its end.*goes on"):
        run(cut, resume=True, sinks=[CSV()])
    assert record(cut) == record(cut.parent / "whole")
    assert b"\0" not in (cut / "log.jsonl").read_bytes()
    assert len((cut / "record.csv").read_text().splitlines()) == 1 + len(Run(cut).records)


@pytest.mark.parametrize("name", ["log.jsonl", "clock.jsonl"])
@pytest.mark.parametrize("damage", ["shorter", "altered", "gone"])
def test_a_record_that_fits_neither_is_refused_in_one_line_with_the_remedy(cut, name, damage):
    file = cut / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[:20] if damage == "shorter" else data[:10].replace(b"0", b"1") + data[10:])
    before = sorted((path.name, path.stat().st_size) for path in cut.iterdir())
    with pytest.raises(UserError, match=re.escape(name)) as caught:
        run(cut, resume=True)
    assert "\n" not in str(caught.value) and "overwrite=True" in str(caught.value)
    assert "--overwrite" in caught.value.typed
    assert sorted((path.name, path.stat().st_size) for path in cut.iterdir()) == before, "a refusal changed something"
    if damage == "altered":
        file.write_bytes(data)
        run(cut, resume=True)
        assert record(cut) == record(cut.parent / "whole")


def test_a_newer_checkpoint_is_no_damage(cut, monkeypatch):
    monkeypatch.setattr(states, "FORMAT", 9)
    with open(cut / "checkpoint.npz", "wb") as out:
        states.save_state(out, {})
    monkeypatch.undo()
    with pytest.raises(NewerError, match="update hyperopt_hn"):
        run(cut, resume=True)
    assert done(cut / "checkpoint.previous.npz") == 9


def test_checkpoints_of_earlier_versions_go_on(cut, monkeypatch):
    """Format 1 had no checksum, and said nothing of the record but its length."""
    whole = {k: v for k, v in states.load_state(cut / "checkpoint.npz").items() if not k.endswith("sha256")}
    monkeypatch.setattr(states, "FORMAT", 1)
    monkeypatch.setattr(signed_archives.Signed, "sign", lambda self: None)
    with open(cut / "checkpoint.npz", "wb") as out:
        states.save_state(out, whole)
    monkeypatch.undo()
    assert not signed_archives.verified(cut / "checkpoint.npz")
    run(cut, resume=True)
    assert record(cut) == record(cut.parent / "whole")


def test_of_a_thousand_flipped_bits_none_loads_silently(cut):
    file = cut / "checkpoint.npz"
    data = file.read_bytes()
    rng = random.Random(1)
    for at in (rng.randrange(8 * len(data)) for _ in range(1000)):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        file.write_bytes(damaged)
        with pytest.raises(UserError):
            states.load_state(file)


def test_the_record_is_on_disk_before_the_checkpoint_that_names_its_length(tmp_path, monkeypatch):
    """The order of the system's calls, recorded: the record's fsync, the checkpoint's, its rename, its folder's."""
    import os

    log, seen = RunLog(tmp_path / "r", CONFIG), []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda h: (seen.append(os.readlink(f"/proc/self/fd/{h}").split("/")[-1]), fsync(h))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append(f"-> {b.name}"), replace(a, b)))
    log.record({"step": 0, "valid_loss": 1.0})
    log.checkpoint({"a": 1})
    log.close()
    assert seen == ["log.jsonl", "clock.jsonl", f".checkpoint.npz.{os.getpid()}.part", "-> checkpoint.npz", "r"]


def test_a_file_system_without_hard_links_keeps_two_generations(tmp_path, monkeypatch):
    monkeypatch.setattr("os.link", lambda a, b: (_ for _ in ()).throw(PermissionError(1, "Operation not permitted")))
    with pytest.raises(NonFiniteError):
        run(tmp_path / "cut", RecordingTuner(nan_at=14))
    assert done(tmp_path / "cut" / "checkpoint.previous.npz") == 9


def test_starting_again_leaves_no_older_generation(cut):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log = RunLog(cut, CONFIG, overwrite=True)
        log.close()
    assert not list(cut.glob("checkpoint*")) and json.loads((cut / "config.json").read_text())["experiment"] == "walk"
    assert generations.resume(cut, generations.NPZ) is None
    shutil.rmtree(cut)


@pytest.mark.parametrize("name", [".lock", "log.jsonl", "clock.jsonl", "config.json", "checkpoint.npz", "best.npz",
                                  "checkpoint.previous.npz", "arrays.npz", "result.json", "record.csv"])  # fmt: skip
def test_links_in_a_runs_folder_are_not_followed_for_writing(tmp_path, name):
    (tmp_path / "thesis").write_bytes(b"years of work")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / name).symlink_to(tmp_path / "thesis")
    try:
        run(tmp_path / "r", overwrite=True, sinks=[CSV()])
    except UserError as refused:
        assert name in (".lock", "log.jsonl", "clock.jsonl") and "\n" not in str(refused)
    assert (tmp_path / "thesis").read_bytes() == b"years of work"
