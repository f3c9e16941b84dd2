"""Texts: PTB found and checked, one's own three files, the embedded topics; any bytes are an error or a stream."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperopt_hn.data import text
from hyperopt_hn.data.locate import MissingData, Published
from hyperopt_hn.data.text import EOS, SPLITS, UNKNOWN, UNSEEN, Text, load_text, number, read_text
from hyperopt_hn.data.topics import read_topics
from hyperopt_hn.errors import UserError

REAL = os.environ.get("HYPEROPT_HN_DATA")
TEXTS = {"train": "a b a\n c <unk>\n\n", "valid": "b c\na a\n", "test": "c a"}
SMALL = {f"ptb.{split}.txt": content.encode() for split, content in TEXTS.items()}
WORDS = st.text(alphabet="ab\n é\t\r\x1c<>", max_size=30)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, no environment variable, no mirror."""
    monkeypatch.delenv("HYPEROPT_HN_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)
    monkeypatch.setattr(text, "MIRRORS", ())


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """PTB in small: three files of our own with their md5s."""
    files = tuple(Published(name, len(c), hashlib.md5(c).hexdigest()) for name, c in SMALL.items())
    monkeypatch.setattr(text, "PTB", files)


def lay(folder: Path, short: bool = False, contents: dict[str, bytes] = SMALL) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / (name.removeprefix("ptb.") if short else name)).write_bytes(content)
    return folder


def words(found: Text, split: str) -> list[str]:
    return [found.words[i] for i in getattr(found, split)]


