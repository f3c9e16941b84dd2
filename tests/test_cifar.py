"""CIFAR in its three forms, cifar10-jpeg and images of one's own: right arrays, or one line that says what is wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figures.reading import DASHED, ROOT_NAME
from hyperopt_hn import cifar, data, jpegs
from hyperopt_hn.cifar import CIFAR10, CIFAR100, CifarSet, load_cifar, read_pickle, read_records
from hyperopt_hn.data import Images, load
from hyperopt_hn.errors import UserError
from hyperopt_hn.jpegs import decode, decode_archive
from hyperopt_hn.npz import NAMES, load_npz
from hyperopt_hn.places import Access, MissingData, Published, cached

REAL = os.environ.get("HYPEROPT_HN_DATA")
FEW = settings(max_examples=50, deadline=None)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, no environment variable, no mirror."""
    monkeypatch.delenv("HYPEROPT_HN_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)
    monkeypatch.setattr(cifar, "MIRRORS", ())


class Small:
    """A data set of CIFAR's form with a few images a file: every form's bytes and their true arrays."""

    def __init__(self, official: CifarSet) -> None:
        rng = np.random.default_rng(0)
        count = official.classes
        self.parts = []
        for _ in official.counts:
            labels = rng.permutation(official.classes).astype(np.uint8)
            self.parts.append((rng.integers(0, 256, (count, 3072)).astype(np.uint8), labels))
        self.binary = {
            name: self.record(official, *part) for name, part in zip(official.binary_files, self.parts, strict=True)
        }
        self.pickles = {
            name: pickle.dumps({b"data": pixels, official.label_key: labels.tolist()}, protocol=3)
            for (name, _), (pixels, labels) in zip(official.pickles, self.parts, strict=True)
        }
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in self.binary.items():
                member = tarfile.TarInfo(f"{official.binary_folder}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        self.archive = gzip.compress(packed.getvalue(), mtime=0)
        md5s = tuple((name, hashlib.md5(content).hexdigest()) for name, content in self.pickles.items())
        published = Published(official.archive.name, len(self.archive), hashlib.md5(self.archive).hexdigest())
        self.source = replace(official, counts=(count,) * len(official.counts), archive=published, pickles=md5s)

    @staticmethod
    def record(official: CifarSet, pixels: np.ndarray, labels: np.ndarray) -> bytes:
        coarse = [np.zeros_like(labels)] * (official.label_bytes - 1)
        return np.concatenate([np.stack([*coarse, labels], 1), pixels], 1).tobytes()

    def lay(self, root: Path, form: str) -> Path:
        folder = {"archive": ".", "pickles": self.source.pickle_folder, "binary": self.source.binary_folder}[form]
        (root / folder).mkdir(parents=True, exist_ok=True)
        contents = {"archive": {self.source.archive.name: self.archive}, "pickles": self.pickles, "binary": self.binary}
        for name, content in contents[form].items():
            (root / folder / name).write_bytes(content)
        return root

    def same(self, images: Images) -> None:
        train = np.concatenate([pixels for pixels, _ in self.parts[:-1]]).reshape(-1, 3, 32, 32)
        np.testing.assert_array_equal(images.train_images.transpose(0, 3, 1, 2), train)
        np.testing.assert_array_equal(images.train_labels, np.concatenate([labels for _, labels in self.parts[:-1]]))
        np.testing.assert_array_equal(images.test_images[..., 1].reshape(-1, 1024), self.parts[-1][0][:, 1024:2048])
        np.testing.assert_array_equal(images.test_labels, self.parts[-1][1])
        for array in (images.train_images, images.train_labels, images.test_images, images.test_labels):
            assert array.dtype == np.uint8 and not array.flags.writeable


SMALL = {"cifar10": Small(CIFAR10), "cifar100": Small(CIFAR100)}
BOTH = pytest.mark.parametrize("name", SMALL)
FORMS = pytest.mark.parametrize("form", ["archive", "pickles", "binary"])


def access(root: Path | None = None) -> Access:
    return Access(root, download=False, timeout=1.0)


def refused(call: object, *arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        message = refused(lambda name=name: load(name, tmp_path, download=False))
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


# cifar10-jpeg


def jpeg(seed: int, side: int = 32, mode: str = "RGB") -> bytes:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    out = io.BytesIO()
    image.fromarray(pixels).convert(mode).save(out, "JPEG", quality=75)
    return out.getvalue()


def packed(**changes: object) -> bytes:
    """An archive of three images to train and two to test, with some of its arrays exchanged."""
    arrays: dict[str, object] = {}
    for split, seeds in (("train", (0, 1, 2)), ("test", (3, 4))):
        files = [jpeg(seed) for seed in seeds]
        arrays[f"{split}_jpeg"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"{split}_offsets"] = np.cumsum([0, *map(len, files)]).astype(np.int64)
        arrays[f"{split}_labels"] = np.array(seeds, np.uint8)
    out = io.BytesIO()
    np.savez(out, **{k: v for k, v in {**arrays, **changes}.items() if v is not None})
    return out.getvalue()


def test_jpegs_are_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed()
    monkeypatch.setattr(jpegs, "SHA256", hashlib.sha256(content).hexdigest())
    (tmp_path / "cifar10_jpeg.npz").write_bytes(content)
    image = pytest.importorskip("PIL.Image")
    for attempt in range(2):
        images = load("cifar10-jpeg", tmp_path, download=False)
        assert images.name == "cifar10-jpeg" and "not the official pixels" in images.note
        assert images.train_images.shape == (3, 32, 32, 3) and not images.train_images.flags.writeable
        np.testing.assert_array_equal(images.test_images[1], np.asarray(image.open(io.BytesIO(jpeg(4)))))
        assert images.train_labels.tolist() == [0, 1, 2] and images.test_labels.tolist() == [3, 4]
        monkeypatch.setattr(jpegs, "decode_archive", None)  # the second time they come from the cache
        assert attempt or len(list((tmp_path / "cache" / "hyperopt_hn" / "arrays").iterdir())) == 1
    (tmp_path / "cifar10_jpeg.npz").write_bytes(content + b"\0")
    assert "sha256 is not the known one" in refused(lambda: load("cifar10-jpeg", tmp_path))


OFFSETS = np.array([0, 5, 4, 900], np.int64)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_jpeg": None}, "lacks train_jpeg"),
        ({"test_offsets": OFFSETS}, "test_labels must hold"),
        ({"train_offsets": OFFSETS}, "do not cut"),
        ({"train_offsets": np.zeros((0,), np.int64)}, "train_labels must hold"),
        ({"train_offsets": OFFSETS.astype(float)}, "int64"),
        ({"train_labels": np.array([1, 2, 10], np.uint8)}, "0..9"),
        ({"train_labels": np.array([1, 2], np.uint8)}, "0..9"),
        ({"test_jpeg": np.array(["a"], object)}, "pickled objects"),
    ],
)
def test_misshapen_archives(changes: dict[str, object], words: str) -> None:
    assert words in refused(decode_archive, packed(**changes))


def test_other_images_are_refused() -> None:
    assert decode(jpeg(0)).shape == (32, 32, 3)
    for wrong in (jpeg(0, 16), jpeg(0, mode="L"), b"", b"\xff\xd8\xff", jpeg(0)[:300], b"\x89PNG\r\n\x1a\n"):
        assert "no 32 x 32 JPEG" in refused(decode, wrong)


@FEW
@given(st.data())
def test_any_jpeg(draw: st.DataObject) -> None:
    content = bytearray(jpeg(0))
    for _ in range(draw.draw(st.integers(1, 4))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = decode(bytes(content[: draw.draw(st.integers(0, len(content)))]))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert found.shape == (32, 32, 3) and found.dtype == np.uint8


def test_the_cache_is_made_again_when_damaged_and_done_without_when_closed(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"a": np.arange(3)}

    for _ in range(2):
        assert cached("key", make)["a"].tolist() == [0, 1, 2]
    assert len(made) == 1
    (tmp_path / "cache" / "hyperopt_hn" / "arrays" / "key.npz").write_bytes(b"PK")
    assert cached("key", make)["a"].tolist() == [0, 1, 2] and len(made) == 2
    (tmp_path / "cache" / "hyperopt_hn" / "arrays" / "key.npz").unlink()
    (tmp_path / "cache" / "hyperopt_hn" / "arrays").rmdir()
    (tmp_path / "cache" / "hyperopt_hn" / "arrays").write_text("a file in the way")
    assert cached("key", make)["a"].tolist() == [0, 1, 2] and len(made) == 3


# images of one's own


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
    for name in NAMES:
        array = getattr(images, name)
        np.testing.assert_array_equal(array, own()[name])
        assert array.dtype == np.uint8 and not array.flags.writeable
    assert images.name == "my_flowers_2.npz" and images.scale == 255.0 and re.fullmatch("[0-9a-f]{64}", images.sha256)
    np.savez(tmp_path / "b.npz", **own(train_images=np.zeros((6, 4, 5), np.uint8), test_images=np.ones((2, 4, 5), "B")))
    assert load_npz(tmp_path / "b.npz").train_images.shape == (6, 4, 5)


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
        ({"train_labels": np.arange(6) + 251}, "they must lie in 0..255"),
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


# names


@pytest.mark.parametrize("name", [*data.READERS, "own.npz"])
@pytest.mark.parametrize("changed", ["", "+lr=1e-3", "+response=delta-stn+sigma=-0.5"])
def test_figures_read_every_data_sets_name_off_a_folder(name: str, changed: str) -> None:
    match = ROOT_NAME.fullmatch(f"quick{changed}-{name}-seed12")
    assert match is not None
    assert match.groupdict() == {"preset": "quick", "changed": changed or None, "data": name, "seed": "12"}
    assert set(DASHED) == {name for name in data.READERS if "-" in name}


# the real files


NEEDS_REAL = pytest.mark.skipif(not REAL, reason="HYPEROPT_HN_DATA names no folder")


@pytest.mark.data
@NEEDS_REAL
def test_the_real_jpegs_are_the_known_ones() -> None:
    content = (Path(str(REAL)) / jpegs.FILE).read_bytes()
    assert hashlib.sha256(content).hexdigest() == jpegs.SHA256 and len(content) == jpegs.LARGEST
    with np.load(io.BytesIO(content)) as archive:
        start, stop = archive["test_offsets"][:2]
        assert decode(archive["test_jpeg"][start:stop].tobytes()).shape == (32, 32, 3)


@pytest.mark.data
@pytest.mark.slow
@NEEDS_REAL
def test_real_cifar10_jpeg() -> None:
    """Decoded anew (the cache of tests is empty), then from the cache."""
    images = load("cifar10-jpeg", REAL, download=False)
    assert images.train_images.shape == (50_000, 32, 32, 3) and images.test_images.shape == (10_000, 32, 32, 3)
    assert np.bincount(images.train_labels).tolist() == [5000] * 10
    assert np.bincount(images.test_labels).tolist() == [1000] * 10
    assert abs(images.train_images.mean() / 255 - 0.4733) < 1e-3, "CIFAR-10's own mean"
    again = load("cifar10-jpeg", REAL, download=False)
    np.testing.assert_array_equal(images.test_images, again.test_images)
