"""What stands on the figures comes from the runs: lines move with them, limits and words follow them."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from figures.catalogue import SHEETS, choose
from figures.kit import render, style
from figures.kit.drawing import loss_lines
from figures.kit.roots import expand
from figures.kit.runs import Needs
from hyperopt_hn.errors import UserError
from tests.reference.synthetic_deep import write_deep
from tests.reference.synthetic_runs import write_all
from tests.support.drawn import DEEP


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of toy; those of deep are beside them."""
    parent = tmp_path_factory.mktemp("runs")
    write_deep(parent)
    write_deep(parent, data="ptb")
    return write_all(parent)


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / pristine.name))


def draw(name: str, *roots: Path) -> Figure:
    return SHEETS[name].draw(*render.gather(choose([name]), roots)[name])


def rewrite(npz: Path, **changes: Any) -> None:
    with np.load(npz) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    np.savez(npz, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]


def line(fig: Figure, label: str) -> Any:
    """The one line whose legend entry begins with `label`."""
    found = [one for axes in fig.axes for one in axes.lines if str(one.get_label()).startswith(label)]
    assert len(found) == 1, [one.get_label() for axes in fig.axes for one in axes.lines]
    return found[0]


def words(fig: Figure) -> str:
    """Every text; the small print, which is wrapped, also as one line."""
    texts = [text.get_text() for text in fig.findobj(Text)]
    return "\n".join([*texts, *(text.replace("\n", " ") for text in texts)])


@pytest.mark.parametrize("name", ["hypernets_global_small", "hypernets_local_small"])
def test_the_optimum_line_stands_where_crossval_found_it(name: str, root: Path) -> None:
    for optimum in (0.25, 2.5):
        rewrite(root / "crossval/truth/arrays.npz", optimum_lambda=optimum)
        assert set(line(draw(name, root), "Optimal hyper").get_xdata()) == {optimum}


def test_the_curves_are_the_runs_arrays(pristine: Path) -> None:
    runs = render.gather(choose(["hypernets_local_small"]), [pristine])["hypernets_local_small"][0]
    fig = SHEETS["hypernets_local_small"].draw(runs)
    for word, split in (("Train", "train"), ("Valid.", "valid")):
        net, truth = line(fig, f"{word} loss of\nhypernet"), line(fig, f"{word} loss of\noptimized")
        np.testing.assert_array_equal(net.get_ydata(), runs["local-small/hypernet"].arrays[f"curve_{split}"])
        np.testing.assert_array_equal(truth.get_ydata(), runs["crossval/truth"].arrays[f"cross_{split}"])


def test_the_sampling_distribution_is_the_real_one(root: Path) -> None:
    npz = root / "local-small/hypernet/arrays.npz"
    rewrite(npz, sigma=0.3, lambda_hat=0.5)
    bump = line(draw("hypernets_local_small", root), "$p(")
    lam, height = (np.asarray(values) for values in bump.get_data())
    assert lam[np.argmax(height)] == pytest.approx(0.5)
    assert np.sqrt(np.average((lam - 0.5) ** 2, weights=height)) == pytest.approx(0.3, rel=0.01)
    for sigma, told in ((0.0, "sd 0,\nall at the arrow"), (1e-5, "sd 1e-05,\nall within the arrow")):
        rewrite(npz, sigma=sigma)
        mark = line(draw("hypernets_local_small", root), "$p(")
        assert set(mark.get_xdata()) == {0.5} and told in mark.get_label()
        assert r"$\hat{\lambda} = 0.50$" in words(draw("hypernets_local_small", root))


@pytest.mark.parametrize(("tuned", "marker"), [(-5.0, "<"), (0.5, "^"), (9.0, ">")])
def test_the_tuned_hyperparameter_is_marked_also_beyond_the_axes(tuned: float, marker: str, root: Path) -> None:
    rewrite(root / "global-small/hypernet/arrays.npz", tuned_lambda=tuned)
    mark = line(draw("hypernets_global_small", root), "Tuned")
    assert mark.get_marker() == marker and ("outside" in mark.get_label()) == (marker != "^")


