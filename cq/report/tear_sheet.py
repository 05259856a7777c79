"""Writes the report of a backtest."""

from __future__ import annotations

from pathlib import Path

from cq.backtest import BacktestResult
from cq.backtest.metrics import Metrics
from cq.report.figures import NARROW, figure, svg, write_png
from cq.report.page import page


def write_report(result: BacktestResult, folder: Path, luck: Metrics | None = None) -> Path:
    """Write report.html (one file that needs no network) and equity.png; return the page.

    `luck` is what depends on other runs: how often the strategy was tried.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = figure(result)
    write_png(made, folder / "equity.png")
    path = folder / "report.html"
    drawings = svg(made) + svg(figure(result, NARROW), NARROW)
    path.write_text(page(result, drawings, luck or {}), encoding="utf-8")
    return path
