"""Custom images: what is written comes back, and anything else is one line."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperopt_hn.data.catalogue import load
from hyperopt_hn.data.own_images import NAMES, load_npz
from hyperopt_hn.errors import UserError
from tests.support.refusals import refused

REAL = os.environ.get("HYPEROPT_HN_DATA")
FEW = settings(max_examples=50, deadline=None)


def own(**changes: object) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {
        "train_images": rng.integers(0, 256, (6, 4, 5, 3)).astype(np.uint8),
        "train_labels": np.arange(6) % 3,
        "test_images": rng.integers(0, 256, (2, 4, 5, 3)).astype(np.uint8),
        "test_labels": np.array([2, 0], np.uint16),
    }
    return {name: np.asarray(a) for name, a in {**arrays, **changes}.items() if a is not None}


def test_own_images(tmp_path: Path) -> None:
    path = tmp_path / "my flowers-2.npz"
    np.savez_compressed(path, **own())
    images = load(str(path))
    orders = {"train": np.random.default_rng(0).permutation(6), "test": np.random.default_rng(0).permutation(2)}
    for name in NAMES:
        array = getattr(images, name)
        np.testing.assert_array_equal(array, own()[name][orders[name.partition("_")[0]]])
        assert array.dtype == np.uint8 and not array.flags.writeable
    assert images.name == "my_flowers_2.npz" and images.scale == 255.0 and re.fullmatch("[0-9a-f]{64}", images.sha256)
    np.savez(tmp_path / "b.npz", **own(train_images=np.zeros((6, 4, 5), np.uint8), test_images=np.ones((2, 4, 5), "B")))
    assert load_npz(tmp_path / "b.npz").train_images.shape == (6, 4, 5)


def test_a_file_sorted_by_class_is_shuffled_and_that_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, labels = tmp_path / "sorted.npz", np.repeat(np.arange(5), 40)
    pixels = np.broadcast_to(labels[:, None, None], (200, 4, 4)).astype(np.uint8)
    np.savez(path, train_images=pixels, train_labels=labels, test_images=pixels[::4], test_labels=labels[::4])
    images = load(str(path))
    assert len(set(images.train_labels[160:].tolist())) == 5, "all classes in the fifth that validates"
    for pictures, classes in ((images.train_images, images.train_labels), (images.test_images, images.test_labels)):
        assert (pictures == classes[:, None, None]).all(), "an image keeps its label"
    np.testing.assert_array_equal(np.bincount(images.train_labels), [40] * 5)
    assert "sorted.npz: its 200 training and 50 test images are shuffled" in caplog.text
    assert load(str(path)).sha256 == images.sha256


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_labels": None, "test_labels": None}, "lacks train_labels, test_labels"),
        ({"train_images": np.zeros((6, 4, 5, 3))}, "train_images of type float64"),
        ({"train_images": np.zeros((6, 4), np.uint8)}, "train_images of shape (6, 4)"),
        ({"test_images": np.zeros((2, 0, 5, 3), np.uint8)}, "none of them 0"),
        ({"test_images": np.zeros((2, 5, 4, 3), np.uint8)}, "make them of one shape"),
        ({"test_images": np.zeros((3, 4, 5, 3), np.uint8)}, "3 test_images but 2 test_labels"),
        ({"train_labels": np.arange(5)}, "6 train_images but 5 train_labels"),
        ({"train_labels": np.arange(6.0)}, "train_labels of type float64"),
        ({"train_labels": np.eye(6, dtype=int)}, "whole numbers (N,)"),
        ({"train_labels": np.arange(6) - 1}, "train_labels from -1 to 4"),
        ({"train_labels": np.arange(6) + 251}, "they must be in 0..255"),
        ({"test_labels": np.array([0, 3])}, "label 3 in test_labels only"),
        ({"test_labels": np.array([0, "a"], object)}, "pickled objects, which are never opened"),
    ],
)
def test_wrong_images_of_ones_own(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, **own(**changes))
    message = refused(load_npz, path)
    assert words in message and message.startswith(str(path))


def test_no_archive_at_all(tmp_path: Path) -> None:
    assert "cannot be read" in refused(load, str(tmp_path / "nowhere.npz"))
    assert "cannot be read" in refused(load, f"{tmp_path}/.npz")
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    assert "is not an npz archive" in refused(load, str(tmp_path / "a.npz"))


@FEW
@given(content=st.data())
def test_any_archive(content: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = io.BytesIO()
    np.savez_compressed(out, **own())
    whole = bytearray(out.getvalue())
    for _ in range(content.draw(st.integers(1, 3))):
        whole[content.draw(st.integers(0, len(whole) - 1))] = content.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "fuzzed.npz"
    for wrong in (bytes(whole), bytes(whole[: content.draw(st.integers(0, len(whole)))])):
        path.write_bytes(wrong)
        try:
            images = load_npz(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert images.train_images.shape == (6, 4, 5, 3) and images.test_labels.max() <= images.train_labels.max()


def peak(code: str, path: Path) -> int:
    """Bytes that a fresh process took at most for this code, which is handed the path."""
    import subprocess
    import sys

    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process's memory is read from Linux's /proc")
    told = 'open("/proc/self/status").read().split("VmHWM:")[1].split()[0]'  # since it began, unlike ru_maxrss
    program = f"import sys\n{code}\nprint(int({told}) * 1024)"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


LOAD = """
from hyperopt_hn.data.own_images import load_npz
from hyperopt_hn import UserError
try:
    load_npz(sys.argv[1])
except UserError as fault:
    assert "MB: write it with numpy.savez" in str(fault) or "for shape" in str(fault), fault
else:
    raise SystemExit("it was read")
"""


def bomb(path: Path, rows: int, header_rows: int) -> None:
    """An archive whose train_images are `rows` images of zeros, packed; its header claims `header_rows`."""
    import io
    import zipfile

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (header_rows, 1000, 1000)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("train_images.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            for _ in range(rows):
                member.write(bytes(1_000_000))
        for name, array in own().items():
            if name != "train_images":
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array)


@pytest.mark.parametrize(("rows", "header_rows"), [(600, 600), (2, 5000), (2, 10**9)])
def test_an_archive_that_claims_far_more_than_its_size_is_refused_before_it_is_unpacked(tmp_path, rows, header_rows):
    bomb(tmp_path / "a.npz", rows, header_rows)
    assert (tmp_path / "a.npz").stat().st_size < 2_200_000
    assert peak(LOAD, tmp_path / "a.npz") < 300e6
