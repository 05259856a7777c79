"""What `stream`, `record` and `replay` share: the exchange's stream, a clean end, what is said."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import click

from cq.cli.lasting import lasting
from cq.cli.output import note, print_json, print_table
from cq.cli.symbols import symbols_argument
from cq.errors import CqError
from cq.utils.time import SECOND, iso

if TYPE_CHECKING:
    from cq.cli.app import App
    from cq.exchanges.feed import Arrival, Hole, Reader
    from cq.ingest.live_feed import LiveFeed
    from cq.ingest.rolling import Landed, Rotation
    from cq.ingest.stream import Tally
    from cq.lake import Lake

DEPTHS: Final = ("10", "20", "50", "100", "200")
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
COLUMNS: Final = ("symbol", "trades", "books", "newest")


GATHER_S: Final = 0.02
"""Arrivals of so long make one batch: a rotation is far coarser."""

TICK_S: Final = 0.5
"""So often a recording looks whether something has waited long enough."""


class Stopping(CqError):
    """Told to stop while waiting for the exchange."""


class Duration(click.ParamType[float]):
    """`90s`, `10m`, `2h`, `1d`: seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Seconds."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"{value!r} is no duration; expected such as 90s, 10m, 2h or 1d", param, ctx)
        return float(found[1]) * UNITS[found[2]]


def options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that listens to the exchange."""
    for add in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end."),
        click.option(
            "--for",
            "seconds",
            type=Duration(),
            help="End after so long, such as 90s, 10m, 2h; what is caught up first does not count.",
        ),
        click.option(
            "--depth", type=click.Choice(DEPTHS), help="Levels a side of the books; implies --book."
        ),
        click.option("--book", is_flag=True, help="Order books too."),
        symbols_argument,
    ):
        command = add(command)
    return command


def pausing(stop: Event) -> Callable[[float], None]:
    """Sleeps between requests; Stopping when told to stop meanwhile."""

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopping("stopped")

    return pause


def until_stopped(work: Callable[[], Awaitable[None]], stop: Event, seconds: float | None) -> None:
    """Run `work` on a loop; Ctrl-C, SIGTERM and the end of `seconds` set `stop`.

    A second signal interrupts at once.
    """

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def told() -> None:
            if stop.is_set():
                task.cancel()
                return
            stop.set()
            note("stopping; what has come in lands first (once more to stop at once)")

        for one in SIGNALS:
            loop.add_signal_handler(one, told)
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        try:
            await work()
        finally:
            for one in SIGNALS:
                loop.remove_signal_handler(one)

    with lasting(), _handlers_kept():
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def live(
    app: App,
    market: Any,
    symbols: Sequence[str],
    channels: Sequence[str],
    depth: str | None,
    *,
    after: Mapping[str, int] | None = None,
    on_arrivals: Callable[[Sequence[Arrival]], None] | None = None,
) -> LiveFeed:
    """The exchange's stream, with REST for what it misses."""
    from cq.exchanges.mercado_bitcoin.feed import MercadoBitcoinFeed
    from cq.ingest.live_feed import LiveFeed

    ingestion = app.settings.ingestion
    stream = ingestion.stream
    if depth is not None:
        stream = stream.model_copy(update={"book_depth": int(depth)})
    return LiveFeed(
        MercadoBitcoinFeed(ingestion, depth=stream.book_depth),
        market,
        symbols,
        stream,
        channels=channels,
        after=after,
        on_arrivals=on_arrivals,
        gather_s=GATHER_S,
    )


def left_waiting(held: int) -> str:
    """What is told of trades that came, but behind a hole that was not filled in time."""
    return f" but {held:,} trades behind a hole: these are fetched with it" if held else ""


def rotation(app: App) -> Rotation:
    """When what is held goes to the lake, by the settings."""
    from cq.ingest.rolling import Rotation

    settings = app.settings.ingestion.stream
    return Rotation(round(settings.rotate_seconds * SECOND), settings.rotate_rows)


def reader_of(exchange: str) -> Reader:
    """What reads the frames of an exchange."""
    from cq.errors import DataError
    from cq.exchanges.mercado_bitcoin.frames import FrameReader
    from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE

    if exchange != EXCHANGE:
        raise DataError(f"a recording of {exchange}: cq reads those of {EXCHANGE}")
    return FrameReader()