def test_the_manifolds_mark_what_the_run_found(root: Path) -> None:
    rewrite(root / "loss-manifold/closed-form/arrays.npz", lam_hat=0.4, lam_hat_w=-0.3, lam_hat_loss=-0.2,
            optimum_best_lam=0.15, optimum_best_w=0.3, optimum_best_loss=0.5)  # fmt: skip
    star = line(draw("valid_loss_manifold", root), r"$\mathrm{w}^*(\lambda^*)")
    assert [float(np.squeeze(value)) for value in star.get_data_3d()] == [0.3, 0.15, 0.5]
    star = line(draw("train_loss_manifold", root), r"$\mathrm{w}^*(\hat{\lambda})")
    assert [float(np.squeeze(value)) for value in star.get_data_3d()] == [-0.3, 0.4, -0.2]


def test_the_networks_are_named_by_the_sizes_that_the_runs_left(root: Path) -> None:
    assert "64-100-100-10, valid." in words(draw("compare_number_layers", root))
    np.savez(root / "depth/linear/arrays.npz", layers=[5, 3])
    np.savez(root / "depth/two-hidden/arrays.npz")
    told = words(draw("compare_number_layers", root))
    assert "5-3, test" in told and "two hidden layers, test" in told


def test_a_search_is_drawn_from_the_end_of_its_first_trial_on(root: Path) -> None:
    log = root / "local-medium/random/log.jsonl"
    count = len(log.read_text().splitlines())
    lines = [text.replace('"step": 0', '"trials": 0, "step": 0') for text in log.read_text().splitlines()]
    log.write_text("\n".join(lines) + "\n")
    assert len(line(draw("hypernets_local_medium", root), "Random search, valid").get_xdata()) == count - 1


def test_published_limits_are_for_the_papers_settings_on_mnist_alone(pristine: Path, tmp_path: Path) -> None:
    paper = write_all(tmp_path, preset="paper", data="mnist")
    published = {
        "hypernets_local_small": (-1.5, 3.8), "hypernets_local_large": (0.038, 0.044), "ax1_scatter": (0.6, 1.1),
        "compare_number_layers": (0.01, 0.08),
    }  # fmt: skip
    for name, limits in published.items():
        assert draw(name, paper).axes[0].get_ylim() == pytest.approx(limits), name
        assert draw(name, pristine).axes[0].get_ylim() != pytest.approx(limits), name
    changed = Path(shutil.copytree(paper, tmp_path / "paper+steps=9-mnist-seed7"))
    fig = draw("hypernets_local_small", changed)
    assert fig.axes[0].get_ylim() != pytest.approx((-1.5, 3.8))
    assert "paper+steps=9" in words(fig)


def test_an_end_beyond_the_published_window_is_still_shown(tmp_path: Path) -> None:
    paper = write_all(tmp_path, preset="paper", data="mnist")
    log = paper / "local-large/random/log.jsonl"
    log.write_text(log.read_text().replace('"test_mse": 0.', '"test_mse": 9.'))
    assert draw("hypernets_local_large", paper).axes[0].get_ylim()[1] > 9.0


@pytest.mark.parametrize("name", SHEETS)
def test_every_figure_is_signed_legible_and_keeps_its_legend_off_the_data(name: str, pristine: Path) -> None:
    fig = draw(name, *expand([pristine.parent]))
    with style.styled():
        FigureCanvasAgg(fig).draw()
        legends = [legend.get_window_extent() for legend in fig.legends]
        boxes = [axes.get_window_extent() for axes in fig.axes if not hasattr(axes, "get_zlim")]
    assert not any(legend.overlaps(box) for legend in legends for box in boxes)
    assert all(axes.get_legend() is None for axes in fig.axes)
    told = words(fig).replace("\n", " ")
    data = "closed form" if "manifold" in name else "digits"
    if name in DEEP:
        data = "CIFAR-10 JPEG copy" if "cnn" in name else "PTB"
    assert f"{data}, preset quick, seed 7, commit 5e1f0c2" in told
    assert ("embedded" in told) == (data == "digits")
    shown = [text for text in fig.findobj(Text) if text.get_text()]
    footer = [text for text in shown if "preset quick" in text.get_text().replace("\n", " ")]
    assert len(footer) == 1 and footer[0].get_fontsize() == 6.0
    assert min(float(text.get_fontsize()) for text in shown if text not in footer) >= 7.0
    width = fig.get_figwidth()
    assert width in (style.COLUMN, style.PAGE) or ("table" in name and style.COLUMN < width < style.PAGE)
    edge = fig.bbox
    for text in fig.findobj(Text):
        if text.get_text() and text.get_visible() and text in fig.texts:
            box = text.get_window_extent()
            assert box.x0 >= edge.x0 and box.x1 <= edge.x1 and box.y0 >= edge.y0, text.get_text()


