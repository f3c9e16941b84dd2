"""CIFAR-10 and CIFAR-100 in their three forms: the right arrays, or one line that says what is wrong."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperopt_hn.data.catalogue import load
from hyperopt_hn.data.cifar import cifar
from hyperopt_hn.data.cifar.cifar import CIFAR10, CIFAR100, load_cifar, read_pickle, read_records
from hyperopt_hn.data.locate import Access, MissingData
from hyperopt_hn.errors import UserError
from tests.support.refusals import refused, refused_typed
from tests.support.tiny_cifar import SMALL, Small

REAL = os.environ.get("HYPEROPT_HN_DATA")
FEW = settings(max_examples=50, deadline=None)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, no environment variable, no mirror."""
    monkeypatch.delenv("HYPEROPT_HN_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)
    monkeypatch.setattr(cifar, "MIRRORS", ())


BOTH = pytest.mark.parametrize("name", SMALL)
FORMS = pytest.mark.parametrize("form", ["archive", "pickles", "binary"])


def access(root: Path | None = None) -> Access:
    return Access(root, download=False, timeout=1.0)


# CIFAR's three forms


@BOTH
@FORMS
def test_every_form_gives_the_same_arrays(name: str, form: str, tmp_path: Path) -> None:
    small = SMALL[name]
    images = load_cifar(small.source, access(small.lay(tmp_path / "root", form)))
    small.same(images)
    assert images.name == name and images.scale == 255.0
    assert images.sha256 == load_cifar(small.source, access(small.lay(tmp_path / "b", "binary"))).sha256
    assert ("md5 checked" in images.note) == (form != "binary") and str(tmp_path) not in images.note


def test_places_and_forms_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root before the variable; in one place the archive before the pickles before the binary files."""
    small = SMALL["cifar10"]
    root, variable = tmp_path / "root", small.lay(tmp_path / "variable", "archive")
    root.mkdir()
    monkeypatch.setenv("HYPEROPT_HN_DATA", str(variable))
    assert "archive" in load_cifar(small.source, access(root)).note
    for form, words in (("binary", "unpacked"), ("pickles", "torchvision"), ("archive", "archive")):
        assert words in load_cifar(small.source, access(small.lay(root, form))).note


@BOTH
@FORMS
def test_a_damaged_file_is_named_and_nothing_else_is_used(name: str, form: str, tmp_path: Path) -> None:
    small = SMALL[name]
    root = small.lay(tmp_path / "root", form)
    small.lay(tmp_path / "cache" / "hyperopt_hn", "archive")
    path = sorted(p for p in root.rglob("*") if p.is_file())[0]
    content = path.read_bytes()
    for wrong in (content[:-1], content + b"\0", b""):
        path.write_bytes(wrong)
        assert str(path) in refused(load_cifar, small.source, access(root))
    path.unlink()
    if form != "archive":
        assert f"lacks {path.name}" in refused(load_cifar, small.source, access(root))


def test_unpacked_files_in_each_others_place(tmp_path: Path) -> None:
    """No checksum was published for them, but a wrong label and a class too few are seen."""
    small = SMALL["cifar10"]
    folder = small.lay(tmp_path, "binary") / small.source.binary_folder
    path = folder / "data_batch_2.bin"
    content = bytearray(path.read_bytes())
    content[0] = (content[0] + 1) % 10
    path.write_bytes(content)
    assert "train classes are not of one size" in refused(load_cifar, small.source, access(tmp_path))
    content[0] = 10
    path.write_bytes(content)
    assert "label outside 0..9" in refused(load_cifar, small.source, access(tmp_path))


def test_missing_cifar_names_the_way_out(tmp_path: Path) -> None:
    for name in ("cifar10", "cifar100"):
        message = refused_typed(lambda name=name: load(name, tmp_path, download=False))
        assert "-binary.tar.gz" in message and str(tmp_path) in message and "--data digits" in message
    with pytest.raises(MissingData, match="could not be fetched"):
        load("cifar10", tmp_path)
    assert "put cifar10_jpeg.npz into" in refused(lambda: load("cifar10-jpeg", tmp_path))


SOURCE = SMALL["cifar100"].source
RECORDS = SMALL["cifar100"].binary["test.bin"]
PICKLE = SMALL["cifar100"].pickles["test"]


@FEW
@given(st.data())
def test_any_records(draw: st.DataObject) -> None:
    content = bytearray(RECORDS[: draw.draw(st.sampled_from([0, 1, len(RECORDS) - 1, len(RECORDS)]))])
    for _ in range(draw.draw(st.integers(0, 3)) if content else 0):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    try:
        images, labels = read_records(bytes(content), 100, SOURCE)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert images.shape == (100, 3, 32, 32) and labels.max() < 100
    assert Small.record(CIFAR100, images.reshape(100, -1), labels)[1::3074] == bytes(content)[1::3074]


@FEW
@given(st.data())
def test_any_pickle(draw: st.DataObject) -> None:
    """Also those that the md5 would have kept out."""
    content = bytearray(PICKLE)
    for _ in range(draw.draw(st.integers(1, 3))):
        spot = draw.draw(st.one_of(st.integers(0, 200), st.integers(len(content) - 400, len(content) - 1)))
        content[spot] = draw.draw(st.integers(0, 255))
    for wrong in (bytes(content), draw.draw(st.binary(max_size=50))):
        try:
            images, labels = read_pickle(wrong, 100, SOURCE)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert images.shape == (100, 3, 32, 32) and labels.dtype == np.uint8 and labels.max() < 100


@pytest.mark.parametrize("evil", [os.system, eval, np.load, open])
def test_a_pickle_builds_arrays_only(evil: object) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return evil, ("/nowhere",)

    message = refused(read_pickle, pickle.dumps({b"data": Evil()}), 1, CIFAR10)
    assert "UnpicklingError" in message
    assert "not 3 images" in refused(read_pickle, PICKLE, 3, SOURCE)


def test_a_pickle_of_python_2() -> None:
    """As torchvision unpacks it: numpy.core, byte strings, the labels as a list."""
    old = pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [7]}, protocol=3)
    old = old.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert read_pickle(old, 1, CIFAR10)[1].tolist() == [7]


def test_an_array_kept_by_columns_and_arrays_of_other_kinds() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3072)).astype(np.uint8)
    whole = {b"data": np.asfortranarray(pixels), b"labels": [7, 1]}
    np.testing.assert_array_equal(read_pickle(pickle.dumps(whole, 3), 2, CIFAR10)[0].reshape(2, -1), pixels)
    for wrong in (pixels.astype(np.int16), pixels.tolist(), pixels.astype("S1"), None):
        message = refused(read_pickle, pickle.dumps({b"data": wrong, b"labels": [7, 1]}, 3), 2, CIFAR10)
        assert "is not one of CIFAR's pickles" in message
    for labels in ([7, 10], [-1, 0]):
        assert "label outside" in refused(read_pickle, pickle.dumps(whole | {b"labels": labels}, 3), 2, CIFAR10)
    assert "labels of type float64" in refused(
        read_pickle, pickle.dumps(whole | {b"labels": [1.0, 2.0]}, 3), 2, CIFAR10
    )


def test_a_pickle_is_not_taken_at_its_word() -> None:
    """Its largest memo number is what the unpickler would make room for: 64 GB here."""
    assert "is not one of CIFAR's" in refused(read_pickle, b"\x80\x02}r\xff\xff\xff\xff.", 1, CIFAR10)
    assert "is not one of CIFAR's" in refused(read_pickle, b"\x80\x02}p4294967295\n.", 1, CIFAR10)
