"""cifar10-jpeg: decoded as Pillow does it, kept in the cache, and any other bytes refused."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperopt_hn.data.catalogue import load
from hyperopt_hn.data.cifar import cifar_jpeg
from hyperopt_hn.data.cifar.cifar_jpeg import agrees, decode, decode_archive, pixels_hash
from hyperopt_hn.errors import UserError
from tests.support.refusals import refused

REAL = os.environ.get("HYPEROPT_HN_DATA")
FEW = settings(max_examples=50, deadline=None)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, no environment variable."""
    monkeypatch.delenv("HYPEROPT_HN_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)


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
    monkeypatch.setattr(cifar_jpeg, "SHA256", hashlib.sha256(content).hexdigest())
    (tmp_path / "cifar10_jpeg.npz").write_bytes(content)
    image = pytest.importorskip("PIL.Image")
    for attempt in range(2):
        images = load("cifar10-jpeg", tmp_path, download=False)
        assert images.name == "cifar10-jpeg" and "not the official pixels" in images.note
        assert images.train_images.shape == (3, 32, 32, 3) and not images.train_images.flags.writeable
        np.testing.assert_array_equal(images.test_images[1], np.asarray(image.open(io.BytesIO(jpeg(4)))))
        assert images.train_labels.tolist() == [0, 1, 2] and images.test_labels.tolist() == [3, 4]
        monkeypatch.setattr(cifar_jpeg, "decode_archive", None)  # the second time they come from the cache
        assert attempt or len(list((tmp_path / "cache" / "hyperopt_hn" / "arrays").iterdir())) == 1
    (tmp_path / "cifar10_jpeg.npz").write_bytes(content + b"\0")
    assert "sha256 is not the known one" in refused(lambda: load("cifar10-jpeg", tmp_path))


@pytest.mark.parametrize("damage", ["black", "one label", "fewer"])
def test_a_cache_that_is_not_this_archive_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """Its own checksum is right: somebody else wrote it."""
    from hyperopt_hn.files.states import load_arrays, save_arrays

    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)
    content = packed()
    monkeypatch.setattr(cifar_jpeg, "SHA256", hashlib.sha256(content).hexdigest())
    (tmp_path / "cifar10_jpeg.npz").write_bytes(content)
    first = load("cifar10-jpeg", tmp_path)
    (kept,) = (tmp_path / "cache" / "hyperopt_hn" / "arrays").iterdir()
    arrays = {name: array.copy() for name, array in load_arrays(kept).items()}
    if damage == "black":
        arrays["train_images"][:] = 0
    elif damage == "one label":
        arrays["test_labels"][-1] += 1
    else:
        arrays["test_images"] = arrays["test_images"][:1]
    with open(kept, "wb") as file:
        save_arrays(file, arrays)
    again = load("cifar10-jpeg", tmp_path)
    np.testing.assert_array_equal(again.train_images, first.train_images)
    np.testing.assert_array_equal(again.test_labels, first.test_labels)
    assert again.test_images.shape == first.test_images.shape


def test_one_wrong_pixel_among_thousands_of_images_is_found() -> None:
    """A sample of the images would mostly miss it."""
    many, file = 4000, jpeg(0)
    content = packed(
        train_jpeg=np.frombuffer(file * many, np.uint8),
        train_offsets=np.arange(many + 1, dtype=np.int64) * len(file),
        train_labels=np.zeros(many, np.uint8),
    )
    arrays = decode_archive(content)
    assert agrees(content, arrays)
    arrays["train_images"][many // 2, 3, 4, 1] ^= 1
    assert not agrees(content, arrays)


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


# the real files


@pytest.mark.data
def test_the_real_jpegs_are_the_known_ones() -> None:
    content = (Path(str(REAL)) / cifar_jpeg.FILE).read_bytes()
    assert hashlib.sha256(content).hexdigest() == cifar_jpeg.SHA256 and len(content) == cifar_jpeg.LARGEST
    with np.load(io.BytesIO(content)) as archive:
        start, stop = archive["test_offsets"][:2]
        assert decode(archive["test_jpeg"][start:stop].tobytes()).shape == (32, 32, 3)


@pytest.mark.data
@pytest.mark.slow
def test_real_cifar10_jpeg() -> None:
    """Decoded anew (the cache of tests is empty), then from the cache."""
    images = load("cifar10-jpeg", REAL, download=False)
    assert images.train_images.shape == (50_000, 32, 32, 3) and images.test_images.shape == (10_000, 32, 32, 3)
    assert np.bincount(images.train_labels).tolist() == [5000] * 10
    assert np.bincount(images.test_labels).tolist() == [1000] * 10
    assert abs(images.train_images.mean() / 255 - 0.4733) < 1e-3, "CIFAR-10's own mean"
    features = pytest.importorskip("PIL.features")
    if features.check_feature("libjpeg_turbo"):
        found = pixels_hash({"train_images": images.train_images, "test_images": images.test_images})
        assert found == cifar_jpeg.PIXELS
    again = load("cifar10-jpeg", REAL, download=False)
    np.testing.assert_array_equal(images.test_images, again.test_images)
