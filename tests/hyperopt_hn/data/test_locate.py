"""Places: arrays kept in the cache; CIFAR and PTB fetched from a server on this machine."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from hyperopt_hn.data import text
from hyperopt_hn.data.cifar import cifar
from hyperopt_hn.data.cifar.cifar import load_cifar
from hyperopt_hn.data.locate import Access, MissingData, Published, cached, missing
from tests.support.tiny_cifar import SMALL
from tests.support.tiny_mnist import Quiet

REAL = os.environ.get("HYPEROPT_HN_DATA")
FEW = settings(max_examples=50, deadline=None)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, no environment variable."""
    monkeypatch.delenv("HYPEROPT_HN_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)


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


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL under which a real server on this machine serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_cifar_is_fetched_once(mirror: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = SMALL["cifar100"]
    monkeypatch.setattr(cifar, "MIRRORS", (mirror[1],))
    small.lay(mirror[0], "archive")
    root = tmp_path / "root"
    root.mkdir()
    for download in (True, False):
        small.same(load_cifar(small.source, Access(root, download, 10.0)))
    assert [path.name for path in root.iterdir()] == [small.source.archive.name]


def test_an_altered_archive_is_not_kept(mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    small = SMALL["cifar10"]
    monkeypatch.setattr(cifar, "MIRRORS", (mirror[1],))
    (mirror[0] / small.source.archive.name).write_bytes(small.archive[:-1] + b"?")
    for _ in range(2):
        with pytest.raises(MissingData, match="wrong checksum"):
            load_cifar(small.source, Access(None, True, 10.0))


def test_ptb_is_fetched_file_by_file(mirror: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {f"ptb.{split}.txt": f"words to {split}\n".encode() for split in text.SPLITS}
    published = tuple(Published(name, len(c), hashlib.md5(c).hexdigest()) for name, c in contents.items())
    monkeypatch.setattr(text, "PTB", published)
    monkeypatch.setattr(text, "MIRRORS", (mirror[1],))
    for name, content in contents.items():
        (mirror[0] / name).write_bytes(content)
    root = tmp_path / "root"
    (root / "penn").mkdir(parents=True)
    (root / "penn" / "test.txt").write_bytes(contents["ptb.test.txt"])
    for download in (True, False):
        found = text.load_text("ptb", root, download)
        assert [found.words[i] for i in found.test] == ["words", "to", "test", "<eos>"]
    assert sorted(path.name for path in (root / "ptb").iterdir()) == ["ptb.train.txt", "ptb.valid.txt"]


def test_what_is_missing_is_said_to_a_script_and_to_a_command_line(tmp_path: Path) -> None:
    fault = missing("X is not on disk", ("x.gz", "digits"), tmp_path)
    assert str(fault) == f"X is not on disk: put x.gz into {tmp_path}, or choose the data set 'digits'"
    assert fault.typed == f"X is not on disk: put x.gz into {tmp_path}, or choose --data digits"
