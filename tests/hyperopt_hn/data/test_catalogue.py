"""Data sets by name: the embedded digits, what "auto" takes, and the helpers that make rows of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures.kit.roots import DASHED, ROOT_NAME
from hyperopt_hn.data import catalogue
from hyperopt_hn.data.catalogue import flat_rows, load, one_hot
from hyperopt_hn.data.mnist import IdxSet
from hyperopt_hn.errors import UserError
from tests.support.tiny_mnist import install, lay, same


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> IdxSet:
    return install(monkeypatch, tmp_path)


def test_digits() -> None:
    digits = load("digits", "/a/folder/that/is/not/asked/for", download=False)
    assert digits.train_images.shape == (1500, 8, 8) and digits.test_images.shape == (297, 8, 8)
    assert digits.train_labels.shape == (1500,) and digits.test_labels.shape == (297,)
    assert digits.train_images.max() == digits.scale == 16.0 and digits.train_images.dtype == np.uint8
    assert list(digits.train_labels[:10]) == list(range(10)), "the file's order is kept"
    assert np.bincount(digits.test_labels).min() >= 27, "every class is tested"
    assert digits.sha256 == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    with pytest.raises(ValueError, match="read-only"):
        digits.train_images[0] = 0


def test_auto_takes_mnist_when_it_is_there(tiny: IdxSet, tmp_path: Path) -> None:
    same(load("auto", lay(tmp_path)))


def test_auto_falls_back_and_says_so(tiny: IdxSet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = load("auto", tmp_path)
    assert images.name == "digits"
    assert images.note == ("scikit-learn's digits (embedded): MNIST was not on disk and could not be fetched")
    assert "going on with digits" in caplog.text
    assert load("auto", tmp_path, download=False).note.endswith("MNIST was not on disk")


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.sampled_from([16.0, 255.0]))
def test_flat_keeps_order_and_bounds(n: int, height: int, width: int, channels: int, scale: float) -> None:
    shape = (n, height, width, channels) if channels else (n, height, width)
    images = np.random.default_rng(n).integers(0, int(scale) + 1, shape).astype(np.uint8)
    rows = flat_rows(images, scale)
    assert rows.dtype == np.float64 and rows.shape == (n, images[0].size)
    assert rows.min() >= 0.0 and rows.max() <= 1.0
    np.testing.assert_array_equal(np.rint(rows * scale).astype(np.uint8).reshape(shape), images)


def test_one_hot() -> None:
    rows = one_hot(np.array([2, 0, 1], dtype=np.uint8), 4)
    np.testing.assert_array_equal(rows, [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    assert rows.dtype == np.float64 and one_hot(np.zeros(0, dtype=np.uint8), 3).shape == (0, 3)
    with pytest.raises(UserError, match="label 4 does not fit 4 classes"):
        one_hot(np.array([4], dtype=np.uint8), 4)


def test_import_brings_in_no_heavy_library() -> None:
    heavy = "{'torch', 'autograd', 'sklearn', 'requests', 'pooch'}"
    code = f"import sys, hyperopt_hn.data.catalogue; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [*catalogue.READERS, "own.npz"])
@pytest.mark.parametrize("changed", ["", "+lr=1e-3", "+response=delta-stn+sigma=-0.5"])
def test_figures_read_every_data_sets_name_off_a_folder(name: str, changed: str) -> None:
    match = ROOT_NAME.fullmatch(f"quick{changed}-{name}-seed12")
    assert match is not None
    assert match.groupdict() == {"preset": "quick", "changed": changed or None, "data": name, "seed": "12"}
    assert set(DASHED) == {name for name in catalogue.READERS if "-" in name}
