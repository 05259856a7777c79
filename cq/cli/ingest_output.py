"""What `cq lake ingest` says: progress meanwhile, a table or JSON, and what to look at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from cq.cli.output import note, print_json, print_table
from cq.errors import BarsNotKept, CqError, Refused, TradesMissing, Transient
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.ingest.backfill import Ingested
    from cq.ingest.built_bars import Comparison
    from cq.ingest.trade_fill import FilledTrades

    Report = Ingested | FilledTrades

BAR_COLUMNS = ("symbol", "from", "to", "landed", "known", "rejected", "no trade")
TRADE_COLUMNS = ("symbol", "from", "to", "landed", "known", "rejected", "missing")

NOT_ONE = "gives no trade of this market at all, which proves nothing; the next run asks again"

SHOWN_DIFFERENCES = 3
WHOLE = 100


@dataclass(frozen=True)
class Kind:
    """What is fetched, in words; `interval` is that of bars."""

    dataset: str
    noun: str
    interval: str | None
    columns: Sequence[str]
    last: Callable[[Any], object]
    advise: Callable[[Any], None]

    @property
    def title(self) -> str:
        """`1h bars`, or `trades`."""
        return f"{self.interval} {self.noun}" if self.interval else self.noun


def bars(interval: str) -> Kind:
    """Bars of one interval."""
    return Kind("ohlcv", "bars", interval, BAR_COLUMNS, _empty_buckets, advise_of_bars)


def trades() -> Kind:
    """Trades."""
    return Kind("trades", "trades", None, TRADE_COLUMNS, _missing, advise_of_trades)


def _empty_buckets(report: Ingested) -> int:
    return report.empty_buckets


def _missing(report: FilledTrades) -> int:
    return report.missing


def say(kind: Kind, done: Sequence[Any], error: CqError | None, *, as_json: bool) -> None:
    """What became of each symbol, and what to look at."""
    if as_json:
        rows = [plain(report) for report in done]
        said = None if error is None else str(error)
        print_json({"dataset": kind.dataset, "symbols": rows, "error": said})
    elif done:
        print_table(kind.columns, [row(kind, report) for report in done], kind.title)
    for report in done:
        kind.advise(report)
    if error is not None and (landed := sum(report.landed for report in done)):
        note(f"{landed:,} new {kind.noun} landed{_what_next(error)}")


def _what_next(error: CqError) -> str:
    """What holds after an error: one about a symbol stopped nothing, and comes again."""
    if isinstance(error, (BarsNotKept, Refused, TradesMissing)):
        return ""
    if isinstance(error, Transient):
        return " before it stopped; the same command goes on from there"
    return " before it stopped; once that is mended, the same command goes on from there"


def plain(report: Any) -> dict[str, Any]:
    """One report for JSON."""
    values = {one.name: getattr(report, one.name) for one in fields(report)}
    stamps = {
        name: iso(values.pop(f"{ours}_ns")) for ours, name in (("start", "from"), ("end", "to"))
    }
    if "unkept" in values:
        values["unkept"] = [[iso(start), iso(end)] for start, end in values["unkept"]]
    if "comparison" in values:
        values["comparison"] = compared(values["comparison"])
    return {"symbol": values.pop("symbol"), **stamps, **values}


def compared(found: Comparison | None) -> dict[str, Any] | None:
    """A comparison with the exchange's candles for JSON; None where there was none to make."""
    if found is None:
        return None
    return {
        "interval": found.interval,
        "compared": found.compared,
        "differences": found.differences,
        "first": found.first(SHOWN_DIFFERENCES),
    }


def row(kind: Kind, report: Report) -> tuple[object, ...]:
    """One report as the table shows it."""
    ends = (report.start_ns, report.end_ns)
    return (
        report.symbol,
        *(iso(one)[:16].replace("T", " ").removesuffix(" 00:00") for one in ends),
        *(report.landed, report.already_there, report.rejected, kind.last(report)),
    )


def advise_of_bars(report: Ingested) -> None:
    """What a user should know of bars, beyond their numbers."""
    _advise(report, "bars")
    if report.requests and not report.fetched and report.answered_ns == report.asked_ns:
        note(f"{report.symbol}: the exchange has no bar in this range")


def advise_of_trades(report: FilledTrades) -> None:
    """What a user should know of trades, beyond their numbers."""
    _advise(report, "trades")
    if report.requests and not report.fetched and not report.missing and not report.unkept:
        none = "has no trade in this range" if report.answered_ns else NOT_ONE
        note(f"{report.symbol}: the exchange {none}")
    found = report.comparison
    if found is None or not found.compared + found.differences:
        return
    if not found.differences:
        note(
            f"{report.symbol}: {found.compared:,} {found.interval} bars made of the trades equal "
            "the exchange's"
        )
        return
    note(
        f"{report.symbol}: {found.differences:,} of {found.compared + found.alone:,} "
        f"{found.interval} bars made of the trades differ from the exchange's"
    )
    for one in found.first(SHOWN_DIFFERENCES):
        note(f"  {one}")


def _advise(report: Report, noun: str) -> None:
    if report.differing:
        note(
            f"{report.symbol}: {report.differing:,} {noun} differ from those in the lake; "
            "the first ones were kept, the others are in `rejected`"
        )
    if others := report.rejected - report.differing:
        note(f"{report.symbol}: {others:,} {noun} broke a rule; they are in `rejected`")


@contextmanager
def shown_progress(kind: Kind) -> Iterator[Callable[[Any], None]]:
    """A bar for each symbol on a terminal, a line now and then elsewhere; on standard error."""
    if not sys.stderr.isatty():
        yield Lines(kind).show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.fields[fetched]:,} " + kind.noun),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as shown:
        tasks: dict[str, TaskID] = {}

        def show(report: Report) -> None:
            if report.symbol not in tasks:
                name = f"{report.symbol} {kind.interval or kind.noun}"
                tasks[report.symbol] = shown.add_task(name, total=report.asked_ns, fetched=0)
            shown.update(tasks[report.symbol], completed=report.answered_ns, fetched=report.fetched)

        yield show


@dataclass
class Lines:
    """Progress as lines: one whenever pages have landed."""

    kind: Kind
    held: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def show(self, report: Report) -> None:
        """Print a line where something has landed since the last one, or all is answered."""
        held = report.landed + report.already_there
        share = 100 * report.answered_ns // max(report.asked_ns, 1)
        if (held, share == WHOLE) != self.held.get(report.symbol, (0, share == WHOLE)):
            self.held[report.symbol] = held, share == WHOLE
            name = f"{report.symbol} {self.kind.interval or ''}".rstrip()
            note(f"{name}: {share} %, {held:,} {self.kind.noun} in the lake")
