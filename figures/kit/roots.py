"""Folders of runs by their names: which there are, where a figure's runs are expected, the command that makes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.reader import recorded_command

DASHED = ("fashion-mnist", "cifar10-jpeg")
"""Data sets with a dash in their names; a dash elsewhere before the data's name belongs to a setting (1e-3)."""
ROOT_NAME = re.compile(rf"(?P<preset>[^+-]+)(?P<changed>\+.+?)?-(?P<data>{'|'.join(DASHED)}|[^-]+)-seed(?P<seed>\d+)")
"""<preset>[+<setting>=<value>...]-<data>-seed<seed>; many changed settings are named by their hash."""
TEXT_NAMES = re.compile(r"ptb|topics|.+\.txt")  # names of texts; other data are images
ALIKE = ("n_train", "n_valid", "n_test")
"""Settings that mean the same in every experiment: which data there are."""
USUAL_PARENT = Path("runs")  # where the command lines put run directories by default


@dataclass(frozen=True)
class Maker:
    """The command line that makes a figure's runs, for those that are not there."""

    program: str
    """The module."""
    subcommands: bool = False
    """Whether the experiment "compare-cnn" is typed as two words."""
    texts: bool = False
    """Whether the runs are on texts; else on images."""

    def words(self, experiment: str) -> list[str]:
        """What is typed to have an experiment run."""
        return ["python", "-m", self.program, *(experiment.split("-") if self.subcommands else [experiment])]


TOY = Maker("toy")
IMAGES = Maker("deep", subcommands=True)
TEXTS = Maker("deep", subcommands=True, texts=True)


def expand(paths: Iterable[Path]) -> list[Path]:
    """Roots named by the user; a folder that holds roots (`<preset>-<data>-seed<seed>`) means all of them.

    Within such a folder the roots are taken by setting and rising seed. Raises UserError when a path is no folder.
    """
    roots: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise UserError(f"no run directory at {path}; name one such as runs/quick-digits-seed7, or make runs first")
        inner = sorted(
            (child for child in path.iterdir() if _is_root(child)), key=lambda child: (setting(child), _seed(child))
        )
        roots.extend([path] if _is_root(path) or not inner else inner)
    return list(dict.fromkeys(roots))


def setting(root: Path) -> str:
    """What a root's name says of its runs beside the seed, <preset>[+...]-<data>; "" for a folder named otherwise."""
    name = root.resolve().name
    return name.rsplit("-seed", 1)[0] if ROOT_NAME.fullmatch(name) else ""


def fits(root: Path, maker: Maker) -> bool:
    """Whether a maker's runs can be on the data that the root's name gives: texts and images do not mix."""
    match = ROOT_NAME.fullmatch(root.resolve().name)
    return match is None or (TEXT_NAMES.fullmatch(match["data"]) is not None) == maker.texts


def command(root: Path, name: str, maker: Maker) -> str:
    """The command that makes run `name` ("experiment/arm") for figures of `root`, as the root's folder name says.

    Settings changed for another experiment are left out where they mean something else: `--steps` of a hypernetwork
    are not the steps of the networks that it is compared with.
    """
    words = maker.words(name.split("/", 1)[0])
    match = ROOT_NAME.fullmatch(root.resolve().name)
    if match is not None:
        words += ["--preset", match["preset"], *(["--data", match["data"]] if fits(root, maker) else [])]
        words += ["--seed", match["seed"]]
        changed = (match["changed"] or "") if _of_experiment(root, name) else shared_settings(match["changed"] or "")
        for setting in changed.split("+")[1:]:
            field, equals, value = setting.partition("=")
            words += [f"--{field.replace('_', '-')}", value] if equals else ["<settings of this folder>"]
    return shlex.join([*words, *_out(root)])


def run_folder(root: Path, name: str) -> Path:
    """Where run `name` is for figures of `root`: under it or, of another experiment, under the root beside it whose
    name keeps only the settings that mean the same there."""
    match = ROOT_NAME.fullmatch(root.resolve().name)
    if match is not None and match["changed"] and not _of_experiment(root, name):
        kept = shared_settings(match["changed"])
        return root.parent / f"{match['preset']}{kept}-{match['data']}-seed{match['seed']}" / name
    return root / name


def shared_settings(changed: str) -> str:
    """Of changed settings as a root's name spells them ("+n_train=20+steps=9") those of equal meaning everywhere."""
    kept = [setting for setting in changed.split("+")[1:] if setting.partition("=")[0] in ALIKE]
    return "".join(f"+{setting}" for setting in kept)


def _of_experiment(root: Path, name: str) -> bool:
    """Whether the root's changed settings were given to this run's experiment: unless it has runs of others alone.

    Settings that the name gives as a hash are taken to be.
    """
    match = ROOT_NAME.fullmatch(root.resolve().name)
    if match is None or not all("=" in setting for setting in (match["changed"] or "").split("+")[1:]):
        return True
    return (root / name.split("/", 1)[0]).is_dir() or not any(root.glob("*/*/config.json"))


def again(root: Path, name: str, maker: Maker) -> str:
    """What makes a run again: the command that it recorded, or its maker's where there is none to be read."""
    if words := recorded_command(run_folder(root, name)):
        return shlex.join([*words, *_out(root), "--overwrite"])
    return f"{command(root, name, maker)} --arms {Path(name).name} --overwrite"


def _out(root: Path) -> list[str]:
    return [] if root.parent == USUAL_PARENT else ["--out", str(root.parent)]


def _is_root(path: Path) -> bool:
    return path.is_dir() and ROOT_NAME.fullmatch(path.resolve().name) is not None


def _seed(path: Path) -> int:
    return int(path.name.rsplit("seed", 1)[1])
