"""`cq lake ingest`: bars and trades from the exchange into the lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from cq.cli.app import App
from cq.cli.ingest_output import Kind, bars, say, shown_progress, trades
from cq.cli.lake_sql import refresh
from cq.cli.output import note
from cq.cli.symbols import symbols_argument, to_fetch
from cq.errors import BarsNotKept, CqError, Refused, TradesMissing, UsageError
from cq.utils.clock import now_ns
from cq.utils.time import DAY, SECOND, iso, parse_time

if TYPE_CHECKING:
    from cq.exchanges.mercado_bitcoin import MercadoBitcoin

MOST_SKEW_NS = 30 * SECOND
"""A clock this far from the exchange's is worth a word; bars count as closed by the later one."""

CLOSED = "a bar counts as closed once its end has passed by both"


@click.command()
@symbols_argument
@click.option(
    "--interval",
    default="1h",
    show_default=True,
    help="1m 15m 1h 3h 1d 1w 1M; others are made of a finer one when they are read.",
)
@click.option(
    "--since",
    metavar="DATE",
    help="First instant to fetch; default: the first gap in what was fetched, or its end.",
)
@click.option("--until", metavar="DATE", help="Fetch up to here, exclusive; default: now.")
@click.option(
    "--dataset",
    type=click.Choice(["ohlcv", "trades"]),
    default="ohlcv",
    show_default=True,
    help="Fetch bars (ohlcv) or every single trade.",
)
@click.option("--refetch", is_flag=True, help="Ask again for what is there; report differences.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def ingest(
    context: click.Context,
    *,
    symbols: tuple[str, ...],
    interval: str,
    since: str | None,
    until: str | None,
    dataset: str,
    refetch: bool,
    as_json: bool,
) -> None:
    """Fetch the closed bars, or the trades, of SYMBOLS (default: the configured ones).

    Only what was never fetched is asked for, so the same command again completes an interrupted
    one and fills gaps, e.g. `cq lake ingest BTC-BRL ETH-BRL --interval 1h --since 2024-01-01`.
    Trades are proven complete by their ids, and the bars they make are compared with the
    exchange's own, e.g. `cq lake ingest BTC-BRL --dataset trades --since 2026-09-01`.
    """
    from cq.exchanges.market import native
    from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
    from cq.utils import log

    app: App = context.obj
    settings, now = app.settings, now_ns()
    log.configure(settings)
    chosen, kind = to_fetch(symbols, settings), kind_of(context, dataset, interval)
    with MercadoBitcoin(Rest(settings.ingestion)) as market, shown_progress(kind) as progress:
        native(interval, market.intervals, market.name)
        starts = begin(app, market.name, kind, chosen, since, now)
        end = None if until is None else parse_time(until, settings.timezone)
        in_order(starts, end)
        app.lake.prepare()
        run = Run(app, market, kind, end, now, refetch, progress)
        error = run.all(starts)
        warn_of_skew(now - market.time_ns(now), settings.ingestion.rest_base_url)
    say(kind, list(run.reports.values()), error, as_json=as_json)
    if not app.lake.catalog.exists():
        refresh(app)
    if error is not None:
        raise error


def kind_of(context: click.Context, dataset: str, interval: str) -> Kind:
    """Bars or trades; UsageError where trades are to have an interval."""
    said = context.get_parameter_source("interval") is click.core.ParameterSource.COMMANDLINE
    if dataset == "trades" and said:
        raise UsageError("trades have no --interval; the lake makes bars of any from them")
    return trades() if dataset == "trades" else bars(interval)


def begin(
    app: App, exchange: str, kind: Kind, symbols: Sequence[str], since: str | None, now: int
) -> dict[str, int]:
    """Where to begin for each symbol: at `since`, else at the first instant that is not known."""
    from cq.ingest.coverage import first_gap

    if since is not None:
        start = parse_time(since, app.settings.timezone)
        if start >= now:
            raise UsageError(f"--since {since} lies in the future; there is nothing to fetch yet")
        return dict.fromkeys(symbols, start)
    series = (kind.dataset, exchange)
    known = {one: first_gap(app.lake, *series, one, kind.interval) for one in symbols}
    if new := [symbol for symbol, start in known.items() if start is None]:
        names = ", ".join(new)
        raise UsageError(
            (
                f"nothing of {names} at {kind.interval} was"
                if kind.interval
                else f"no {kind.noun} of {names} were"
            )
            + " fetched before; say where to begin, such as --since 2024-01-01"
        )
    return {symbol: start for symbol, start in known.items() if start is not None}


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
    market: MercadoBitcoin
    kind: Kind
    end: int | None
    now: int
    refetch: bool
    progress: Callable[[Any], None]
    reports: dict[str, Any] = field(default_factory=dict)

    def all(self, starts: dict[str, int]) -> CqError | None:
        """Fetch every symbol; the error to end with, if any."""
        errors: list[CqError] = []
        for symbol, start in starts.items():
            try:
                self.one(symbol, start)
            except (BarsNotKept, Refused, TradesMissing) as one:
                errors.append(one)
            except CqError as failure:
                errors.append(failure)
                break
        for error in errors[:-1]:
            note(f"cq: {error}")
        return errors[-1] if errors else None

    def one(self, symbol: str, start: int) -> None:
        """Fetch one symbol; its report is kept up to date meanwhile."""
        if self.kind.dataset == "trades":
            self.trades_of(symbol, start)
        else:
            self.bars_of(symbol, start)

    def bars_of(self, symbol: str, start: int) -> None:
        """Fetch the bars of one symbol; BarsNotKept where the exchange has forgotten some."""
        from cq.ingest.backfill import Earlier, backfill

        most_rows = max((one.most_rows for one in self.reports.values()), default=0)
        (report,) = backfill(
            self.app.lake,
            self.market,
            [symbol],
            str(self.kind.interval),
            start,
            self.end,
            now_ns=self.now,
            page_bars=self.app.settings.ingestion.page_bars,
            refetch=self.refetch,
            on_progress=self.note,
            earlier=Earlier(most_rows),
        )
        self.reports[symbol] = report
        if report.not_kept:
            raise report.not_kept

    def trades_of(self, symbol: str, start: int) -> None:
        """Fetch the trades of one symbol; TradesMissing where some may not have come."""
        from cq.exchanges.trade_walk import in_words
        from cq.ingest.trade_fill import fill_trades

        (report,) = fill_trades(
            self.app.lake,
            self.market,
            [symbol],
            start,
            self.end,
            now_ns=self.now,
            refetch=self.refetch,
            settle_ns=round(self.app.settings.ingestion.stream.settle_seconds * SECOND),
            on_progress=self.note,
        )
        self.reports[symbol] = report
        if report.lost or report.unkept:
            raise TradesMissing(symbol, report.lost, unkept=in_words(report.unkept))

    def note(self, report: Any) -> None:
        """Keep the newest report of a symbol, and show it."""
        self.reports[report.symbol] = report
        self.progress(report)


def warn_of_skew(skew_ns: int, url: str) -> None:
    """Say so where the clocks differ much; a simulated exchange may have any."""
    if abs(skew_ns) <= MOST_SKEW_NS:
        return
    seconds = f"{abs(skew_ns) // SECOND:,} s"
    here = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    if here or abs(skew_ns) >= DAY:
        side = "behind" if skew_ns > 0 else "ahead of"
        note(f"the exchange's clock is {seconds} {side} this machine's; {CLOSED}")
    else:
        side = "ahead of" if skew_ns > 0 else "behind"
        note(f"this machine's clock is {seconds} {side} the exchange's; set it right")
