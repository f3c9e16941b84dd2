"""Known files fetched over HTTP: mirrors in turn, broken downloads resumed, a checksum before the final name.

`pooch.retrieve` owns the checksum, the temporary file and the final name. Its HTTPDownloader is not used, since it
- begins at the first byte: what a download that broke off has left is thrown away (no Range, no partial file);
- waits without end for a mirror that drips, as requests' time-out bounds one read alone, and a name look-up not at all;
- reads a body to its end, whatever its length: a log-in page, or more than the file has;
- knows one address for a file, and no other process that fetches into the same folder.
These are `_download` with `_first_byte`, `_append` and `_within`, `fetch_file` and `_alone`. With pooch 1.9's own
downloader in place of `_download`, tests/hyperopt_hn/data/test_fetch.py hangs at "drips" and finds nothing resumed.
The network enters the project by this door only.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from hyperopt_hn.files.atomic import no_link
from hyperopt_hn.files.locks import FileLock, Timeout

CHUNK = 1 << 16  # bytes asked for in one read
SLOWEST = 1024.0  # bytes per second; a mirror slower than this over one `silence` counts as hanging


class FetchError(OSError):
    """A file could not be fetched; the message says what each mirror did."""


@dataclass(frozen=True)
class Remote:
    """A file that mirrors hold: exactly `size` bytes with this checksum ("md5:..." or "sha256:...")."""

    name: str
    size: int
    checksum: str
    mirrors: tuple[str, ...]  # URL prefixes, each ending in "/"


@dataclass(frozen=True)
class Patience:
    """How long to wait: `silence` seconds for a mirror to answer, until clock time `until` for everything."""

    silence: float
    until: float = float("inf")  # on time.monotonic()

    def left(self) -> float:
        """Seconds that may still be waited for one answer; raises FetchError when there are none."""
        left = min(self.silence, self.until - time.monotonic())
        if left <= 0:
            raise FetchError("out of time")
        return left


def fetch_file(remote: Remote, folder: Path, patience: Patience) -> Path:
    """The path of the file in `folder`, which holds the whole, checked file or nothing under that name.

    What a broken download leaves (`<name>.part`) is continued by the next mirror and by the next call.
    Raises FetchError when no mirror yields the file, OSError when the folder cannot be written.
    """
    reasons = []
    with _alone(folder, patience):
        for mirror in remote.mirrors:
            try:
                return _from_mirror(remote, mirror, folder, patience)
            except FetchError as error:
                reasons.append(f"{urlsplit(mirror).netloc}: {error}")
    raise FetchError("; ".join(reasons) or "no mirror is known")


def _from_mirror(remote: Remote, mirror: str, folder: Path, patience: Patience) -> Path:
    """Fetch from one mirror; a resumed file with a wrong checksum is tried once more from its first byte."""
    part = folder / f"{remote.name}.part"
    resumed = part.exists()
    download = partial(_download, remote, part, patience)
    for last in (False, True) if resumed else (True,):
        try:
            where = pooch.retrieve(
                mirror + remote.name, remote.checksum, fname=remote.name, path=folder, downloader=download
            )
            return Path(where)
        except ValueError:  # pooch's word for a wrong checksum; the bad bytes are already deleted
            if last:
                raise FetchError("sent a file with the wrong checksum") from None
    raise AssertionError("unreachable")


def _download(remote: Remote, part: Path, patience: Patience, url: str, output: str, _pooch: object) -> None:
    """Bring `part` to its full size, continuing where it stops, and move it to pooch's temporary `output`."""
    if part.is_symlink():  # it would have another file written
        part.unlink()
    have = part.stat().st_size if part.exists() else 0
    if have > remote.size:
        part.unlink()
        have = 0
    if have < remote.size:
        ask = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        wait = patience.left()
        try:
            with _within(wait, partial(requests.get, url, headers=ask, stream=True, timeout=wait)) as answer:
                _append(answer, part, _first_byte(answer, have, remote.size), remote, patience)
        except (requests.RequestException, HTTPError, TimeoutError) as error:
            raise FetchError(_reason(error, wait)) from None
    os.replace(part, output)


def _first_byte(answer: requests.Response, have: int, size: int) -> int:
    """Where the body of the answer begins in the file: at `have`, or at 0 when the mirror cannot resume.

    A body of another length than the file's is refused unread: a log-in page also comes with status 200.
    """
    status, span = answer.status_code, answer.headers.get("Content-Range", "")
    if status not in (200, 206):
        raise FetchError(f"answered with HTTP status {status}")
    start = have if status == 206 else 0
    if status == 206 and not span.startswith(f"bytes {have}-"):
        raise FetchError(f"answered with the wrong range ({span[:40]})")
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and start + int(length) != size:
        raise FetchError(f"offers {start + int(length)} bytes instead of the file's {size}")
    return start


def _append(answer: requests.Response, part: Path, start: int, remote: Remote, patience: Patience) -> None:
    """Write the body at `start`; FetchError when it is slow, short (kept for a resume) or long (deleted)."""
    have, window, since = start, 0, time.monotonic()
    bar = tqdm(total=remote.size, initial=start, unit="B", unit_scale=True, desc=remote.name, disable=None)
    with bar, open(part, "ab" if start else "wb", opener=no_link) as file:
        while chunk := answer.raw.read1(CHUNK):
            have += len(chunk)
            if have > remote.size:
                break
            file.write(chunk)
            bar.update(len(chunk))
            patience.left()
            window += len(chunk)
            if (now := time.monotonic()) - since > patience.silence:
                if window < SLOWEST * (now - since):
                    raise FetchError(f"sent only {window} bytes in {now - since:.0f} s")
                window, since = 0, now
    if have > remote.size:
        part.unlink()
        raise FetchError(f"sent more than the file's {remote.size} bytes")
    if have < remote.size:
        raise FetchError(f"broke off after {have} of {remote.size} bytes")


def _within(seconds: float, call: Callable[[], requests.Response]) -> requests.Response:
    """The answer of `call`, or TimeoutError after `seconds`, whatever it hangs in.

    The socket's own time-out bounds neither a name look-up nor the many addresses of one name, tried in turn.
    """
    answers: list[requests.Response] = []
    errors: list[BaseException] = []
    late = threading.Event()

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            errors.append(error)
        if late.is_set() and answers:
            answers[0].close()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        late.set()
        raise TimeoutError
    return answers[0]


def _reason(error: Exception, waited: float) -> str:
    """A few words for a network error, whose own text runs over several layers of libraries."""
    if isinstance(error, TimeoutError | requests.Timeout) or "timed out" in str(error):
        return f"no answer within {waited:.3g} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"broke off ({type(error).__name__})"


@contextmanager
def _alone(folder: Path, patience: Patience) -> Iterator[None]:
    """Hold the folder's lock, so that no two processes write one partial download; it ends with the process.

    Where it cannot be had, on another machine say, the checksum still keeps a garbled file from being used.
    """
    folder.stat()  # one that is gone is nobody's lock
    place = hashlib.sha256(f"{Path.home()}\n{folder.resolve()}".encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"hyperopt_hn-fetch-{place}.lock", poll_interval=0.05)
    left = patience.until - time.monotonic()
    try:
        lock.acquire(timeout=-1 if math.isinf(left) else max(left, 0.0))
    except Timeout:
        raise FetchError("another process was fetching it") from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()
