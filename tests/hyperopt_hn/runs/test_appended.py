"""A file that only grows: its length and hash, parts of lines, links."""

import hashlib

import pytest

from hyperopt_hn.runs.appended import Appended, sha256_of


def test_length_and_hash_are_those_of_the_file(tmp_path):
    path = tmp_path / "log.jsonl"
    file = Appended(path, 0)
    for line in (b"one\n", b"two\n", b"three\n"):
        file.write(line)
    file.sync()
    assert (file.size, file.sha256) == (14, hashlib.sha256(b"one\ntwo\nthree\n").hexdigest())
    file.close()
    again = Appended(path, 8)
    assert path.read_bytes() == b"one\ntwo\n" and again.sha256 == hashlib.sha256(b"one\ntwo\n").hexdigest()
    again.write(b"3\n")
    again.close()
    assert path.read_bytes() == b"one\ntwo\n3\n"
    assert sha256_of(path, 4) == hashlib.sha256(b"one\n").hexdigest()


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "thesis")
    with pytest.raises(OSError):
        Appended(tmp_path / "log.jsonl", 0)
    assert (tmp_path / "thesis").read_text() == "years of work"
