"""A picture of what moves together: a correlation matrix in colours, with its numbers."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

from cq.report.figures import STYLE, write_png
from cq.stats.frames import unsquare

LEGIBLE = 20
"""Up to so many symbols the numbers have room in their fields."""


def heat_map(correlations: pl.DataFrame, title: str = "Correlation of returns") -> Figure:
    """The matrix (`symbol`, then a column a symbol): blue is together, red against each other."""
    names, matrix = unsquare(
        correlations.with_columns(pl.exclude("symbol").fill_null(float("nan")))
    )
    count = len(names)
    side = min(max(0.55 * count + 1.8, 3.6), 16.0)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        made = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = made.subplots()
        image = axes.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
        axes.set_xticks(range(count), names, rotation=45, ha="right")
        axes.set_yticks(range(count), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(title, loc="left", fontweight="bold", fontsize=11.5)
        if count <= LEGIBLE:
            for row, line in enumerate(matrix.tolist()):
                for column, value in enumerate(line):
                    ink = "white" if abs(value) > 0.6 else STYLE["text.color"]
                    text = f"{value:.2f}" if value == value else "–"
                    axes.text(column, row, text, ha="center", va="center", fontsize=9, color=ink)
        made.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, -0.5, 0, 0.5, 1])
    return made


def write_heat_map(correlations: pl.DataFrame, path: Path) -> None:
    """The picture as a PNG file; the same numbers give the same bytes."""
    write_png(heat_map(correlations), path)