class Teller:
    """Says a line about each rotation that brought more; on standard error where JSON is asked."""

    def __init__(self, *, as_json: bool) -> None:
        self.last, self._out = "", note if as_json else click.echo

    def __call__(self, landed: Landed, tally: Tally) -> None:
        """One rotation has landed."""
        line = so_far(landed, tally)
        if line != self.last:
            self.last = line
            self._out(line)


def so_far(landed: Landed, tally: Tally) -> str:
    """What has come of a stream up to now."""
    said = [f"{landed.trades.landed:,} trades", f"{landed.bars.landed:,} bars"]
    if landed.books.read:
        said.append(f"{landed.books.landed:,} books")
    return f"in the lake: {', '.join(said)}{_trouble(tally)}"


def _trouble(tally: Tally) -> str:
    counts = {
        "reconnects": tally.reconnects,
        "filled from REST": tally.filled,
        "duplicates": tally.duplicates,
        "corrupt frames": tally.corrupt,
        "lost": sum(len(hole) for hole in tally.lost),
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f" ({said})" if said else ""


def say(
    lake: Lake,
    landed: Landed,
    tally: Tally,
    error: CqError | None,
    *,
    as_json: bool,
    told: str = "",
    **more: object,
) -> None:
    """What became of a stream or a replay; `told` is the last line that was said of it."""
    rows = _rows(tally)
    if as_json:
        print_json(
            {
                "symbols": rows,
                **{name: _counts(getattr(landed, name)) for name in ("trades", "bars", "books")},
                "rotations": landed.rotations,
                "late": landed.late,
                "corrupt": tally.corrupt,
                "duplicates": tally.duplicates,
                "reconnects": tally.reconnects,
                "filled": tally.filled,
                "lost": [[one.symbol, one.first_id, one.last_id] for one in tally.lost],
                **more,
                "error": None if error is None else str(error),
            }
        )
        return
    if rows:
        print_table(COLUMNS, [tuple(one.values()) for one in rows])
    if (line := so_far(landed, tally)) != told:
        click.echo(line)
    advise(lake, landed, tally)


def _rows(tally: Tally) -> list[dict[str, object]]:
    return [
        dict(zip(COLUMNS, (one, tally.trades[one], tally.books[one], iso(newest)), strict=True))
        for one, newest in sorted(tally.newest_ns.items())
    ]


def _counts(report: Any) -> dict[str, int]:
    return {
        "landed": report.landed,
        "already_there": report.already_there,
        "rejected": report.rejected,
    }


def fetching(lake: Lake, hole: Hole) -> str:
    """The command that fetches what is missing."""
    from cq.exchanges.mercado_bitcoin.symbols import EXCHANGE
    from cq.ingest.resume import before

    since_ns = before(lake, EXCHANGE, hole)
    since = "" if since_ns is None else f" --since {iso(since_ns - since_ns % SECOND)}"
    return f"`cq lake ingest {hole.symbol} --dataset trades{since}`"


def advise(lake: Lake, landed: Landed, tally: Tally) -> None:
    """What a user should know of it, beyond its numbers."""
    for hole in tally.lost[:5]:
        note(
            f"{hole.symbol}: the exchange does not give trades {hole.first_id} to {hole.last_id}; "
            f"try later with {fetching(lake, hole)}"
        )
    for name in ("trades", "bars", "books"):
        report = getattr(landed, name)
        if report.contradicting:
            note(
                f"{report.contradicting:,} {name} differ from those in the lake; the first ones "
                "were kept, the others are in `rejected`"
            )
        if others := report.rejected - report.conflicts:
            note(f"{others:,} {name} broke a rule; they are in `rejected`")
    if landed.late:
        note(f"{landed.late:,} trades came after their bar was made; the bar is without them")


def channels(book: bool, depth: str | None, ticker: bool = False) -> Sequence[str]:
    """What to listen to."""
    from cq.exchanges.feed import BOOKS, TICKERS, TRADES

    wanted = [TRADES]
    if book or depth is not None:
        wanted.append(BOOKS)
    if ticker:
        wanted.append(TICKERS)
    return wanted
