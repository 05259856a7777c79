"""`cq stats`: what returns were like, and what moves together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.output import note, print_json, print_table
from cq.cli.periods import SINCE, period_of
from cq.cli.symbols import meant, symbols_argument
from cq.errors import DataError, NoBars, UsageError
from cq.utils.clock import now_ns
from cq.utils.time import iso

if TYPE_CHECKING:
    import polars as pl

PERCENT = ("total_return", "volatility", "max_drawdown", "worst", "best", "probabilistic_sharpe")


@click.command()
@symbols_argument
@click.option("--interval", default="1d", show_default=True, help="Of the bars: 1h, 1d, …")
@click.option("--exchange", help="Where a symbol is stored from several.")
@click.option("--since", metavar="DATE", help="First bar to look at; default: all there is.")
@click.option("--until", metavar="DATE", help="Where to stop; this bar is not in.")
@click.option(
    "--estimator",
    type=click.Choice(["sample", "ledoit_wolf", "oas", "denoised"]),
    default="sample",
    show_default=True,
    help="How correlations are estimated.",
)
@click.option(
    "--heat-map",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the correlations into this PNG file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def stats(
    app: App,
    *,
    symbols: tuple[str, ...],
    interval: str,
    exchange: str | None,
    since: str | None,
    until: str | None,
    estimator: str,
    heat_map: Path | None,
    as_json: bool,
) -> None:
    """Show return, volatility, Sharpe ratio and drawdown of SYMBOLS (default: the configured ones).

    Two symbols or more are also held against each other: correlations of their log returns over
    the bars that all of them have, e.g. `cq stats BTC-BRL ETH-BRL --since 2026-01-01`.
    """
    from cq.lake.windows import words_in
    from cq.stats.summary import summary

    zone = app.settings.timezone
    names: Sequence[str] = app.settings.symbols
    if symbols:
        known = words_in(app.lake, "symbol", ["ohlcv"], exchange)
        names = meant(symbols, app.settings.quote, known)
    start, end = period_of(since, until, zone, SINCE)
    bars = app.lake.bars(names, interval, start, end, exchange=exchange, now_ns=now_ns())
    told = summary(bars, interval)
    for name in names:
        if name not in told["symbol"]:
            raise NoBars(name, _period(interval, since, until), "others; see `cq lake status`")
    correlations = _correlations(bars, estimator) if told.height > 1 else None
    if as_json:
        matrix = None if correlations is None else correlations.to_dicts()
        print_json({"interval": interval, "symbols": told.to_dicts(), "correlations": matrix})
    else:
        _show(told, correlations, estimator)
    if heat_map is not None:
        _draw(correlations, heat_map)


def _period(interval: str, since: str | None, until: str | None) -> str:
    """What was asked for, as typed."""
    said = [f"at {interval}", since and f"from {since}", until and f"before {until}"]
    return " ".join(part for part in said if part)


def _correlations(bars: pl.LazyFrame, estimator: str) -> pl.DataFrame:
    from cq.stats.covariances import correlated, correlation, denoised
    from cq.stats.frames import square, unsquare, wide_returns

    returns = wide_returns(bars)
    if estimator != "denoised":
        return correlation(returns, estimator)  # type: ignore[arg-type]
    names, matrix = unsquare(denoised(returns))
    return square(names, correlated(matrix))


def _show(told: pl.DataFrame, correlations: pl.DataFrame | None, estimator: str) -> None:
    rows = [
        {
            name: f"{value * 100:,.2f} %" if name in PERCENT and value is not None else value
            for name, value in row.items()
        }
        | {name.removesuffix("_ts"): iso(row[name])[:10] for name in ("first_ts", "last_ts")}
        for row in told.to_dicts()
    ]
    columns = [name.removesuffix("_ts") for name in told.columns]
    heads = [name.replace("_", " ") for name in columns]
    print_table(heads, [[row[name] for name in columns] for row in rows])
    if correlations is not None:
        click.echo()
        title = f"correlation of log returns ({estimator.replace('_', ' ')})"
        print_table(correlations.columns, correlations.rows(), title)


def _draw(correlations: pl.DataFrame | None, path: Path) -> None:
    if correlations is None:
        raise UsageError("--heat-map needs two symbols or more")
    from cq.report.heat_map import write_heat_map

    try:
        write_heat_map(correlations, path)
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror or error}); name another file"
        ) from error
    note(f"drawn to {path}")
