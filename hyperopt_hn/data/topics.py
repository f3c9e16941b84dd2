"""English that needs no network: the help topics that every Python brings along (pydoc_data.topics).

The text differs a little between versions of Python, which its hash shows. It is brought into PTB's form: lower
case, numbers as N, rare words as <unk>, a sentence or so to a line.
"""

from __future__ import annotations

import platform
import re
from collections import Counter

from hyperopt_hn.errors import UserError

RAREST = 3
"""A word that occurs less often than this in the training text is <unk>."""
CUTS = (0.8, 0.9)
"""Shares of the paragraphs at which valid and test begin."""
TITLE = f"the help topics of Python {'.'.join(platform.python_version_tuple()[:2])}"
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+(?:\.[0-9]+)*|[^\sa-z0-9]")


def read_topics() -> dict[str, str]:
    """The text of each split, a paragraph a line. Raises UserError where Python lacks its topics.

    Topics repeat whole sections of each other, so that paragraphs are compared first and each is kept once: no
    test paragraph occurs in the training text. Neighbours stay together, in the order of the topics' names.
    """
    try:
        from pydoc_data.topics import topics as found
    except ImportError:
        raise UserError("this Python lacks pydoc_data: install its standard library, or name a text") from None
    paragraphs: dict[str, None] = {}
    for _, text in sorted(found.items()):
        for paragraph in re.split(r"\n\s*\n", text.lower()):
            words = ["N" if word[0].isdigit() else word for word in WORD.findall(paragraph)]
            if sum(word.isalpha() for word in words) > len(words) / 2:  # prose, not a table, a rule or a program
                paragraphs[" ".join(words)] = None
    lines = list(paragraphs)
    first, second = (int(share * len(lines)) for share in CUTS)
    parts = {"train": lines[:first], "valid": lines[first:second], "test": lines[second:]}
    counts = Counter(word for line in parts["train"] for word in line.split())
    return {split: "".join(_known(line, counts) for line in part) for split, part in parts.items()}


def _known(line: str, counts: Counter[str]) -> str:
    return " ".join(word if counts[word] >= RAREST else "<unk>" for word in line.split()) + "\n"