def test_a_search_shows_the_best_trial_so_far_and_that_trials_test_loss() -> None:
    arm = loss_lines.ArmLine("local-medium/random", "Random search", "k", "o", best=True)
    needs = Needs(columns=("valid_loss", "test_loss"))
    runs: Any = {arm.run: _Recorded([3.0, 5.0, 2.0, 2.0, 4.0], [9.0, 1.0, 8.0, 0.0, 1.0])}
    valid = loss_lines.course(arm, "valid", "loss", [runs], needs)
    test = loss_lines.course(arm, "test", "loss", [runs], needs)
    assert valid.mean.tolist() == [3.0, 3.0, 2.0, 2.0, 2.0]
    assert test.mean.tolist() == [9.0, 9.0, 8.0, 8.0, 8.0]
    assert loss_lines._look(arm, "test")["drawstyle"] == "steps-post" and not test.spread.any()


def test_seeds_are_averaged_on_one_clock() -> None:
    arm = loss_lines.ArmLine("depth/linear", "linear", "k", "o")
    needs = Needs(columns=("valid_loss", "test_loss"))
    fast: Any = {arm.run: _Recorded([4.0, 2.0, 0.0], [0.0] * 3, np.array([1.0, 2.0, 3.0]))}
    slow: Any = {arm.run: _Recorded([4.0, 2.0, 0.0], [0.0] * 3, np.array([2.0, 4.0, 6.0]))}
    course = loss_lines.course(arm, "valid", "loss", [fast, slow], needs)
    assert (course.at[0], course.at[-1]) == (2.0, 3.0)
    assert (course.mean[0], course.mean[-1]) == (3.0, 2.0)
    assert course.spread[0] == pytest.approx(np.sqrt(2.0))


def test_a_folder_of_roots_means_its_seeds(tmp_path: Path) -> None:
    roots = [write_all(tmp_path, seed=seed) for seed in (10, 9)]
    assert expand([tmp_path]) == roots[::-1]
    fig = draw("compare_number_layers", *expand([tmp_path]))
    assert "seeds 9, 10" in words(fig) and "mean of 2 seeds" in words(fig)
    assert "seed 9," in words(draw("hypernets_global_small", *expand([tmp_path])))
    write_all(tmp_path, preset="smoke")  # several settings may be side by side, but not on one figure
    with pytest.raises(UserError, match=r"several settings \(quick-digits, smoke-digits\); name one of them"):
        draw("compare_number_layers", *expand([tmp_path]))


def test_a_further_root_joins_with_all_of_a_figures_runs_or_none(tmp_path: Path) -> None:
    first, second = (write_all(tmp_path, seed=seed) for seed in (1, 2))
    shutil.rmtree(second / "depth")
    assert len(render.gather(choose(["compare_number_layers"]), [first, second])["compare_number_layers"]) == 1
    shutil.rmtree(second / "local-medium/tpe")
    with pytest.raises(UserError, match="local-medium/tpe"):
        render.gather(choose(["hypernets_local_medium"]), [first, second])


def test_one_seed_twice_is_no_spread(pristine: Path, root: Path) -> None:
    with pytest.raises(UserError, match="same seed 7"):
        draw("hypernets_local_medium", pristine, root)


