"""stn_cnn_schedules: how a self-tuning CNN's hyperparameters move while it trains.

MacKay et al. 2019, section 5.2 (the figure with the schedules of dropout rates, colour jitter and cutout); the
affine augmentations of Bae & Grosse 2020 get panels of their own where a run has them.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.drawing import schedule_lines
from figures.kit.drawing.schedule_lines import Line, Panel
from figures.kit.runs import Runs

READS = {"compare-cnn/stn": schedule_lines.NEEDS, "cnn/network": schedule_lines.NEEDS}
RUNS = tuple(READS)
JITTERS = {"hue": "hue", "contrast": "contrast", "sat": "saturation", "bright": "brightness"}
INPUT = {"indropout": "dropout", "inscale": "scaling"}
ANGLES = {"degrees": "rotation", "shear": "shear"}
SHIFTS = {"scale": "scale", "translate": "translation"}


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """The panels whose hyperparameters the run recorded; `others` are the same run at further seeds."""
    _, every = schedule_lines.source((runs, *others))
    return schedule_lines.draw(panels(schedule_lines.recorded(every)), every)


def panels(names: list[str]) -> list[Panel]:
    """Dropouts, jitters, cutout, input and affine, each with those of its hyperparameters that are among `names`."""
    conv = [name for name in names if name.startswith("dropout")]
    full = [name for name in names if name.startswith("fcdropout")]
    lines = schedule_lines.shades(conv)
    lines += tuple(Line(name, name, (style.RED, style.PURPLE)[i % 2], style.DASHED) for i, name in enumerate(full))
    length, holes = Line("cutlength", "length", style.BLUE), Line("cutholes", "holes", style.RED, style.DASHED)
    cut = [line for line in (length, holes) if line.name in names]
    units = {"cutlength": "Length (pixels)", "cutholes": "Number of patches"}
    right = cut[1] if len(cut) == 2 else None
    return [
        Panel("Dropout", "Rate", lines),
        Panel("Colour jitter", "Strength", schedule_lines.labelled(names, JITTERS)),
        Panel("Cutout", units[cut[0].name] if cut else "", tuple(cut[:1]), right, units["cutholes"]),
        Panel("Input noise", "Strength", schedule_lines.labelled(names, INPUT)),
        Panel("Rotation and shear", "Degrees", schedule_lines.labelled(names, ANGLES)),
        Panel("Scale and translation", "Strength", schedule_lines.labelled(names, SHIFTS)),
    ]
