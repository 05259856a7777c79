"""`cq backtest`: run a strategy over the lake's bars, keep and print what came out."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.folders import OUT, refuse_others
from cq.cli.output import note, print_json
from cq.cli.periods import period_of
from cq.cli.quick import importing
from cq.errors import UsageError

if TYPE_CHECKING:
    from cq.backtest import BacktestResult
    from cq.backtest.bars import Reading
    from cq.backtest.metrics import Metrics
    from cq.strategies import Strategy


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@OUT
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the strategy, such as fast=10, sizing.fraction=0.5, symbols=BTC,ETH or "
    "backtest.fees.taker=0. May be given several times.",
)
@click.option("--start", metavar="TIME", help="First bar, such as 2024-01-31.")
@click.option("--end", metavar="TIME", help="Where to stop; this bar is not in.")
@click.option("--strict", is_flag=True, help="Refuse bars that break a rule of `cq lake quality`.")
@click.option("--no-report", is_flag=True, help="Leave out report.html.")
@click.option("--plots", is_flag=True, help="Also draw the report's charts as PNG files.")
@click.option("--metrics", "in_full", is_flag=True, help="Print every metric; see `cq metrics`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.pass_obj
def backtest(
    app: App,
    file: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    start: str | None,
    end: str | None,
    strict: bool,
    no_report: bool,
    plots: bool,
    in_full: bool,
    as_json: bool,
) -> None:
    """Run the strategy in FILE over the bars of the lake.

    Decisions are taken at a bar's close and filled at the next bar's open. Trades, equity curve,
    metrics, configuration and a report go to a folder of their own below runs/.

    Try: cq backtest configs/strategies/crossover_btc.yaml
    """
    if plots and no_report:
        raise UsageError("--plots are the report's; leave out --no-report")
    refuse_others(out, "backtest")
    began, began_s = datetime.now(UTC), time.perf_counter()
    with importing():
        from cq.strategies import load
        from cq.utils import config  # noqa: F401

    reading = _reading(app, load(file, overrides), start, end)
    with importing():  # meanwhile
        from cq.backtest.result import remove_report, write_run
        from cq.backtest.single import traded
        from cq.backtest.tried import deflated, trial_of, tried

    if strict:
        from cq.backtest.warnings import refuse_faults

        refuse_faults(app.lake, reading.series, reading.period, app.settings.quality)
    result = traded(reading)
    others = tried(app.project / "runs", result.config)
    folder = _folder(app, result, began, out)
    result.write(folder)
    luck = deflated(result, others)
    remove_report(folder)
    if not no_report:
        from cq.report import write_report

        write_report(result, folder, luck, app.lake, plots=plots)
    said = _said(app, file, overrides) | {"trial": trial_of(result.config, result.metrics)}
    run = write_run(folder, began, time.perf_counter() - began_s, luck, said)
    if as_json:
        print_json(_summary(result, folder, run))
    else:
        click.echo(_table(result, folder, luck, report=not no_report, in_full=in_full))


def _said(app: App, file: Path, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Where the strategy's file lies, as seen from the project, and what was set beside it."""
    path = file.resolve()
    if path.is_relative_to(app.project):
        path = path.relative_to(app.project)
    return {"file": path.as_posix(), "set": list(overrides)}


def _reading(app: App, strategy: Strategy, start: str | None, end: str | None) -> Reading:
    """The bars that were asked for, being read."""
    with importing():
        from cq.backtest.bars import Period, Reading

    settings = app.settings
    since, until = period_of(start, end, settings.timezone)
    return Reading(
        app.lake, strategy, settings.backtest, Period(since, until),
        quote=settings.quote, say=note, exclusions=settings.exclusions,
    )  # fmt: skip


def _folder(app: App, result: BacktestResult, began: datetime, out: Path | None) -> Path:
    from cq.backtest.result import new_folder

    if out is not None:
        return out
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", result.name).strip("-.") or "strategy"
    return new_folder(app.project / "runs", f"{began:%Y%m%dT%H%M%SZ}-{name}-{result.digest[:6]}")


def _summary(result: BacktestResult, folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    return {
        **run,
        "folder": str(folder.resolve()),
        "strategy": result.name,
        "symbols": list(result.symbols),
        "interval": result.interval,
        "period": _period(result),
        "metrics": {**result.metrics, **{name: run[name] for name in ("trials", "dsr")}},
        "warnings": result.config["warnings"],
        "data": result.config["data"],
    }


def _period(result: BacktestResult) -> dict[str, Any]:
    from cq.utils.time import bar_end, iso

    ts = result.equity["ts"]
    return {
        "start": iso(ts[0]),
        "end": iso(bar_end(ts[-1], result.interval)),
        "bars": result.equity.height,
    }


def _table(
    result: BacktestResult, folder: Path, luck: Metrics, *, report: bool, in_full: bool
) -> str:
    """What people read: the period, the metrics, where the results lie."""
    from cq.backtest.show import BRIEF, shown

    period = _period(result)
    rows = shown(result, tuple(result.metrics) if in_full else BRIEF, luck)
    width = max(len(label) for label, _ in rows)
    figures = max(len(value) for _, value in rows)
    place = near(folder)
    return "\n".join(
        [
            f"{result.name}: {', '.join(result.symbols)}, {period['bars']:,} bars of "
            f"{result.interval}, {period['start']} to {period['end']}",
            "",
            *(f"  {label:<{width}}  {value:>{figures}}" for label, value in rows),
            "",
            f"results in {place}" + (f"; open {place / 'report.html'}" if report else ""),
        ]
    )


def near(folder: Path) -> Path:
    """The path as seen from here."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
