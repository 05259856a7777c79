"""The pictures: equity against buy-and-hold, drawdown, exposure. matplotlib is used only here."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cq.backtest import BacktestResult
from cq.backtest.metrics import drawdown
from cq.report.curves import averaged, thinned

INK, QUIET, LINE = "#0f172a", "#64748b", "#e2e8f0"
OURS, HOLD, LOSS = "#2563eb", "#94a3b8", "#dc2626"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "cq",
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "text.color": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Shape:
    """How large a picture is, and how many dates fit below it."""

    name: str
    inches: tuple[float, float]
    dates: int


WIDE = Shape("wide", (7, 6.8), 9)
NARROW = Shape("narrow", (4.2, 6.2), 5)
"""For a phone, where the wide one would be shrunk until nobody can read it."""


def figure(result: BacktestResult, shape: Shape = WIDE) -> Figure:
    """Three panels over one time axis: equity, drawdown, exposure."""
    with mpl.rc_context(STYLE):
        made = Figure(figsize=shape.inches, layout="constrained")
        money, fall, held = made.subplots(3, 1, sharex=True, height_ratios=[3.2, 1.3, 0.9])
        _equity(money, result, shape)
        _drawdown(fall, result)
        _exposure(held, result)
        locator = AutoDateLocator(minticks=3, maxticks=shape.dates)  # type: ignore[no-untyped-call]
        held.xaxis.set_major_locator(locator)
        dates = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        held.xaxis.set_major_formatter(dates)
        for axes in (money, fall, held):
            axes.tick_params(length=0, pad=6)
            axes.margins(x=0.01)
        held.tick_params(axis="x", pad=14)  # below the lowest label of the other axis
        _lay_out(made)
    return made


def _lay_out(made: Figure) -> None:
    """Make room for every label, once for all pictures that are drawn of it."""
    FigureCanvasAgg(made)
    engine = made.get_layout_engine()
    assert engine is not None
    engine.execute(made)
    made.set_layout_engine("none")


def write_png(made: Figure, path: Path) -> None:
    """The picture as a file."""
    with mpl.rc_context(STYLE):
        FigureCanvasAgg(made)
        made.savefig(path, dpi=130, metadata={"Software": None})


def svg(made: Figure, shape: Shape = WIDE) -> str:
    """The picture as text to stand inside a page; as wide as the page lets it be.

    What a picture refers to by name is called otherwise in each shape: both stand in one page.
    """
    text = io.StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": shape.name}):
        FigureCanvasSVG(made)
        made.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r' xmlns(:xlink)?="[^"]*"', "", drawing)
    drawing = drawing.replace("xlink:href", "href")
    used = set(re.findall(r"#([\w.-]+)", drawing))
    names = re.compile(r' id="([^"]*)"')
    drawing = names.sub(lambda name: name[0] if name[1] in used else "", drawing)
    return drawing.replace("<svg", f'<svg class="{shape.name}"', 1)


def _times(ts: Any) -> Any:
    return np.asarray(ts).astype("datetime64[ns]")


def _equity(axes: Any, result: BacktestResult, shape: Shape) -> None:
    ts, equity = result.equity["ts"].to_numpy(), result.equity["equity"].to_numpy()
    held = result.held
    for values, label, color, width in (
        (held, "buy and hold", HOLD, 1.0),
        (equity, result.name.replace("$", r"\$"), OURS, 1.6),
    ):
        rows = thinned(values)
        axes.plot(_times(ts[rows]), values[rows], color=color, linewidth=width, label=label)
    lowest, highest = min(equity.min(), held.min()), max(equity.max(), held.max())
    if lowest > 0 and highest / lowest > 4:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: money(value)))
    axes.set_title("Equity", loc="left", fontweight="bold", fontsize=11.5)
    columns = 2 if shape is WIDE else 1
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, borderpad=0.1)


def _drawdown(axes: Any, result: BacktestResult) -> None:
    ts = result.equity["ts"].to_numpy()
    fall = drawdown(result.equity["equity"].to_numpy(), result.cash)
    rows = thinned(fall)
    axes.fill_between(_times(ts[rows]), fall[rows], 0, color=LOSS, alpha=0.25, linewidth=0)
    axes.plot(_times(ts[rows]), fall[rows], color=LOSS, linewidth=0.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_title("Drawdown", loc="left", fontweight="bold", fontsize=11.5)


def _exposure(axes: Any, result: BacktestResult) -> None:
    when, share = averaged(result.equity["exposure"].to_numpy(), result.equity["ts"].to_numpy())
    axes.fill_between(_times(when), share, 0, color=OURS, alpha=0.35, linewidth=0, step="post")
    axes.set_ylim(0, max(1.0, float(share.max(initial=0.0)) * 1.05))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_title("Invested", loc="left", fontweight="bold", fontsize=11.5)


def money(value: float) -> str:
    """An amount short enough for an axis: 950, 12k, 3.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
