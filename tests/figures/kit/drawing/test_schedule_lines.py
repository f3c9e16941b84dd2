"""Hyperparameters over training: lines are the logs' numbers, bands their spread, names do not overlap."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text

from figures.kit import style
from hyperopt_hn.errors import UserError
from tests.reference.synthetic_deep import CNN, LSTM, STARTS, Writer, records
from tests.support.drawn import bands, draw, lines, log, rewrite_log, words

SHOWN = {name: name for name in CNN if "dropout" in name and name != "indropout"} | {
    "hue": "hue", "contrast": "contrast", "sat": "saturation", "bright": "brightness", "indropout": "dropout",
    "inscale": "scaling", "cutlength": "length", "cutholes": "holes",
}  # fmt: skip
SHOWN_LSTM = {
    "dropouto": "output", "dropouth": "hidden", "dropouti": "input", "dropoute": "embedding",
    "wdrop": "hidden to hidden", "alpha": "α (AR)", "beta": "β (TAR)",
}  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "run", "shown"),
    [("stn_cnn_schedules", "compare-cnn/stn", SHOWN), ("lstm_schedules", "compare-lstm/stn", SHOWN_LSTM)],
)
def test_schedules_are_the_logs_numbers(
    figure: str, run: str, shown: dict[str, str], images: list[Path], texts: list[Path]
) -> None:
    roots = images if "cnn" in figure else texts
    assert set(shown) == set(CNN if "cnn" in figure else LSTM)
    entries = log(roots[0] / run)
    one = lines(draw(figure, roots[0]))
    three = lines(draw(figure, *roots))
    assert set(one) == set(three) == set(shown.values())
    for name, label in shown.items():
        assert one[label].get_xdata().tolist() == [entry["train_steps"] for entry in entries]
        assert one[label].get_ydata().tolist() == [entry["hypers"][name] for entry in entries]
        last = statistics.mean(log(root / run)[-1]["hypers"][name] for root in roots)
        assert three[label].get_ydata()[-1] == pytest.approx(last)
    panels = [axes.get_title() for axes in draw(figure, roots[0]).axes if axes.get_title()]
    cnn = ["Dropout", "Colour jitter", "Cutout", "Input noise"]
    assert panels == (cnn if "cnn" in figure else ["Dropout", "Activation regularisation"])


def test_a_band_is_one_standard_deviation_over_the_seeds(texts: list[Path]) -> None:
    fig = draw("stn_dropouto_schedules", *texts)
    values = [log(root / "table1/stn")[5]["hypers"]["dropouto"] for root in texts]
    at = log(texts[0] / "table1/stn")[5]["train_steps"]
    mean, sd = statistics.mean(values), statistics.stdev(values)
    corners = bands(fig)[0].get_paths()[0].vertices
    found = sorted(float(y) for x, y in np.asarray(corners) if x == at)
    assert (found[0], found[-1]) == (pytest.approx(mean - sd), pytest.approx(mean + sd))
    assert "mean of 3 seeds" in words(fig).replace("\n", " ")


def test_schedules_take_the_comparison_first_and_the_single_run_else(root: Path) -> None:
    assert "compare-cnn (stn)" in words(draw("stn_cnn_schedules", root))
    shutil.rmtree(root / "compare-cnn")
    assert "cnn (network)" in words(draw("stn_cnn_schedules", root))


def test_five_starts(texts: list[Path], tmp_path: Path) -> None:
    fig = draw("stn_dropouto_schedules", texts[0])
    assert list(lines(fig)) == ["Init=0.05", "Init=0.3", "Init=0.5", "Init=0.7", "Init=0.9"]
    axes = fig.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_ylim()) == ("Iteration", "Output Dropout Rate", (0.0, 1.0))
    for arm, line in zip(STARTS, lines(fig).values(), strict=True):
        assert line.get_ydata().tolist() == [e["hypers"]["dropouto"] for e in log(texts[0] / "table1" / arm)]
    copy = Path(shutil.copytree(texts[0], tmp_path / texts[0].name))
    shutil.rmtree(copy / "table1/init70")
    assert "Init=0.7" not in lines(draw("stn_dropouto_schedules", copy))


def test_other_networks_have_panels_and_names_that_do_not_overlap(tmp_path: Path) -> None:
    hypers = {f"dropout{i}": (0.05, 0.3 + 0.002 * i) for i in range(14)}
    hypers |= {"fcdropout0": (0.05, 0.31), "fcdropout1": (0.05, 0.31), "hue": (0.05, 0.0), "cutholes": (1, 2)}
    hypers |= {"degrees": (5.0, 20.0), "shear": (5.0, 3.0), "scale": (0.05, 0.2), "translate": (0.05, 0.1)}
    write = Writer(tmp_path / "quick-cifar10-seed7", {}, 7)
    write("cnn/network", records(np.random.default_rng(0), 0.6, hypers))
    fig = draw("stn_cnn_schedules", write.root)
    titles = [axes.get_title() for axes in fig.axes]
    assert titles == ["Dropout", "Colour jitter", "Cutout", "Rotation and shear", "Scale and translation"]
    assert "Number of patches" in words(fig) and "Length" not in words(fig)
    with style.styled():
        FigureCanvasAgg(fig).draw()
        boxes = [Text.get_window_extent(text) for text in fig.findobj(Annotation) if text.get_text()]
        inside = [axes.get_window_extent() for axes in fig.axes]
    assert len(boxes) == len(hypers)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in [*boxes[:i], *inside])
    assert all(box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1 for box in boxes)


def test_a_hyperparameter_that_is_missing_in_a_record_is_told(root: Path) -> None:
    entries = log(root / "compare-cnn/stn")
    del entries[3]["hypers"]["hue"]
    rewrite_log(root / "compare-cnn/stn", entries)
    with pytest.raises(UserError, match=r"compare-cnn/stn/log.jsonl .*hypers/hue"):
        draw("stn_cnn_schedules", root)
