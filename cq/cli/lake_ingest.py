"""`cq lake ingest`: bars from the exchange into the lake."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.lake_sql import refresh
from cq.cli.output import note, print_json, print_table
from cq.errors import CqError, Refused, UsageError
from cq.utils.clock import now_ns
from cq.utils.time import SECOND, iso, parse_time

if TYPE_CHECKING:
    from cq.exchanges import MarketData
    from cq.ingest.backfill import Ingested
    from cq.utils.settings import Settings

COLUMNS = ("symbol", "from", "to", "landed", "known", "rejected", "no trade")

MOST_SKEW_NS = 30 * SECOND
"""A clock this far from the exchange's is worth a word; bars count as closed by the later one."""


@click.command()
@click.argument("symbols", nargs=-1, metavar="[SYMBOL]...")
@click.option("--interval", default="1h", show_default=True, help="1m 15m 1h 3h 1d 1w 1M")
@click.option("--since", metavar="DATE", help="First instant to fetch; default: go on from before.")
@click.option("--until", metavar="DATE", help="Fetch up to here, exclusive; default: now.")
@click.option(
    "--dataset",
    type=click.Choice(["ohlcv"]),
    default="ohlcv",
    show_default=True,
    help="What is fetched.",
)
@click.option("--refetch", is_flag=True, help="Ask again for what is there; report differences.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def ingest(
    app: App,
    *,
    symbols: tuple[str, ...],
    interval: str,
    since: str | None,
    until: str | None,
    dataset: str,
    refetch: bool,
    as_json: bool,
) -> None:
    """Fetch the closed bars of SYMBOLS (default: the configured ones) into the lake.

    Only what was never fetched is asked for, so the same command again completes an interrupted
    one and fills gaps, e.g. `cq lake ingest BTC-BRL ETH-BRL --interval 1h --since 2024-01-01`.
    """
    from cq.exchanges.market import native
    from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
    from cq.utils import log

    settings, now = app.settings, now_ns()
    log.configure(settings)
    chosen = choose(symbols, settings)
    with MercadoBitcoin(Rest(settings.ingestion)) as market, shown_progress() as progress:
        native(interval, market.intervals, market.name)
        starts = begin(app, market, chosen, interval, since, now)
        end = None if until is None else parse_time(until, settings.timezone)
        in_order(starts, end)
        app.lake.prepare()
        run = Run(app, market, interval, end, now, refetch, progress)
        error = run.all(starts)
        warn_of_skew(now - market.time_ns(now))
    say(run.reports, dataset, error, as_json=as_json)
    if not app.lake.catalog.exists():
        refresh(app)
    if error is not None:
        raise error


def choose(symbols: Sequence[str], settings: Settings) -> list[str]:
    """The symbols meant: each once, a base alone with the configured quote, none excluded."""
    from cq.exchanges.mercado_bitcoin.symbols import checked

    if not symbols:
        return [one for one in settings.symbols if one not in settings.exclusions]
    quote, found = settings.quote, []
    for name in symbols:
        alone = re.fullmatch(r"[A-Z0-9]+", name) and not name.endswith(quote)
        symbol = checked(f"{name}-{quote}" if alone else name)
        if symbol in settings.exclusions:
            raise UsageError(f"{symbol} is among the `exclusions` of the settings; remove it there")
        found.append(symbol)
    return list(dict.fromkeys(found))


def begin(
    app: App, market: MarketData, symbols: Sequence[str], interval: str, since: str | None, now: int
) -> dict[str, int]:
    """Where to begin for each symbol: at `since`, else where the newest covered bar ends."""
    from cq.ingest.coverage import covered

    if since is not None:
        start = parse_time(since, app.settings.timezone)
        if start >= now:
            raise UsageError(f"--since {since} lies in the future; there is nothing to fetch yet")
        return dict.fromkeys(symbols, start)
    known = {one: covered(app.lake, "ohlcv", market.name, one, interval) for one in symbols}
    if new := [symbol for symbol, ranges in known.items() if not ranges]:
        raise UsageError(
            f"nothing of {', '.join(new)} at {interval} was fetched before; "
            "say where to begin, such as --since 2024-01-01"
        )
    return {symbol: ranges[-1][1] for symbol, ranges in known.items()}


def in_order(starts: dict[str, int], end: int | None) -> None:
    """UsageError where a range ends before it begins."""
    for symbol, start in starts.items():
        if end is not None and end <= start:
            raise UsageError(
                f"{symbol}: --until {iso(end)} is not after the beginning, {iso(start)}"
            )


