"""A picture of a sweep over two parameters: what each pair came to, and where the best lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from cq.report.figures import STYLE, write_png
from cq.report.panels import INK
from cq.sweeps.result import column_of

if TYPE_CHECKING:
    from cq.sweeps import SweepResult

LEGIBLE = 120
"""Up to so many fields have room for their numbers."""
TICKS = 16
LETTERS = 60
"""So many have room below the map, one label beside the other."""


def sweep_map(result: SweepResult) -> Figure:
    """The metric that was sorted by, over the two parameters; a ring is around the best trial.

    White is a pair that was not run. Of a metric with both signs zero is the middle of the colours.
    """
    down, across = result.params
    names = column_of(down), column_of(across)
    table, rows, columns = _table(result.trials, *names, result.sort)
    best = result.trials.filter(trial=result.best[0].number).select(names).row(0)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        made = Figure(figsize=(8.2, 5.6), layout="constrained")
        axes = made.subplots()
        image = axes.imshow(table, aspect="auto", origin="lower", **_colours(table))
        if _ticks(axes.xaxis, columns) > LETTERS:
            axes.xaxis.set_tick_params(rotation=90)
        _ticks(axes.yaxis, rows)
        axes.set_xlabel(across)
        axes.set_ylabel(down)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        title = f"{result.name}: {result.sort} of {result.trials.height:,} trials"
        axes.set_title(title, loc="left", fontweight="bold", fontsize=11.5)
        if table.size <= LEGIBLE:
            _numbers(axes, image, table)
        axes.scatter(
            columns.index(best[1]), rows.index(best[0]), s=260,
            facecolors="none", edgecolors=INK, linewidths=1.8,
        )  # fmt: skip
        made.colorbar(image, ax=axes, shrink=0.85)
    return made


def write_sweep_map(result: SweepResult, path: Path) -> None:
    """The picture as a PNG file."""
    write_png(sweep_map(result), path)


def _table(
    trials: pl.DataFrame, down: str, across: str, metric: str
) -> tuple[np.ndarray[Any, Any], list[Any], list[Any]]:
    rows, columns = (trials[name].unique().sort().to_list() for name in (down, across))
    table = np.full((len(rows), len(columns)), np.nan)
    for low, right, value in trials.select(down, across, metric).iter_rows():
        if value is not None:
            table[rows.index(low), columns.index(right)] = value
    return table, rows, columns


def _colours(table: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Red below zero and blue above it; one colour's shades where there is one sign only."""
    known = table[np.isfinite(table)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if low < 0 < high:
        most = max(-low, high)
        return {"cmap": "RdBu", "vmin": -most, "vmax": most}
    return {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1}


def _ticks(axis: Any, values: list[Any]) -> int:
    """Put labels on an axis; how many letters they have."""
    step = -(-len(values) // TICKS)
    shown = [f"{one:g}" if isinstance(one, float) else str(one) for one in values[::step]]
    axis.set_ticks(range(0, len(values), step), shown)
    return sum(map(len, shown))


def _numbers(axes: Any, image: Any, table: np.ndarray[Any, Any]) -> None:
    for row, line in enumerate(table.tolist()):
        for column, value in enumerate(line):
            if value == value:
                red, green, blue, _ = image.to_rgba(value)
                is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.45
                ink = "white" if is_dark else INK
                axes.text(
                    column, row, f"{value:.2g}", ha="center", va="center", fontsize=8, color=ink
                )