def test_unrolled_is_drawn_when_its_run_exists(root: Path) -> None:
    assert "Unrolled, valid." in words(draw("hypernets_local_large", root))
    shutil.rmtree(root / "local-large/unrolled")
    assert "Unrolled" not in words(draw("hypernets_local_large", root))


class _Recorded:
    """Stands in for a Run with a log of two columns."""

    def __init__(self, valid: list[float], test: list[float], seconds: np.ndarray | None = None) -> None:
        self.columns = {"valid_loss": np.array(valid), "test_loss": np.array(test)}
        self.seconds = np.arange(len(valid), dtype=float) if seconds is None else seconds

    def column(self, key: str) -> np.ndarray:
        return self.columns.get(key, np.full(len(self.seconds), np.nan))


@pytest.mark.parametrize("name", SHEETS)
def test_the_small_print_fills_its_lines_and_takes_little_of_the_figure(name: str, pristine: Path) -> None:
    fig = draw(name, *expand([pristine.parent]))
    with style.styled():
        FigureCanvasAgg(fig).draw()
        (footer,) = [text for text in fig.texts if "preset quick" in text.get_text().replace("\n", " ")]
        box = footer.get_window_extent()
    lines = footer.get_text().split("\n")
    assert box.height < 0.2 * fig.bbox.height or ("table" in name and box.height < 0.4 * fig.bbox.height)
    assert not any(line.startswith("\N{MIDDLE DOT}") for line in lines)
    whole = box.width * len(" ".join(lines)) / max(map(len, lines))  # as one line
    assert whole > 0.75 * (len(lines) - 1) * fig.bbox.width  # no line more than the width asks for


@pytest.mark.parametrize("name", ["cnn_table", "table1"])
def test_a_tables_columns_keep_apart_and_fill_the_picture(name: str, pristine: Path) -> None:
    fig = draw(name, *expand([pristine.parent]))
    with style.styled():
        FigureCanvasAgg(fig).draw()
        rows: dict[float, list[Any]] = {}
        for text in fig.axes[0].texts:
            if text.get_text():
                rows.setdefault(text.get_position()[1], []).append(text.get_window_extent())
    for boxes in rows.values():
        boxes.sort(key=lambda box: box.x0)
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    every = [box for boxes in rows.values() for box in boxes]
    assert min(box.x0 for box in every) < 0.03 * fig.bbox.width
    assert 0.95 * fig.bbox.width < max(box.x1 for box in every) <= fig.bbox.width


def test_the_surrogates_ranges_are_those_of_the_data_and_shared(root: Path) -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(1.0, 2.0, 400)
    found = {
        "gp": true + 0.1 * rng.standard_normal(400),
        "stochastic": true + 0.1,
        "fixed": true + rng.uniform(-9, 9, 400),
    }
    rewrite(root / "weights-vs-loss/surrogates/arrays.npz", true=true, gp_fair=true, **found)
    panels = draw("learn_vs_true_loss_scatter", root).axes
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    low, high = panels[0].get_xlim()
    assert 0.9 < low < 1.01 and 1.99 < high < 2.1
    low, high = panels[0].get_ylim()
    assert low < 0.99 and high > 2.01 and high - low < 1.8 * 1.3  # nine off the diagonal does not set the range
    panels = draw("learn_vs_true_loss_hist", root).axes
    low, high = panels[0].get_xlim()
    assert -0.5 < low < -0.2 and 0.2 < high < 0.5


@pytest.mark.parametrize(("tuned", "side"), [(0.4, "right"), (0.6, "left")])
def test_the_words_at_the_arrow_stand_away_from_the_optimums_line(tuned: float, side: str, root: Path) -> None:
    rewrite(root / "crossval/truth/arrays.npz", optimum_lambda=0.5)
    rewrite(root / "local-small/hypernet/arrays.npz", sigma=0.0, lambda_hat=tuned)
    (note,) = [text for text in draw("hypernets_local_small", root).axes[0].texts if "hat" in text.get_text()]
    assert note.get_horizontalalignment() == side
