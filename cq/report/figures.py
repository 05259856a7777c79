"""Charts as PNG files. matplotlib is used only here and for heat maps: pages do without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from cq.report.panels import FALLING, INK, LINE, QUIET, RISING, Chart, Mark, Panel

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
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
INCHES: Final = (9.0, 2.2)
"""Width, and the height of one part of a panel."""


def figure(chart: Chart) -> Figure:
    """The chart: its panels one below the other, over one axis."""
    heights = [panel.height for panel in chart.panels]
    tall = INCHES[1] * sum(heights) + 0.35 * len(heights) + 0.3
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(INCHES[0], tall), layout="constrained")
        every = made.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
        for axes, panel in zip(every[:, 0], chart.panels, strict=True):
            _draw(axes, panel)
        axes = every[-1, 0]
        ticks = chart.ticks(9)
        axes.set_xticks([at for at, _ in ticks], [label for _, label in ticks])
        axes.set_xlim(*chart.span)
    return made


def write_png(made: Figure, path: Path) -> None:
    """The picture as a file."""
    with mpl.rc_context(STYLE):
        FigureCanvasAgg(made)
        made.savefig(path, dpi=130, metadata={"Software": None})


def _draw(axes: Any, panel: Panel) -> None:
    if panel.log:
        axes.set_yscale("log")
    axes.set_ylim(*panel.reach)
    axes.set_yticks(panel.ticks, panel.labels)
    axes.yaxis.minorticks_off()
    axes.tick_params(length=0, pad=6)
    axes.set_title(panel.title, loc="left", fontweight="bold", fontsize=11.5)
    for mark in panel.marks:
        _mark(axes, mark)
    if legend := [mark for mark in panel.marks if mark.label]:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(legend), borderpad=0.1,
            handlelength=1.2,
        )  # fmt: skip


def _mark(axes: Any, mark: Mark) -> None:
    x, name = np.asarray(mark.x, dtype=float), mark.label or None
    match mark.kind:
        case "line":
            dot = "o" if x.size == 1 else None
            axes.plot(x, mark.y, color=mark.color, linewidth=mark.width, label=name, marker=dot)
        case "area":
            axes.fill_between(x, mark.y, 0, color=mark.color, alpha=0.28, linewidth=0)
            axes.plot(x, mark.y, color=mark.color, linewidth=mark.width)
        case "bars":
            wide = np.asarray(mark.more[0]) - x
            axes.bar(x, mark.y, wide * 0.94, align="edge", color=mark.color, alpha=0.75, label=name)
        case "candles":
            _candles(axes, mark, x)
        case "up" | "down" as kind:
            sign, away = ("^", -6) if kind == "up" else ("v", 6)
            at = axes.transData + mpl.transforms.ScaledTranslation(
                0, away / 72, axes.figure.dpi_scale_trans
            )
            axes.scatter(
                x, mark.y, marker=sign, s=26, color=mark.color, transform=at, label=name, zorder=3
            )
        case "rule":
            for y in mark.y:
                axes.axhline(y, color=mark.color, linewidth=0.8)
            for place in mark.x:
                axes.axvline(place, color=mark.color, linewidth=1, linestyle="--", label=name)


def _candles(axes: Any, mark: Mark, x: Any) -> None:
    opens, highs, lows, closes = mark.more
    wide = float(np.diff(x).min()) * 0.72 if x.size > 1 else 1.0
    colors = np.where(closes >= opens, RISING, FALLING)
    wicks = np.stack([np.column_stack((x, lows)), np.column_stack((x, highs))], axis=1)
    axes.add_collection(LineCollection(list(wicks), colors=colors, linewidths=0.8))
    axes.bar(x, closes - opens, wide, bottom=opens, color=colors)
