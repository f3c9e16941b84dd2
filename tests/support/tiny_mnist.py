"""MNIST in small for tests: four official files of our own making, their hashes, and a server for them."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hyperopt_hn.data import catalogue
from hyperopt_hn.data.catalogue import Images, load
from hyperopt_hn.data.idx import read_idx
from hyperopt_hn.data.mnist import MNIST, IdxFile, IdxSet
from hyperopt_hn.errors import UserError

NAMES = [file.name for file in MNIST.files]
SHAPES = [(12, 4, 4), (12,), (5, 4, 4), (5,)]


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def tiny_contents() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    return {n: idx_bytes(rng.integers(0, 10, s)) for n, s in zip(NAMES, SHAPES, strict=True)}


CONTENTS = tiny_contents()


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def tiny_file(name: str, shape: tuple[int, ...]) -> IdxFile:
    packed = zipped(CONTENTS[name])
    sha = hashlib.sha256(CONTENTS[name]).hexdigest()
    return IdxFile(name, shape, sha, len(packed), hashlib.md5(packed).hexdigest())


def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> IdxSet:
    """MNIST in small: four official files of our own, no mirror, an empty cache, no environment variable."""
    files = tuple(tiny_file(name, shape) for name, shape in zip(NAMES, SHAPES, strict=True))
    source = replace(MNIST, files=files, mirrors=())  # type: ignore[arg-type]
    monkeypatch.setitem(catalogue.IDX_SETS, "mnist", source)
    monkeypatch.delenv("HYPEROPT_HN_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)
    return source


def lay(root: Path, folder: str = "MNIST/raw", names: list[str] = NAMES, gz: bool = False) -> Path:
    """Put official files under a root; the root comes back."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        path = root / folder / (f"{name}.gz" if gz else name)
        path.write_bytes(zipped(CONTENTS[name]) if gz else CONTENTS[name])
    return root


def same(images: Images) -> None:
    """The images are the tiny set's, in the right order, and read-only."""
    arrays = (images.train_images, images.train_labels, images.test_images, images.test_labels)
    for array, name in zip(arrays, NAMES, strict=True):
        np.testing.assert_array_equal(array, read_idx(CONTENTS[name]))
        assert array.dtype == np.uint8 and not array.flags.writeable
    assert images.name == "mnist" and images.scale == 255.0 and re.fullmatch("[0-9a-f]{64}", images.sha256)


def refusal(root: Path | str, name: str = "mnist", **options: object) -> str:
    """The one line that a user gets."""
    with pytest.raises(UserError) as caught:
        load(name, root, download=False, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return caught.value.typed


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Path]:
    """A folder that a real server on this machine serves, the tiny set's only mirror; complete at first."""
    lay(folder, ".", gz=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    source = replace(catalogue.IDX_SETS["mnist"], mirrors=(f"http://127.0.0.1:{server.server_port}/",))
    monkeypatch.setitem(catalogue.IDX_SETS, "mnist", source)
    yield folder
    server.shutdown()
    server.server_close()
