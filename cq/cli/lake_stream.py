"""`cq lake stream`: live trades, bars and books into the lake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from cq.cli import feeds
from cq.cli.app import App
from cq.cli.output import note
from cq.cli.symbols import to_fetch
from cq.errors import CqError
from cq.utils.clock import now_ns
from cq.utils.time import SECOND

if TYPE_CHECKING:
    import polars as pl

    from cq.exchanges.feed import Arrival
    from cq.ingest.live_feed import LiveFeed
    from cq.ingest.recording import Recorder
    from cq.ingest.resume import Resumed
    from cq.ingest.rolling import Landed
    from cq.ingest.tidying import Tidying
    from cq.lake import WriteReport


@click.command()
@feeds.options
@click.option(
    "--record", type=click.Path(path_type=Path), help="Keep the raw frames in this folder too."
)
@click.pass_obj
def stream(app: App, /, **options: Any) -> None:
    """Write the live trades of SYMBOLS (default: the configured ones), and their 1m bars.

    Goes on after the newest trade in the lake: what was missed is fetched first. Runs until Ctrl-C
    or SIGTERM, e.g. `cq lake stream BTC-BRL ETH-BRL --book`, or for as long as --for says once it
    streams. Its small files are merged every hour (setting ingestion.stream.compact_minutes).
    """
    from cq.cli.lake_sql import refresh
    from cq.utils import log

    log.configure(app.settings, running=True)
    symbols = to_fetch(options["symbols"], app.settings)
    if options["record"] is not None:
        from cq.ingest.recording import prepare

        prepare(options["record"])
    app.lake.prepare()
    run = _Run(app, symbols, options)
    error: CqError | None = None
    try:
        feeds.until_stopped(run.work, run.stop, None)
        error = run.unconnected()
    except feeds.Stopping:
        error = run.unconnected()
    except CqError as failed:
        error = failed
    if options["as_json"] or error is None or run.landed.trades.read:
        feeds.say(
            app.lake, run.landed, run.tally, error,
            as_json=options["as_json"], told=run.teller.last,
        )  # fmt: skip
    if error is not None:
        raise error
    if not app.lake.catalog.exists():
        refresh(app)
    when = "" if run.streaming is not None else " while catching up"
    waiting = "" if run.live is None else feeds.left_waiting(run.live.core.held)
    note(f"stopped{when}; all is in the lake{waiting}, the same command goes on from there")


class _Run:
    """One stream from its beginning to its end."""

    def __init__(self, app: App, symbols: list[str], options: dict[str, Any]) -> None:
        from cq.ingest.stream import Streaming, Tally
        from cq.lake import WriteReport

        self.app, self.symbols, self.options = app, symbols, options
        self.stop, self.tally = Event(), Tally()
        self.teller = feeds.Teller(as_json=options["as_json"])
        self.caught, self.fetched = WriteReport(), dict[str, int]()
        self.live: LiveFeed | None = None
        self.streaming: Streaming | None = None

    @property
    def landed(self) -> Landed:
        """What has become of all rows so far, those of the catching up too."""
        from cq.ingest.rolling import Landed

        caught = Landed(trades=self.caught)
        return caught if self.streaming is None else self.streaming.rolling.landed

    def unconnected(self) -> CqError | None:
        """What to say where no socket was ever open, and it was not just catching up."""
        from cq.errors import NeverConnected

        if self.live.connected if self.live is not None else self.caught.read:
            return None
        caught = f"{self.caught.landed:,} trades were caught up by REST"
        told = caught if self.caught.read else "nothing was caught up either"
        return NeverConnected(self.app.settings.ingestion.ws_url, told)

    async def work(self) -> None:
        """Catch up, then stream."""
        from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
        from cq.ingest.rolling import Rolling
        from cq.ingest.stream import Streaming

        ingestion, options = self.app.settings.ingestion, self.options
        source = f"{MercadoBitcoin.name} stream"
        channels = feeds.channels(options["book"], options["depth"])
        with MercadoBitcoin(Rest(ingestion, sleep=feeds.pausing(self.stop))) as market:
            ready = await asyncio.to_thread(self._catch_up, market, source)
            after = {one.symbol: one.after for one in ready if one.after is not None}
            recorder = self._recorder(channels, ready)
            self.live = feeds.live(
                self.app,
                market,
                self.symbols,
                channels,
                options["depth"],
                after=after,
                on_arrivals=None if recorder is None else kept_in(recorder),
            )
            rolling = Rolling(
                self.app.lake, [one.closing for one in ready], source=source,
                rotation=feeds.rotation(self.app), now_ns=now_ns(),
            )  # fmt: skip
            rolling.landed = self.landed
            self.streaming = Streaming(
                self.live,
                rolling,
                now_ns,
                recorder=recorder,
                tidying=self._tidying(),
                on_landed=self.teller,
                tally=self.tally,
            )
            self.tally.filled = sum(one.filled for one in ready)
            note(f"streaming {', '.join(self.symbols)}; Ctrl-C ends it")
            if options["seconds"] is not None:
                asyncio.get_running_loop().call_later(options["seconds"], self.stop.set)
            await self.streaming.run(self.stop)

    def _tidying(self) -> Tidying | None:
        """What merges small files meanwhile; nothing can on object storage."""
        from cq.ingest.tidying import Tidying
        from cq.lake.places import is_remote

        minutes, lake = self.app.settings.ingestion.stream.compact_minutes, self.app.lake
        if minutes is None or is_remote(lake.root):
            return None
        return Tidying.of(lake, self.symbols, round(minutes * 60 * SECOND), now_ns())

    def _catch_up(self, market: Any, source: str) -> list[Resumed]:
        """Each market's place to go on from, once what was missed has landed."""
        from cq.ingest.resume import resumed

        ready: list[Resumed] = []
        for symbol in self.symbols:
            one = resumed(
                self.app.lake,
                market,
                market.name,
                symbol,
                most=self.app.settings.ingestion.stream.catch_up_trades,
                now_ns=now_ns(),
                source=source,
                check=self._check,
                on_landed=partial(self._count, symbol),
            )
            tell(self.app, one)
            ready.append(one)
        return ready

    def _count(self, symbol: str, rows: pl.DataFrame, report: WriteReport) -> None:
        """Trades of the catching up count like others, and belong to a recording."""
        self.caught += report
        if not report.landed:
            return
        lowest = int(rows["trade_id"].cast(int).min())  # type: ignore[arg-type]
        newest = int(rows["ts"].max())  # type: ignore[arg-type]
        self.fetched[symbol] = min(lowest, self.fetched.get(symbol, lowest))
        self.tally.trades[symbol] += report.landed
        self.tally.newest_ns[symbol] = max(newest, self.tally.newest_ns.get(symbol, 0))

    def _check(self) -> None:
        if self.stop.is_set():
            raise feeds.Stopping("stopped")

    def _recorder(self, channels: Sequence[str], ready: Sequence[Resumed]) -> Recorder | None:
        """It begins with what was caught up, so that a replay has it too."""
        from cq.exchanges.mercado_bitcoin import MercadoBitcoin
        from cq.ingest.resume import begun_with

        folder, name = self.options["record"], MercadoBitcoin.name
        if folder is None:
            return None
        found = (
            begun_with(self.app.lake, name, one, self.fetched.get(one.symbol), now_ns())
            for one in ready
        )
        fills = [one for one in found if one is not None]
        after = {one.symbol: one.first_id - 1 for one in fills}
        recorder = recorder_in(self.app, folder, self.symbols, channels, after)
        recorder.add(fills, now_ns())
        return recorder


