"""The CNNs' hyperparameters by name: ranges and starts as published, and which of them a network and images have.

MacKay et al. 2019 (STN) tune 15 of AlexNet's and 11 of SmallCNN's, Bae & Grosse 2020 (Δ-STN) 18 of AlexNet's and 26
of VGG16's. Every one is perturbed for each example. Lengths in pixels, angles in degrees, the rest rates and factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deep.augment.pipeline import AFFINE
from hyperopt_hn.errors import UserError
from hyperopt_hn.space import Hyper

JITTERS = ("hue", "contrast", "sat", "bright")
COLOUR = ("hue", "sat")
INPUT = ("indropout", "inscale")
CUTOUT = ("cutlength", "cutholes")
STARTS = {"cutlength": 4.0, "cutholes": 1.0, "degrees": 5.0, "shear": 5.0}
START = 0.05
TOPS = {"hue": 0.5, "contrast": 1.0, "sat": 1.0, "bright": 1.0, "indropout": 1.0, "inscale": 0.3}
TOPS |= {"degrees": 45.0, "shear": 45.0, "scale": 0.5, "translate": 0.5}
LONGEST_CUT = 24
"""The published code promises lengths 0..24; its range ends at 23, and its start of 4 was rounded to 3."""
RANGES = ("stn", "delta")
MOST_DROPPED = {"stn": 0.9, "delta": 0.95}
LEAST_CUT = {"stn": 0, "delta": 2}
MOST_HOLES = {"stn": 3, "delta": 4}
"""The floor of the published ranges (0, 4) and (0, 5)."""


@dataclass(frozen=True)
class Setting:
    """What decides which hyperparameters there are."""

    model: str
    dropouts: tuple[str, ...]
    """Names of the network's dropouts, in its order."""
    channels: int = 3
    side: int = 32
    ranges: str = "stn"
    """Whose ranges: "stn" or "delta"."""


def cnn_hypers(setting: Setting) -> tuple[Hyper, ...]:
    """Those of this network on these images, in the published order: STN's, then the affine map's."""
    low, high = LEAST_CUT[setting.ranges], min(LONGEST_CUT, setting.side)
    behind = tuple(name for name in setting.dropouts if not name.startswith("fc"))
    units = tuple(name for name in setting.dropouts if name.startswith("fc"))
    discrete = {"cutlength": (low, max(high, low + 1)), "cutholes": (0, MOST_HOLES[setting.ranges])}
    names = (*behind, *_jitters(setting.channels), *INPUT, *CUTOUT, *units, *AFFINE)
    return tuple(_hyper(name, setting.ranges, discrete) for name in names)


def groups(setting: Setting) -> dict[str, tuple[str, ...]]:
    """Group -> names, for --tune, --fix and --init: stn and delta are what those papers tune."""
    jitters = _jitters(setting.channels)
    return {
        "all": tuple(hyper.name for hyper in cnn_hypers(setting)),
        "stn": (*setting.dropouts, *jitters, *INPUT, *CUTOUT),
        "delta": (*setting.dropouts, *jitters, *CUTOUT, *AFFINE),
        "dropouts": setting.dropouts,
        "jitters": jitters,
        "cutout": CUTOUT,
        "affine": AFFINE,
        "input": INPUT,
    }


def check_words(words: Iterable[str], setting: Setting) -> None:
    """Raise UserError for a hyperparameter that exists, but not with this network or these images."""
    known = {hyper.name for hyper in cnn_hypers(setting)}
    for word in words:
        if word in known or word in groups(setting):
            continue
        if word in JITTERS:
            what = "gray images" if setting.channels == 1 else f"images of {setting.channels} channels"
            raise UserError(f"{what} have no {word!r}; leave it out, or choose images in colour with --data")
        if word.removeprefix("fc").removeprefix("dropout").isdigit():
            there = ", ".join(setting.dropouts)
            raise UserError(f"the network {setting.model!r} has no {word!r}; its dropouts are {there}")


def check_cutout(names: Sequence[str]) -> None:
    """Raise UserError for a number of patches without their length."""
    if "cutholes" in names and "cutlength" not in names:
        raise UserError("cutholes does nothing without cutlength; add cutlength to --tune or to --fix")


def words(*lists: str) -> list[str]:
    """The names in comma-separated lists, which may be followed by "=value"."""
    return [part.split("=")[0].strip() for text in lists for part in text.split(",") if part.strip()]


def _jitters(channels: int) -> tuple[str, ...]:
    """Those that images of so many channels have: brightness and contrast need gray or colour, the others colour."""
    if channels == 3:
        return JITTERS
    return tuple(name for name in JITTERS if name not in COLOUR) if channels == 1 else ()


def _hyper(name: str, ranges: str, discrete: Mapping[str, tuple[int, int]]) -> Hyper:
    if name in discrete:
        low, high = discrete[name]
        return Hyper(name, max(min(STARTS[name], high), low), low, high, discrete=True)
    return Hyper(name, STARTS.get(name, START), 0.0, TOPS.get(name, MOST_DROPPED[ranges]))
