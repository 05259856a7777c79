"""`cq features`: the frame that a strategy sees."""

from __future__ import annotations

from pathlib import Path

import click

from cq.cli.app import App
from cq.cli.output import print_json, print_table
from cq.cli.symbols import meant
from cq.errors import UnknownSymbol


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--symbol", help="Only this market; default: all of the strategy.")
@click.option(
    "--tail", default=20, show_default=True, type=click.IntRange(1), help="So many newest bars."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the strategy, such as fast=10.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of rows.")
@click.pass_obj
def features(
    app: App,
    *,
    file: Path,
    symbol: str | None,
    tail: int,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show bars, features, signal and target of the strategy in FILE, the newest rows.

    The same frame that a backtest and live trading decide by, e.g.
    `cq features my_strategy.yaml --symbol BTC-BRL --tail 20`.
    """
    import polars as pl

    from cq.cli.check_strategy import strategy_and_bars
    from cq.signals import collected, with_targets
    from cq.strategies.reach import since
    from cq.utils.time import iso

    strategy, bars = strategy_and_bars(app, file, overrides, None, None)
    names = bars["symbol"].unique().to_list()
    if symbol is not None:
        (symbol,) = meant([symbol], app.settings.quote, names)
        if symbol not in names:
            raise UnknownSymbol(symbol, names, f"{file} trades these")
    newest = bars.group_by("symbol", maintain_order=True).tail(strategy.warmup + tail - 1)
    if strategy.compared:
        shown = bars.group_by("symbol").tail(tail)
        oldest = shown.select(pl.col("ts").min()).item()
        newest = since(bars, oldest, strategy.warmup, strategy.compares)
    rows = collected(with_targets(newest.lazy(), strategy), strategy).sort("symbol", "ts")
    if symbol is not None:
        rows = rows.filter(pl.col("symbol") == symbol)
    shown = rows.group_by("symbol", maintain_order=True).tail(tail).drop("exchange", strict=False)
    times = pl.Series("time", [iso(ts) for ts in shown["ts"]], pl.String)
    told = shown.select("symbol", times, pl.exclude("symbol", "ts"))
    if as_json:
        print_json(told.with_columns(shown["ts"]).to_dicts())
    else:
        print_table(told.columns, told.rows())