def tell(app: App, one: Resumed) -> None:
    """What catching up brought, and what it did not."""
    if one.filled:
        note(f"{one.symbol}: {one.filled:,} missed trades fetched")
    for hole in one.left[:3]:
        note(
            f"{one.symbol}: {len(hole):,} trades ({hole.first_id} to {hole.last_id}) are not in "
            f"the lake; {feeds.fetching(app.lake, hole)} fetches them"
        )


def kept_in(recorder: Recorder) -> Callable[[Sequence[Arrival]], None]:
    """Hands arrivals to a recorder, at the time it is."""
    return lambda arrivals: recorder.add(arrivals, now_ns())


def recorder_in(
    app: App,
    folder: Path,
    symbols: Sequence[str],
    channels: Sequence[str],
    after: Mapping[str, int] | None = None,
) -> Recorder:
    """A recorder of this run, whose trades come `after` these ids."""
    import os

    from cq.exchanges.mercado_bitcoin import MercadoBitcoin
    from cq.ingest.recording import Recorder

    now = now_ns()
    return Recorder(
        folder,
        {
            "exchange": MercadoBitcoin.name,
            "symbols": list(symbols),
            "channels": list(channels),
            "after": dict(after or {}),
            "run": f"{now}-{os.getpid()}",
        },
        rotate_ns=round(app.settings.ingestion.stream.rotate_seconds * SECOND),
        now_ns=now,
    )