@dataclass
class Run:
    """One ingest over several symbols: a refusal is one symbol's, a failure ends the run."""

    app: App
    market: MarketData
    interval: str
    end: int | None
    now: int
    refetch: bool
    progress: Callable[[Ingested], None]
    reports: dict[str, Ingested] = field(default_factory=dict)

    def all(self, starts: dict[str, int]) -> CqError | None:
        """Fetch every symbol; the error to end with, if any."""
        errors: list[CqError] = []
        for symbol, start in starts.items():
            try:
                self.one(symbol, start)
            except Refused as refused:
                errors.append(refused)
            except CqError as failure:
                errors.append(failure)
                break
        for error in errors[:-1]:
            note(f"cq: {error}")
        return errors[-1] if errors else None

    def one(self, symbol: str, start: int) -> None:
        """Fetch one symbol; its report is kept up to date meanwhile."""
        from cq.ingest.backfill import backfill

        (self.reports[symbol],) = backfill(
            self.app.lake,
            self.market,
            [symbol],
            self.interval,
            start,
            self.end,
            now_ns=self.now,
            page_bars=self.app.settings.ingestion.page_bars,
            refetch=self.refetch,
            on_progress=self.note,
        )

    def note(self, report: Ingested) -> None:
        """Keep the newest report of a symbol, and show it."""
        self.reports[report.symbol] = report
        self.progress(report)


def say(
    reports: dict[str, Ingested], dataset: str, error: CqError | None, *, as_json: bool
) -> None:
    """What became of each symbol, and what to look at."""
    done = list(reports.values())
    if as_json:
        stamped = {"start_ns": "from", "end_ns": "to"}
        rows = [
            {stamped.get(key, key): iso(value) if key in stamped else value for key, value in one}
            for one in (asdict(report).items() for report in done)
        ]
        print_json(
            {"dataset": dataset, "symbols": rows, "error": None if error is None else str(error)}
        )
    elif done:
        print_table(COLUMNS, [row(report) for report in done], f"{done[0].interval} bars")
    for report in done:
        advise(report)
    if error is not None and done:
        landed = sum(report.landed for report in done)
        note(f"{landed:,} new bars landed before it stopped; the same command goes on from there")


def row(report: Ingested) -> tuple[object, ...]:
    """One report as the table shows it."""
    ends = (report.start_ns, report.end_ns)
    return (
        report.symbol,
        *(iso(one)[:16].replace("T", " ").removesuffix(" 00:00") for one in ends),
        *(report.landed, report.already_there, report.rejected, report.empty_buckets),
    )


def advise(report: Ingested) -> None:
    """What a user should know of a report, beyond its numbers."""
    if report.differing:
        note(
            f"{report.symbol}: {report.differing:,} bars differ from those in the lake; "
            "the first ones were kept, the others are in `rejected`"
        )
    if others := report.rejected - report.differing:
        note(f"{report.symbol}: {others:,} bars broke a rule; they are in `rejected`")
    if report.requests and not report.fetched and report.answered_ns == report.asked_ns:
        note(f"{report.symbol}: the exchange has no bar in this range")


def warn_of_skew(skew_ns: int) -> None:
    """Say so where this machine's clock is far from the exchange's."""
    if abs(skew_ns) > MOST_SKEW_NS:
        side = "ahead of" if skew_ns > 0 else "behind"
        seconds = abs(skew_ns) // SECOND
        note(f"this machine's clock is {seconds:,} s {side} the exchange's; set it right")


@contextmanager
def shown_progress() -> Iterator[Callable[[Ingested], None]]:
    """A bar for each symbol on a terminal, a line now and then elsewhere; on standard error."""
    if not sys.stderr.isatty():
        yield Lines().show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.fields[fetched]:,} bars"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(report: Ingested) -> None:
            if report.symbol not in tasks:
                name = f"{report.symbol} {report.interval}"
                tasks[report.symbol] = bars.add_task(name, total=report.asked_ns, fetched=0)
            bars.update(tasks[report.symbol], completed=report.answered_ns, fetched=report.fetched)

        yield show


@dataclass
class Lines:
    """Progress as lines: one whenever pages have landed."""

    held: dict[str, int] = field(default_factory=dict)

    def show(self, report: Ingested) -> None:
        """Print a line where something has landed since the last one."""
        held = report.landed + report.already_there
        if held != self.held.get(report.symbol, 0):
            self.held[report.symbol] = held
            share = 100 * report.answered_ns // max(report.asked_ns, 1)
            note(f"{report.symbol} {report.interval}: {share} %, {held:,} bars in the lake")
