"""Official files: where they are looked for, and every way in which a file is not the official one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hyperopt_hn.data import catalogue
from hyperopt_hn.data.catalogue import Images, load
from hyperopt_hn.data.locate import MissingData
from hyperopt_hn.data.mnist import IdxSet
from hyperopt_hn.errors import UserError
from tests.support.tiny_mnist import CONTENTS, NAMES, idx_bytes, install, lay, refusal, same, served, zipped

AS_USER = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser reads and writes everywhere"
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> IdxSet:
    return install(monkeypatch, tmp_path)


# where it looks


@pytest.mark.parametrize("folder", ["MNIST/raw", "."])
@pytest.mark.parametrize("gz", [False, True])
def test_finds_torchvision_layout_and_loose_files(tiny: IdxSet, tmp_path: Path, folder: str, gz: bool) -> None:
    same(load("mnist", lay(tmp_path / "root", folder, gz=gz), download=False))


def test_lookup_order(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """root, then the variable, then the cache: a damaged file in a place shows that it was read."""
    places = [tmp_path / "root", tmp_path / "variable", tmp_path / "cache" / "hyperopt_hn"]
    for place in places:
        lay(place)
    monkeypatch.setenv("HYPEROPT_HN_DATA", str(places[1]))
    for place in places:
        damaged = place / "MNIST/raw" / NAMES[0]
        damaged.write_bytes(b"damaged")
        assert str(damaged) in refusal(places[0])
        for file in (place / "MNIST/raw").iterdir():
            file.unlink()
    assert "not on disk" in refusal(places[0])


def test_each_file_is_looked_for_on_its_own(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files in the root, one in the variable's folder, one in the cache make a whole, checked set."""
    root = lay(tmp_path / "root", names=NAMES[:2])
    monkeypatch.setenv("HYPEROPT_HN_DATA", str(lay(tmp_path / "variable", names=NAMES[2:3], gz=True)))
    lay(tmp_path / "cache" / "hyperopt_hn", names=NAMES[3:])
    same(load("mnist", root, download=False))


def test_plain_comes_before_gz_and_gz_is_known_by_its_content(tiny: IdxSet, tmp_path: Path) -> None:
    root = lay(tmp_path)
    (root / "MNIST/raw" / f"{NAMES[0]}.gz").write_bytes(b"never read")
    same(load("mnist", root, download=False))
    (root / "MNIST/raw" / NAMES[1]).write_bytes(zipped(CONTENTS[NAMES[1]]))
    same(load("mnist", root, download=False))


def test_home_is_expanded(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "sets")
    monkeypatch.setenv("HOME", str(tmp_path))
    same(load("mnist", "~/sets", download=False))
    monkeypatch.setenv("HYPEROPT_HN_DATA", "~/sets")
    same(load("mnist", download=False))


