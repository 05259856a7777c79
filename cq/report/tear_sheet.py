"""Writes the report of a backtest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cq.backtest import BacktestResult, Fill
from cq.backtest.metrics import Metrics
from cq.backtest.result import REPORT
from cq.backtest.rounds import round_trips
from cq.report.charts import account, market_charts, spread_charts
from cq.report.page import page

if TYPE_CHECKING:
    from cq.lake import Lake
    from cq.report.panels import Chart


def write_report(
    result: BacktestResult,
    folder: Path,
    luck: Metrics | None = None,
    lake: Lake | None = None,
    *,
    plots: bool = False,
) -> Path:
    """Write report.html, one file that needs no network, and return it; with `plots`, PNGs too.

    `luck` is what depends on other runs: how often the strategy was tried. `lake` has the highs
    and lows of candles.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trips = round_trips([Fill(*row) for row in result.trades.rows()])
    main, markets = account(result), market_charts(result, lake)
    spread = spread_charts(result, trips)
    path = folder / REPORT
    path.write_text(page(result, main, markets, spread, trips, luck or {}), encoding="utf-8")
    if plots:
        write_plots([main, *markets, *spread], folder)
    return path


def write_plots(charts: list[Chart], folder: Path) -> None:
    """Each chart as a PNG of its name."""
    from cq.report.figures import figure, write_png  # matplotlib takes a second to load

    for chart in charts:
        write_png(figure(chart), folder / f"{chart.name}.png")