def refusal(name: object, root: Path | None = None, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        load_text(name, root, download=False, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return caught.value.typed


# reading and numbering


def test_words_and_ends_of_lines() -> None:
    assert read_text(b" a b \n\nc") == ["a", "b", EOS, EOS, "c", EOS]
    assert read_text(b"a\r\nb\n") == ["a", EOS, "b", EOS], "the last line's end makes no empty line"
    assert read_text("\ufeffé\n".encode()) == ["é", EOS], "a byte order mark is no word"
    for empty in (b"", b" \n\n\t"):
        with pytest.raises(UserError, match="is empty"):
            read_text(empty)
    with pytest.raises(UserError, match=r"not UTF-8 \(byte 2\)"):
        read_text(b"ab\xff")


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    try:
        found = read_text(content)
    except UserError as error:
        assert "\n" not in str(error)
        return
    decoded = content.decode("utf-8-sig")
    assert [word for word in found if word != EOS] == [w for w in decoded.split() if w != EOS]
    assert found[-1] == EOS and not any(word.split() != [word] for word in found)


@settings(deadline=None)
@given(st.tuples(WORDS, WORDS, WORDS), st.sampled_from(UNSEEN))
def test_numbers_stand_for_their_words(parts: tuple[str, str, str], unseen: str) -> None:
    texts = tuple([*part.split(), EOS] for part in parts)
    odd = [word for part in texts[1:] for word in part if word not in texts[0]]
    if unseen == "refuse" and odd:
        with pytest.raises(UserError, match="but not in train"):
            number(texts, unseen)  # type: ignore[arg-type]
        return
    streams, vocabulary = number(texts, unseen)  # type: ignore[arg-type]
    assert len(set(vocabulary)) == len(vocabulary)
    for split, stream, truth in zip(SPLITS, streams, texts, strict=True):
        back = [vocabulary[i] for i in stream]
        if split != "train" and unseen == "unknown":
            truth = [word if word in texts[0] else UNKNOWN for word in truth]
        assert stream.dtype == np.int32 and back == truth
    assert list(dict.fromkeys(texts[0])) == vocabulary[: len(set(texts[0]))], "in order of appearance in train"


# PTB


@pytest.mark.parametrize(
    ("folder", "short"), [("ptb", False), ("penn", True), (".", False), (".", True), ("ptb", True)]
)
def test_ptb_is_found(tiny: None, tmp_path: Path, folder: str, short: bool) -> None:
    lay(tmp_path / "root" / folder, short)
    found = load_text("ptb", tmp_path / "root", download=False)
    assert words(found, "train") == ["a", "b", "a", EOS, "c", UNKNOWN, EOS, EOS]
    assert words(found, "valid") == ["b", "c", EOS, "a", "a", EOS] and words(found, "test") == ["c", "a", EOS]
    assert found.words == ("a", "b", EOS, "c", UNKNOWN) and found.unseen == (0, 0) and found.name == "ptb"
    with pytest.raises(ValueError, match="read-only"):
        found.train[0] = 1


def test_ptb_by_the_variable_and_in_the_cache(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "cache" / "hyperopt_hn" / "ptb")
    load_text("ptb", download=False)
    monkeypatch.setenv("HYPEROPT_HN_DATA", str(lay(tmp_path / "variable")))
    damaged = tmp_path / "variable" / "ptb.valid.txt"
    damaged.write_text("other words")
    message = refusal("ptb")
    assert str(damaged) in message and "md5 is not the published one" in message


def test_ptb_that_is_not_ptb_is_refused_under_auto_too(tiny: None, tmp_path: Path) -> None:
    root = lay(tmp_path / "root")
    (root / "ptb.test.txt").write_bytes(SMALL["ptb.test.txt"] + b" ")
    for name in ("ptb", "auto"):
        assert "damaged or altered" in refusal(name, root)


def test_missing_ptb_names_the_way_out(tiny: None, tmp_path: Path) -> None:
    root = lay(tmp_path / "root")
    (root / "ptb.valid.txt").unlink()
    message = refusal("ptb", root)
    assert "ptb.valid.txt" in message and "ptb.train.txt" not in message and "--data topics" in message
    with pytest.raises(MissingData, match="could not be fetched"):
        load_text("ptb", root)
    assert "is not a folder" in refusal("ptb", tmp_path / "nowhere")


def test_auto(tiny: None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load_text("auto", lay(tmp_path / "root")).name == "ptb"
    other = load_text("auto", download=False)
    assert other.name == "topics" and other.note.endswith("(embedded): PTB was not on disk")
    assert "going on with the help topics" in caplog.text


# one's own


def test_own_folder(tmp_path: Path) -> None:
    folder = lay(tmp_path / "my-book", short=True)
    found = load_text(folder)
    assert found.name == "my_book.txt" and found.note == "my_book.txt, a custom text"
    assert words(found, "test") == ["c", "a", EOS]
    assert load_text(lay(tmp_path / "x")).sha256 == found.sha256, "the hash is the content's, not the folder's"


def test_unseen_words(tmp_path: Path) -> None:
    contents = {"train.txt": b"a b\n", "valid.txt": b"a z z\n", "test.txt": b"y\n"}
    folder = lay(tmp_path / "own", contents=contents)
    kept = load_text(folder)
    assert kept.words == ("a", "b", EOS, "z", "y") and kept.unseen == (2, 1)
    masked = load_text(folder, unseen="unknown")
    assert words(masked, "valid") == ["a", UNKNOWN, UNKNOWN, EOS] and masked.unseen == (2, 1)
    assert masked.words == ("a", "b", EOS, UNKNOWN)
    assert "'z' in valid but not in train" in refusal(folder, unseen="refuse")
    assert "choose one of keep" in refusal(folder, unseen="drop")


@pytest.mark.parametrize("split", SPLITS)
def test_missing_empty_and_unreadable_split(tmp_path: Path, split: str) -> None:
    folder = lay(tmp_path / "own", short=True)
    for content, words_ in ((b"", f"the {split} text is empty"), (b"\xff\xfe", f"the {split} text is not UTF-8")):
        (folder / f"{split}.txt").write_bytes(content)
        message = refusal(folder)
        assert words_ in message and str(folder) in message
    (folder / f"{split}.txt").unlink()
    assert f"lacks {split}.txt" in refusal(folder)


def test_unknown_name_and_senseless_timeout(tmp_path: Path) -> None:
    assert "neither a text (ptb, topics, auto) nor a folder" in refusal("pbt")
    assert "timeout" in refusal("topics", timeout=0.0)


def test_large_texts_are_cached_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "DEAR", 1)
    folder = lay(tmp_path / "own")
    first = load_text(folder)
    monkeypatch.setattr(text, "read_text", None)  # reading again would fail
    again = load_text(folder.rename(tmp_path / "elsewhere"))
    assert again.words == first.words and again.unseen == first.unseen and again.name == "elsewhere.txt"
    assert all(np.array_equal(getattr(again, split), getattr(first, split)) for split in SPLITS)
    monkeypatch.undo()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)
    monkeypatch.setattr(text, "DEAR", 1)
    for kept in (tmp_path / "cache" / "hyperopt_hn" / "arrays").iterdir():
        kept.write_bytes(b"damaged")
    assert load_text(tmp_path / "elsewhere").words == first.words


@pytest.mark.parametrize("damage", ["first word", "last word", "lines", "outside", "lacks"])
def test_a_cache_that_is_not_these_texts_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    from hyperopt_hn.files.states import load_arrays, save_arrays

    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)
    monkeypatch.setattr(text, "DEAR", 1)
    folder = lay(tmp_path / "own")
    first = load_text(folder)
    (kept,) = (tmp_path / "cache" / "hyperopt_hn" / "arrays").iterdir()
    arrays = {name: array.copy() for name, array in load_arrays(kept).items()}
    stream = arrays["train"]
    if damage == "lacks":
        del arrays["valid"]
    elif damage == "lines":
        arrays["train"] = np.concatenate([stream[:2], stream[2:][stream[2:] != first.words.index(EOS)], stream[-2:]])
    else:
        at = {"first word": 0, "last word": -2, "outside": 3}[damage]
        stream[at] = 10**6 if damage == "outside" else (stream[at] + 1) % len(first.words)
    with open(kept, "wb") as file:
        save_arrays(file, arrays)
    again = load_text(folder)
    assert all(np.array_equal(getattr(again, split), getattr(first, split)) for split in SPLITS)


# embedded


def test_topics() -> None:
    found = load_text("topics")
    assert "help topics of Python" in found.note and found.unseen == (0, 0)
    assert 20_000 < len(found.train) < 200_000 and min(len(found.valid), len(found.test)) > 2_000
    assert 500 < len(found.words) < 5_000 and UNKNOWN in found.words and EOS in found.words
    for split in SPLITS:
        share = words(found, split).count(UNKNOWN) / len(getattr(found, split))
        assert share < 0.15, f"{split} is mostly known words"
    assert load_text("topics").sha256 == found.sha256
    assert set(read_topics()["train"].split("\n")) & set(read_topics()["test"].split("\n")) <= {""}, (
        "no test line in train"
    )


# the real files


@pytest.mark.data
def test_real_ptb() -> None:
    for unseen in UNSEEN:
        found = load_text("ptb", REAL, download=False, unseen=unseen)
        assert [len(found.train), len(found.valid), len(found.test)] == [929_589, 73_760, 82_430]
        assert len(found.words) == 10_000 and found.unseen == (0, 0)
        assert found.words[:3] == ("aer", "banknote", "berlitz") and found.train.max() == 9_999
