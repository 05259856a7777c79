"""`cq lake import`: other people's files into the lake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.lake_sql import refresh
from cq.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from cq.ingest.files import FileReport, Progress

LINES = 10
DATASETS = "[ohlcv|trades|orderbook_l2]"
HELP = """Import files as others wrote them.

For example `cq lake import bars.csv --dataset ohlcv --symbol BTC-BRL --exchange binance`.

PATHS are files (CSV, JSON, JSON lines, Parquet, feather; gz and zip too) or folders, of which
every file that is recognised for the dataset is taken. What a file says of symbol, exchange and
interval is used; options win. Rows that cannot be read or break a rule are kept in `rejected`.
The same import again changes nothing.

Layouts, recognised by themselves or forced with --layout; docs/import.md describes them:

\b
  bars         binance-klines, bitfinex, coinmarketcap, cryptodatadownload,
               freqtrade-feather, lean, mercadobitcoin-candles,
               mercadobitcoin-day-summary, named-bars, ohlc, six-columns
  trades       binance-trades, bitcoincharts, mercadobitcoin-trades,
               named-trades
  order books  bbo, levels, mercadobitcoin-book
  captures     binance-stream, coinbase-stream, hyperliquid-stream,
               mercadobitcoin-stream
"""


class Dataset(click.ParamType[str]):
    """One of the datasets; click says the choices where the option is left out."""

    name = "dataset"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """What to type."""
        *most, last = DATASETS.strip("[]").split("|")
        return f"Say {', '.join(most)} or {last}"


@click.command("import", help=HELP)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--dataset", required=True, type=Dataset(), metavar=DATASETS, help="What the files hold."
)
@click.option("--symbol", help="Market, BASE-QUOTE (BTC-BRL).")
@click.option("--exchange", help="Whose market it is (binance).")
@click.option("--interval", help="Length of the bars (1m, 1h, 1d).")
@click.option(
    "--tz", "timezone", help="Zone of stamps that name none; the setting `timezone` by default."
)
@click.option("--at", "at", metavar="TIME", help="When an order book without a stamp was taken.")
@click.option("--depth", default=20, show_default=True, help="Levels kept on each side of a book.")
@click.option("--layout", help="Force this layout.")
@click.option("--mapping", type=click.Path(path_type=Path), help="YAML that describes the layout.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def import_(
    app: App,
    /,
    paths: tuple[Path, ...],
    dataset: str,
    at: str | None,
    as_json: bool,
    timezone: str | None,
    **options: Any,
) -> None:
    """Read, land, tell; the help of the command stands above."""
    from cq.errors import DataError
    from cq.ingest.files import import_files
    from cq.utils.clock import now_ns
    from cq.utils.time import parse_time

    zone = app.settings.timezone
    with _progress() as on_progress:
        reports = import_files(
            app.lake,
            paths,
            dataset,
            now_ns=now_ns(),
            timezone=timezone,
            default_timezone=zone,
            at_ns=None if at is None else parse_time(at, timezone or zone),
            on_progress=on_progress,
            **options,
        )
    failed = [one.error for one in reports if one.error is not None]
    taken = [one for one in reports if not one.skipped]
    if len(reports) == 1 and failed and not as_json:
        raise failed[0]
    if any(one.report.landed for one in reports):
        refresh(app)
    if as_json:
        print_json(_as_json(dataset, reports))
    else:
        _print(dataset, reports)
    if failed:
        first = f"; {failed[0]}" if as_json else ""
        raise DataError(
            f"{len(failed)} of {len(reports)} files could not be read{first}"
        ) from failed[0]
    if not taken:
        first = f"; the first: {reports[0].skipped}" if as_json else ""
        raise DataError(f"none of {len(reports)} files holds {dataset}{first}")


def _print(dataset: str, reports: list[FileReport]) -> None:
    from cq.ingest.files import total

    taken = [one for one in reports if not one.skipped and one.error is None]
    rows = [(one.path.name, one.layout, *_counts(one.report)) for one in taken]
    if len(taken) > 1:
        rows.append((f"total of {len(taken)} files", "", *_counts(total(taken))))
    if rows:
        columns = ("file", "layout", "read", "landed", "already there", "rejected")
        print_table(columns, rows, title=f"imported into {dataset}")
    broken = [
        (one.path.name, rule, count)
        for one in taken
        for rule, count in sorted(one.report.by_rule.items())
    ]
    if broken:
        print_table(("file", "rejected by rule", "rows"), broken)
    if sum(count for *_, count in broken) > total(taken).rejected:
        click.echo("a row may break several rules and is then counted under each")
    _echo([(one.path.name, "; ".join(one.notes)) for one in taken if one.notes], click.echo)
    _echo([(f"skipped {one.path}", one.skipped) for one in reports if one.skipped], note)
    _echo([(f"not read: {one.path}", _reason(one)) for one in reports if one.error], note)


def _reason(one: FileReport) -> str:
    return str(one.error).removeprefix(f"{one.path}: ").removesuffix(f": {one.path}")


def _echo(told: list[tuple[str, str]], say: Callable[[str], None]) -> None:
    """Who and what, a line for each what; of many lines the first ones."""
    by_what: dict[str, list[str]] = {}
    for who, what in told:
        by_what.setdefault(what, []).append(who)
    for what, names in list(by_what.items())[:LINES]:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        say(f"{names[0]}{more}: {what}")
    if left := sum(len(names) for names in list(by_what.values())[LINES:]):
        say(f"… and {left} more (--json lists all)")


def _counts(report: Any) -> tuple[int, int, int, int]:
    return (report.read, report.landed, report.already_there, report.rejected)


def _as_json(dataset: str, reports: list[FileReport]) -> dict[str, Any]:
    from cq.ingest.files import total

    def one_file(one: FileReport) -> dict[str, Any]:
        if one.error is not None:
            return {"file": str(one.path), "error": str(one.error)}
        return {"file": str(one.path), "layout": one.layout, "notes": list(one.notes)} | _named(
            one.report
        )

    return {
        "dataset": dataset,
        "files": [one_file(one) for one in reports if not one.skipped],
        "skipped": [{"file": str(one.path), "why": one.skipped} for one in reports if one.skipped],
        "total": _named(total(reports)),
    }


def _named(report: Any) -> dict[str, Any]:
    names = ("read", "landed", "already_there", "rejected")
    return dict(zip(names, _counts(report), strict=True)) | {"by_rule": dict(report.by_rule)}


class _progress:  # noqa: N801  # reads as a block: with _progress() as on_progress
    """A live line on a terminal; a plain line a file elsewhere, from the second file on."""

    def __enter__(self) -> Callable[[Progress], None]:
        self.live: Any = None
        if sys.stderr.isatty():
            from rich.console import Console

            self.live = Console(stderr=True).status("importing")
            self.live.start()
        return self.tell

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def tell(self, now: Progress) -> None:
        """Say where the import is."""
        where = f"{now.number} of {now.total}: {now.path.name}"
        if self.live is not None:
            self.live.update(f"{where}, {now.stage}")
        elif now.done is not None and now.total > 1 and not now.done.skipped:
            read = now.done.error is None
            said = f"{now.done.report.landed:,} rows landed" if read else "not read"
            note(f"{where}, {said}")
