"""Small runs to disturb: what each is after `python`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COMMON = ("--preset", "smoke", "--data", "digits", "--seed", "3", "--resume")
SELF_TUNER = """
import sys
from hyperopt_hn import UserError
from tests.support.self_tuned import data, self_tuner
try:
    self_tuner(seed=3).fit(*data(), steps=8, batch_size=50, out=sys.argv[1], resume=True, quiet=True)
except UserError as error:
    sys.exit(print(f"error: {error}", file=sys.stderr) or 2)
except KeyboardInterrupt as error:
    sys.exit(print(error or "interrupted", file=sys.stderr) or 130)
"""
SEARCH = (
    "-m", "deep", "compare-cnn", *COMMON, "--arms", "random", "--study", "shared",
    "--n-train", "100", "--n-valid", "50", "--n-test", "50", "--max-steps", "6", "--trial-steps", "2",
)  # fmt: skip


@dataclass(frozen=True)
class Small:
    """A run that leaves the same bytes whenever it is made; {folder} in a word is where, {url} a database."""

    words: tuple[str, ...]

    def at(self, folder: Path, url: str = "") -> list[str]:
        """The words after `python`."""
        return [word.replace("{folder}", str(folder)).replace("{url}", url) for word in self.words]


SMALL = {
    "toy": Small(("-m", "toy", "local-small", *COMMON, "--steps", "40", "--out", "{folder}")),
    "self-tuner": Small(("-c", SELF_TUNER, "{folder}/run")),
    "journal": Small((*SEARCH, "--storage", "journal:{folder}/study.log", "--out", "{folder}")),
    "sqlite": Small((*SEARCH, "--storage", "sqlite:///{folder}/study.db", "--out", "{folder}")),
    "postgresql": Small((*SEARCH, "--storage", "{url}", "--out", "{folder}")),
}
