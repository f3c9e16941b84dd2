"""Fetching against a real HTTP server on this machine: mirrors, resume, checksums, all that breaks."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest
import requests

from hyperopt_hn.data.fetch import FetchError, Patience, Remote, _within, fetch_file

BODY = bytes(range(256)) * 1200  # 300 KiB: several reads
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
QUICK = Patience(silence=0.4)
pooch.get_logger().setLevel("ERROR")


@dataclass
class Mirror:
    """A server whose manners are a word: see Handler.do_GET."""

    manners: str = "good"
    url: str = ""
    asked: list[str] = field(default_factory=list)  # the Range of each request, "" for none
    sent: int = 0  # bytes, counted for the endless
    leave: threading.Event = field(default_factory=threading.Event)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    mirror: Mirror


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        mirror, wish = self.server.mirror, self.headers.get("Range", "")
        mirror.asked.append(wish)
        begin = int(wish.removeprefix("bytes=").removesuffix("-") or 0)
        body = BODY
        match mirror.manners:
            case "silent":
                mirror.leave.wait(5)
                return
            case "missing" | "refuses ranges" if mirror.manners == "missing" or wish:
                self.send_error(404 if mirror.manners == "missing" else 416)
                return
            case "ignores ranges":
                wish, begin = "", 0
            case "altered":
                body = BODY[:-1] + b"?"
            case "log-in page":
                wish, begin, body = "", 0, b"<html>log in</html>"
            case "endless":
                wish, begin = "", 0
        self.send_response(206 if wish else 200)
        if wish:
            shown = begin + 1 if mirror.manners == "shifted" else begin
            self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        if mirror.manners not in ("endless", "unmeasured page"):
            self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        with suppress(OSError):  # the client may have left
            self.send_body(body[begin:])

    def send_body(self, body: bytes) -> None:
        mirror = self.server.mirror
        match mirror.manners:
            case "breaks off":
                self.wfile.write(body[: len(body) // 2])
            case "falls silent":
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                mirror.leave.wait(5)
            case "pauses":
                self.wfile.write(body[:1000])
                mirror.leave.wait(0.3)
                self.wfile.write(body[1000:])
            case "endless":
                for _ in range(200):
                    mirror.sent += self.wfile.write(body)
            case "drips":
                for i in range(0, len(body), 5):
                    self.wfile.write(body[i : i + 5])
                    if mirror.leave.wait(0.05):
                        return
            case "unmeasured page":
                self.wfile.write(b"<html>log in</html>")
            case _:
                self.wfile.write(body)


@pytest.fixture
def mirrors() -> Iterator[tuple[Mirror, Mirror]]:
    """Two servers, both well-mannered until a test says otherwise."""
    servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
    for server in servers:
        server.mirror = Mirror(url=f"http://127.0.0.1:{server.server_port}/deep/path/")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield servers[0].mirror, servers[1].mirror
    for server in servers:
        server.mirror.leave.set()
        server.shutdown()
        server.server_close()


def remote(*mirrors: Mirror) -> Remote:
    return Remote("file.gz", len(BODY), MD5, tuple(mirror.url for mirror in mirrors))


def whole(path: Path, folder: Path) -> None:
    """The file is there, right, and alone."""
    assert path == folder / "file.gz" and path.read_bytes() == BODY
    assert [each.name for each in folder.iterdir()] == ["file.gz"]


def test_fetch_and_no_second_request(mirrors: tuple[Mirror, Mirror], tmp_path: Path) -> None:
    for _ in range(2):
        whole(fetch_file(remote(*mirrors), tmp_path, QUICK), tmp_path)
    assert mirrors[0].asked == [""] and mirrors[1].asked == []


BROKEN = {
    "silent": "no answer within 0.4 s",
    "falls silent": "no answer within 0.4 s",
    "drips": "sent only",
    "missing": "HTTP status 404",
    "altered": "wrong checksum",
    "log-in page": "offers 19 bytes instead of the file's 307200",
    "unmeasured page": "broke off after 19 of 307200 bytes",
    "endless": "sent more than the file's 307200 bytes",
    "breaks off": "broke off",
}


@pytest.mark.parametrize("manners", BROKEN)
def test_a_broken_mirror_is_named_and_leaves_no_half_file(
    mirrors: tuple[Mirror, Mirror], tmp_path: Path, manners: str
) -> None:
    mirrors[0].manners = manners
    start = time.monotonic()
    with pytest.raises(FetchError) as caught:
        fetch_file(remote(mirrors[0]), tmp_path, QUICK)
    assert time.monotonic() - start < 3.0
    host = mirrors[0].url.split("/")[2]
    assert str(caught.value).startswith(f"{host}: ") and BROKEN[manners] in str(caught.value)
    assert mirrors[0].sent < 100 * len(BODY), "nobody listens to an endless answer"
    left = {each.name for each in tmp_path.iterdir()}
    assert left <= {"file.gz.part"}, "nothing under the final name, no temporary files"
    mirrors[0].manners = "good"
    whole(fetch_file(remote(mirrors[0]), tmp_path, QUICK), tmp_path)


@pytest.mark.parametrize("manners", [each for each in BROKEN if each not in ("falls silent", "drips")])
def test_the_next_mirror_steps_in(mirrors: tuple[Mirror, Mirror], tmp_path: Path, manners: str) -> None:
    mirrors[0].manners = manners
    whole(fetch_file(remote(*mirrors), tmp_path, QUICK), tmp_path)


@pytest.mark.parametrize("manners", ["breaks off", "falls silent"])
def test_the_next_mirror_continues_where_the_first_stopped(
    mirrors: tuple[Mirror, Mirror], tmp_path: Path, manners: str
) -> None:
    mirrors[0].manners = manners
    whole(fetch_file(remote(*mirrors), tmp_path, QUICK), tmp_path)
    begin = re.fullmatch(r"bytes=(\d+)-", mirrors[1].asked[0])
    assert begin and 0 < int(begin[1]) <= len(BODY) // 2 and len(mirrors[1].asked) == 1


@pytest.mark.parametrize(
    ("manners", "asked"),
    [
        ("good", 1),
        ("ignores ranges", 1),
        ("good, bad part", 2),
        ("good, whole part", 0),
        ("good, long part", 1),
    ],
)
def test_resume_of_an_earlier_run(mirrors: tuple[Mirror, Mirror], tmp_path: Path, manners: str, asked: int) -> None:
    """A part that proves wrong costs one more request; a whole one costs none."""
    mirrors[0].manners, _, which = manners.partition(", ")
    parts = {"": BODY[:1000], "bad part": b"x" * 1000, "whole part": BODY, "long part": BODY + b"x"}
    (tmp_path / "file.gz.part").write_bytes(parts[which])
    whole(fetch_file(remote(mirrors[0]), tmp_path, QUICK), tmp_path)
    assert len(mirrors[0].asked) == asked
    if which == "":
        assert mirrors[0].asked == ["bytes=1000-"]


@pytest.mark.parametrize("manners", ["refuses ranges", "shifted"])
def test_a_mirror_that_cannot_resume_is_passed_over(
    mirrors: tuple[Mirror, Mirror], tmp_path: Path, manners: str
) -> None:
    mirrors[0].manners = manners
    (tmp_path / "file.gz.part").write_bytes(BODY[:1000])
    whole(fetch_file(remote(*mirrors), tmp_path, QUICK), tmp_path)
    assert mirrors[1].asked == ["bytes=1000-"]


@pytest.mark.parametrize("manners", ["silent", "drips"])
def test_the_whole_is_bounded_too(mirrors: tuple[Mirror, Mirror], tmp_path: Path, manners: str) -> None:
    for mirror in mirrors:
        mirror.manners = manners
    start = time.monotonic()
    with pytest.raises(FetchError):
        fetch_file(remote(*mirrors), tmp_path, Patience(4.0, start + 0.4))
    assert time.monotonic() - start < 3.0


def test_a_call_that_ignores_its_timeout_is_left_behind() -> None:
    """A name look-up has no time-out of its own; the answer that comes too late is closed."""
    late, gate, closed = requests.Response(), threading.Event(), threading.Event()
    late.close = closed.set  # type: ignore[method-assign]

    def look_up() -> requests.Response:
        gate.wait(10)
        return late

    start = time.monotonic()
    with pytest.raises(TimeoutError):
        _within(0.1, look_up)
    assert time.monotonic() - start < 5.0
    gate.set()
    assert closed.wait(5)


def fetch_in_process(url: str, folder: Path) -> None:
    fetch_file(Remote("file.gz", len(BODY), MD5, (url,)), folder, Patience(20.0))


def test_one_at_a_time(mirrors: tuple[Mirror, Mirror], tmp_path: Path) -> None:
    """Three at once: one fetches, the others wait and find the file (threads: each opens a lock of its own)."""
    mirrors[0].manners = "pauses"
    with ThreadPoolExecutor(3) as crowd:
        paths = list(crowd.map(lambda _: fetch_file(remote(mirrors[0]), tmp_path, Patience(5.0)), range(3)))
    assert mirrors[0].asked == [""]
    for path in paths:
        whole(path, tmp_path)


def test_waiting_for_another_is_bounded(mirrors: tuple[Mirror, Mirror], tmp_path: Path) -> None:
    mirrors[0].manners = "falls silent"
    with ThreadPoolExecutor(1) as other:
        first = other.submit(fetch_file, remote(mirrors[0]), tmp_path, Patience(0.5))
        while not mirrors[0].asked:
            time.sleep(0.01)
        with pytest.raises(FetchError, match="another process"):
            fetch_file(remote(mirrors[1]), tmp_path, Patience(5.0, time.monotonic() + 0.2))
        assert isinstance(first.exception(), FetchError)


def test_killed_in_the_middle(mirrors: tuple[Mirror, Mirror], tmp_path: Path) -> None:
    """SIGKILL leaves the lock free, nothing under the final name, and a part that the next call continues."""
    mirrors[0].manners = "falls silent"
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=fetch_in_process, args=(mirrors[0].url, tmp_path))
    process.start()
    part = tmp_path / "file.gz.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.join(20)
    assert not (tmp_path / "file.gz").exists()
    path = fetch_file(remote(mirrors[1]), tmp_path, QUICK)
    assert path.read_bytes() == BODY and not part.exists()
    assert mirrors[1].asked[0].startswith("bytes=")


def test_a_full_or_vanished_folder_is_not_the_mirrors_fault(mirrors: tuple[Mirror, Mirror], tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        fetch_file(remote(mirrors[0]), tmp_path / "gone", QUICK)
