"""Texts as the language model reads them: words that training lacks marked, perhaps only the start of a text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hyperopt_hn.data.text import UNKNOWN, Text, load_text


def read_text(name: str, root: Path | None) -> Text:
    """The text of that name (see `load_text`); words of valid and test that train lacks are <unk>. PTB has none."""
    return load_text(name, root, unseen="unknown")


def shortened(text: Text, train: int, valid: int, test: int) -> Text:
    """The first so many words of each split, 0 for all of it.

    The vocabulary shrinks to the training words that are left: others become <unk>, so that no word is scored that
    nothing could have taught.
    """
    streams = [ids[: limit or None] for ids, limit in ((text.train, train), (text.valid, valid), (text.test, test))]
    if len(streams[0]) == len(text.train):
        return replace(text, valid=streams[1], test=streams[2])
    kept = np.unique(streams[0])
    names = [text.words[i] for i in kept]
    if UNKNOWN not in names:
        names.append(UNKNOWN)
    table = np.full(len(text.words), names.index(UNKNOWN), np.int32)
    table[kept] = np.arange(len(kept), dtype=np.int32)
    seen = np.zeros(len(text.words), bool)
    seen[kept] = True
    lost = tuple(int((~seen[ids]).sum()) for ids in streams[1:])
    numbered = [table[ids] for ids in streams]
    return replace(
        text, train=numbered[0], valid=numbered[1], test=numbered[2], words=tuple(names), unseen=(lost[0], lost[1])
    )
