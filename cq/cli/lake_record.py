"""`cq lake record`: what the exchange sends, kept as it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from cq.cli import feeds
from cq.cli.app import App
from cq.cli.output import note, print_json
from cq.cli.symbols import to_fetch
from cq.errors import CqError
from cq.utils.clock import now_ns

if TYPE_CHECKING:
    from cq.exchanges.feed import Batch
    from cq.ingest.recording import Recorder
    from cq.ingest.stream import Tally


@click.command()
@feeds.options
@click.option("--ticker", is_flag=True, help="Tickers too.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the recordings; default: `recordings` in the project.",
)
@click.pass_obj
def record(app: App, /, **options: Any) -> None:
    """Keep the raw frames of SYMBOLS (default: the configured ones) with their arrival times.

    Files of JSON lines, gzipped; what REST gave for holes is in them, so that a replay is whole:
    `cq lake record BTC-BRL --for 10m`, then `cq lake replay recordings`.
    """
    from cq.cli.lake_stream import kept_in, recorder_in
    from cq.errors import NeverConnected
    from cq.ingest.recording import prepare
    from cq.ingest.stream import Tally
    from cq.utils import log

    log.configure(app.settings, running=True)
    symbols = to_fetch(options["symbols"], app.settings)
    channels = feeds.channels(options["book"], options["depth"], options["ticker"])
    folder = options["out"] or app.project / "recordings"
    prepare(folder)
    recorder = recorder_in(app, folder, symbols, channels)
    stop, tally = Event(), Tally()
    error: CqError | None = None

    async def work() -> None:
        from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest

        with MercadoBitcoin(Rest(app.settings.ingestion, sleep=feeds.pausing(stop))) as market:
            kept = kept_in(recorder)
            live = feeds.live(app, market, symbols, channels, options["depth"], on_arrivals=kept)
            note(f"recording {', '.join(symbols)} in {recorder.folder}; Ctrl-C ends it")
            await _recorded(live.batches(stop), recorder, tally)
            if not live.connected:
                raise NeverConnected(app.settings.ingestion.ws_url)

    try:
        feeds.until_stopped(work, stop, options["seconds"])
    except CqError as failed:
        error = failed
    _say(recorder, tally, error, as_json=options["as_json"])
    if error is not None:
        raise error
    note(f"{recorder.arrivals:,} arrivals in {recorder.bytes_written:,} bytes; "
         f"`cq lake replay {recorder.folder}` plays them")  # fmt: skip


async def _recorded(batches: AsyncIterator[Batch], recorder: Recorder, tally: Tally) -> None:
    """Count batches to the end, and keep the recorder moving, which takes arrivals itself."""

    async def ticking() -> None:
        while True:
            await asyncio.sleep(feeds.TICK_S)
            recorder.tick(now_ns())

    ticks = asyncio.ensure_future(ticking())
    try:
        async for batch in batches:
            tally.add(batch)
            if ticks.done():
                ticks.result()
    finally:
        ticks.cancel()
        with suppress(asyncio.CancelledError, CqError):
            await ticks
        recorder.close(now_ns())


def _say(recorder: Recorder, tally: Tally, error: CqError | None, *, as_json: bool) -> None:
    """The files, or all that is known of them."""
    found = {
        "files": [str(path) for path in recorder.files],
        "arrivals": recorder.arrivals,
        "bytes": recorder.bytes_written,
        "reconnects": tally.reconnects,
        "filled": tally.filled,
        "corrupt": tally.corrupt,
    }
    if as_json:
        print_json(found | {"error": None if error is None else str(error)})
    else:
        for path in recorder.files:
            click.echo(path)
