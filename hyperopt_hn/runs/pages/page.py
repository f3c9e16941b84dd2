"""A page as one HTML file without a server or a network: Bokeh's code, the data and the arithmetic in it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.events import DocumentReady
from bokeh.models import ColumnDataSource, CustomJS, Div, GlyphRenderer, HoverTool, InlineStyleSheet, UIElement
from bokeh.plotting import figure
from bokeh.resources import Resources

from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.runs.reader import Run

BLUE, RED, GREEN, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#000000", "#555555"
WIDTH = 1060  # pixels
STYLE = """
:host { font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #222 }
h1 { font-size: 22px; margin: 6px 0 2px } p { margin: 4px 0; max-width: 62em } small { color: #555 }
table { border-collapse: collapse; margin: 6px 0 } th, td { padding: 3px 14px 3px 0; text-align: right }
th[scope=row] { text-align: left; font-weight: normal } thead th { border-bottom: 1px solid #888; font-weight: 600 }
td { font-variant-numeric: tabular-nums }
"""


def words(html: str, name: str = "", width: int = WIDTH) -> Div:
    """A paragraph, or whatever HTML."""
    return Div(text=html, width=width, name=name or None, stylesheets=[InlineStyleSheet(css=STYLE)])


def heading(title: str, text: str, run: Run) -> Div:
    """The page's title, what it shows, and what it was made from."""
    return words(f"<h1>{escape(title)}</h1><p>{text}</p><p><small>{escape(source(run))}</small></p>")


def source(run: Run) -> str:
    """Run, data set, preset, seed and commit in a line."""
    config = run.config
    data: dict[str, Any] = config["data"] if isinstance(config.get("data"), dict) else {}
    parts = [
        f"{config.get('experiment')}/{config.get('arm')}",
        str(data.get("note") or data.get("name") or "no data"),
        f"preset {config.get('preset')}",
        f"seed {config.get('seed')}",
        f"commit {str(config.get('commit') or 'unknown')[:7]}",
    ]
    return ", ".join(parts)


def panel(title: str, x: str, y: str, **ranges: Any) -> figure:
    """Axes with pan, zoom and reset."""
    plot = figure(title=title, x_axis_label=x, y_axis_label=y, tools="pan,wheel_zoom,box_zoom,reset",
                  toolbar_location="above", width=WIDTH // 2, height=360, **ranges)  # fmt: skip
    plot.toolbar.logo = None
    plot.xgrid.visible = plot.ygrid.visible = False
    return plot


def read_off(plot: figure, line: GlyphRenderer, x: str, y: str) -> None:
    """The line's numbers where the mouse is, under these names."""
    names = [(x, "@x{0,0.[000]}"), (y.replace("@", ""), "@y{0.0000e+0}")]
    plot.add_tools(HoverTool(renderers=[line], mode="vline", tooltips=names))


def legend_below(plot: figure) -> None:
    """The legend under the axes, where it hides no data."""
    legend = plot.legend[0]
    legend.ncols, legend.label_text_font_size, legend.border_line_alpha = 2, "12px", 0.0
    legend.spacing, legend.padding, legend.margin = 12, 0, 0
    plot.add_layout(legend, "below")


def few_ticks(plot: figure, height: int) -> None:
    """A small panel: four numbers along its upright axis and none of the marks between."""
    plot.height, plot.yaxis.ticker.desired_num_ticks, plot.yaxis.ticker.num_minor_ticks = height, 4, 0
    plot.xaxis.ticker.num_minor_ticks = 0


def script(module: str, **arguments: Any) -> CustomJS:
    """The script beside a module's file, NAME.js beside NAME.py, with these names in it."""
    return CustomJS(args=arguments, code=Path(module).with_suffix(".js").read_text(encoding="utf-8"))


def table_source(*columns: str) -> ColumnDataSource:
    """The numbers that a script fills in, by the name "numbers"."""
    return ColumnDataSource({column: [] for column in columns}, name="numbers")


def write(path: Path, title: str, layout: UIElement, ready: CustomJS | None = None) -> Path:
    """The page, atomically; `ready` runs when it has opened."""
    document = Document(title=title)
    document.add_root(layout)
    if ready is not None:
        document.js_on_event(DocumentReady, ready)
    html = file_html(document, Resources(mode="inline"), title)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: file.write(html.encode()))
    return path