@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_named_folder_that_is_not_there(
    tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert str(tmp_path / "nowhere") in refusal(tmp_path / "nowhere", name)
    (tmp_path / "file").write_text("")
    assert "is not a folder" in refusal(tmp_path / "file", name)
    assert "~nobody-of-that-name" in refusal("~nobody-of-that-name/data", name)
    monkeypatch.setenv("HYPEROPT_HN_DATA", str(tmp_path / "elsewhere"))
    message = refusal(tmp_path, name)
    assert "$HYPEROPT_HN_DATA" in message and str(tmp_path / "elsewhere") in message


def test_missing_data_names_files_folder_and_the_way_out(tiny: IdxSet, tmp_path: Path) -> None:
    message = refusal(lay(tmp_path, names=NAMES[:2]))
    assert NAMES[0] not in message and NAMES[2] in message and NAMES[3] in message
    assert str(tmp_path / "MNIST/raw") in message and "--data digits" in message


def test_unknown_name_and_senseless_timeout(tmp_path: Path) -> None:
    assert "did you mean 'mnist'" in refusal(tmp_path, "minst")
    assert "there are: mnist, fashion-mnist, cifar10, cifar100, cifar10-jpeg, digits, auto" in refusal(tmp_path, "?")
    for timeout in (0.0, -1.0, float("nan"), float("inf")):
        assert "timeout" in refusal(tmp_path, timeout=timeout)


# files that are not the official ones


def make_bad_files() -> dict[str, tuple[bytes, str]]:
    images, labels = CONTENTS[NAMES[0]], CONTENTS[NAMES[1]]
    other = bytearray(images)
    other[-1] ^= 1
    return {
        "empty": (b"", "is truncated"),
        "header cut": (images[:7], "is truncated"),
        "truncated": (images[:-1], "is truncated"),
        "oversized by one": (images + b"\0", "is too long"),
        "oversized by far": (images + bytes(10**6), "is too long"),
        "one bit": (bytes(other), "altered"),
        "labels for images": (labels, "is train-labels-idx1-ubyte under another name"),
        "test for train": (CONTENTS[NAMES[2]], "is t10k-images-idx3-ubyte under another name"),
        "test for train, gz": (zipped(CONTENTS[NAMES[2]]), "is t10k-images-idx3-ubyte under another name"),
        "other dimensions": (idx_bytes(np.zeros((4, 4, 12))), "instead of (12, 4, 4)"),
        "flattened": (idx_bytes(np.zeros(192)), "instead of (12, 4, 4)"),
        "element type": (b"\0\0\x0d" + images[3:], "is not an IDX file"),
        "web page": (b"<!doctype html><title>log in</title>", "is not an IDX file"),
        "claims 2^128 bytes": (b"\0\0\x08\x04" + b"\xff" * 16, "is truncated"),
        "truncated gz": (zipped(images)[:-9], "is truncated"),
        "gz with a tail": (zipped(images) + b"tail", "bytes follow"),
        "gz, wrong check": (zipped(images)[:-8] + bytes(8), "is not a sound gzip file"),
        "gz magic only": (b"\x1f\x8b", "is truncated"),
        "gzip bomb": (zipped(bytes(10**7)), "is too long"),
    }


BAD_FILES = make_bad_files()


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_bad_file_is_named_and_never_used(tiny: IdxSet, tmp_path: Path, case: str, name: str) -> None:
    """Nor under "auto": a damaged MNIST is not quietly replaced by digits or a copy elsewhere."""
    content, words = BAD_FILES[case]
    path = lay(tmp_path / "root") / "MNIST/raw" / NAMES[0]
    path.write_bytes(content)
    lay(tmp_path / "cache" / "hyperopt_hn")
    message = refusal(tmp_path / "root", name)
    assert str(path) in message and words in message and "put the official file there" in message


def test_exchanged_files(tiny: IdxSet, tmp_path: Path) -> None:
    folder = lay(tmp_path) / "MNIST/raw"
    for a, b in ((0, 1), (1, 3), (0, 2)):
        (folder / NAMES[a]).write_bytes(CONTENTS[NAMES[b]])
        (folder / NAMES[b]).write_bytes(CONTENTS[NAMES[a]])
        assert f"is {NAMES[b]} under another name" in refusal(tmp_path)
        lay(tmp_path)
    same(load("mnist", tmp_path, download=False))


@AS_USER
def test_unreadable_file(tiny: IdxSet, tmp_path: Path) -> None:
    path = lay(tmp_path) / "MNIST/raw" / NAMES[2]
    path.chmod(0)
    assert "correct its permissions" in refusal(tmp_path)


def test_every_load_checks_again(tiny: IdxSet, tmp_path: Path) -> None:
    same(load("mnist", lay(tmp_path), download=False))
    (tmp_path / "MNIST/raw" / NAMES[3]).write_bytes(b"later damage")
    assert NAMES[3] in refusal(tmp_path)


# a data set of which only the .gz files have published hashes


def test_gz_only(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Fashion-MNIST: plain files and loose ones are not looked at, a .gz is checked by its md5."""
    files = tuple(replace(file, sha256="") for file in tiny.files)
    source = replace(tiny, files=files, folder="FashionMNIST/raw", title="Fashion-MNIST")  # type: ignore[arg-type]
    monkeypatch.setitem(catalogue.IDX_SETS, "fashion-mnist", source)
    lay(tmp_path, "FashionMNIST/raw")
    lay(tmp_path, ".", gz=True)
    assert "as .gz, which alone has a published hash" in refusal(tmp_path, "fashion-mnist")
    images = load("fashion-mnist", lay(tmp_path, "FashionMNIST/raw", gz=True), download=False)
    assert images.name == "fashion-mnist" and images.note == "Fashion-MNIST, the official files (md5 checked)"
    same(replace(images, name="mnist"))
    path = tmp_path / "FashionMNIST/raw" / f"{NAMES[2]}.gz"
    path.write_bytes(zipped(CONTENTS[NAMES[0]]))
    assert "its md5 is not the official one" in refusal(tmp_path, "fashion-mnist")


def test_fashion_mnist_is_described_whole() -> None:
    source = catalogue.IDX_SETS["fashion-mnist"]
    assert [file.shape for file in source.files] == [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]
    assert len({file.gz_md5 for file in source.files}) == 4 and len(source.sha256) == 64 and not source.plain


# fetching


@pytest.fixture
def mirror(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with served(monkeypatch, tmp_path / "served") as folder:
        yield folder


def test_refused_connections(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, as a machine without one sees it: one line with the remedy, at once."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    mirrors = (f"http://127.0.0.1:{port}/", f"http://localhost:{port}/")
    monkeypatch.setitem(catalogue.IDX_SETS, "mnist", replace(tiny, mirrors=mirrors))
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        load("mnist", tmp_path)
    assert time.monotonic() - start < 8.0, "less than the time-out of one attempt"
    message = caught.value.typed
    assert message.count("no connection") == 2 and NAMES[0] in message and "--data digits" in message
    assert load("auto", tmp_path).name == "digits"
    assert list(tmp_path.iterdir()) == [], "no folder made in vain"


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_fetched_once_into_the_named_root(mirror: Path, tmp_path: Path, name: str) -> None:
    root = lay(tmp_path / "root", names=NAMES[:1])
    same(load(name, root))
    names = {path.name for path in (root / "MNIST/raw").iterdir()}
    assert names == {NAMES[0], *(f"{name}.gz" for name in NAMES[1:])}, "only what was missing, and no remains"
    empty(mirror)
    same(load(name, root))


def test_fetched_into_the_cache_otherwise(mirror: Path, tmp_path: Path) -> None:
    """With no root, and with one that cannot be written (here: a file stands where the folder should be)."""
    cache = tmp_path / "cache" / "hyperopt_hn" / "MNIST" / "raw"
    same(load("mnist"))
    assert len(list(cache.iterdir())) == 4
    empty(cache)
    (tmp_path / "MNIST").write_text("")
    same(load("mnist", tmp_path))
    assert len(list(cache.iterdir())) == 4


@AS_USER
def test_read_only_root_is_passed_over(mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir(mode=0o555)
    same(load("mnist", root))
    assert len(list((tmp_path / "cache" / "hyperopt_hn" / "MNIST" / "raw").iterdir())) == 4


def test_altered_on_the_mirror(mirror: Path, tmp_path: Path) -> None:
    """Never used, never kept; "auto" treats it as not to be had, like a log-in page for the network."""
    packed = (mirror / f"{NAMES[2]}.gz").read_bytes()
    (mirror / f"{NAMES[2]}.gz").write_bytes(packed[:-1] + b"?")
    for _ in range(2):
        with pytest.raises(UserError, match="wrong checksum"):
            load("mnist", tmp_path)
        assert load("auto", tmp_path).name == "digits"
    assert len(list((tmp_path / "MNIST/raw").iterdir())) == 2, "the two files before it, whole"


def test_auto_does_not_wait_for_a_silent_network(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel accepts, nobody answers: the time-out holds for all mirrors and files together."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setitem(catalogue.IDX_SETS, "mnist", replace(tiny, mirrors=(url, url, url)))
        start = time.monotonic()
        assert load("auto", tmp_path, timeout=2.0).name == "digits"
    assert time.monotonic() - start < 5.8, "less than three time-outs"


def test_unwritable_folders(tiny: IdxSet, tmp_path: Path) -> None:
    """A cache that cannot be made is passed over when MNIST is on disk, and named when it is needed."""
    (tmp_path / "cache").write_text("a file where the cache's folder should be")
    with pytest.raises(UserError, match="no permission to write") as caught:
        load("mnist")
    assert str(tmp_path / "cache") in str(caught.value)
    assert load("auto").name == "digits"
    same(load("mnist", lay(tmp_path / "root")))


# the real files


@pytest.fixture(scope="module")
def mnist() -> Images:
    """MNIST from disk; skipped where it is not."""
    try:
        return load("mnist", download=False)
    except MissingData as missing:
        pytest.skip(str(missing))


@pytest.mark.data
def test_real_mnist(mnist: Images) -> None:
    assert mnist.train_images.shape == (60000, 28, 28) and mnist.test_images.shape == (10000, 28, 28)
    assert list(mnist.train_labels[:8]) == [5, 0, 4, 1, 9, 2, 1, 3]
    assert list(np.bincount(mnist.test_labels)) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert abs(mnist.train_images.mean() / 255.0 - 0.1306604762738429) < 1e-12
