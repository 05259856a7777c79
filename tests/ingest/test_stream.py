import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Event
from time import sleep

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from trade_market import trades

from cq.errors import LakeUnwritable, NoSuchMarket
from cq.exchanges.feed import Batch, Frame, Hole
from cq.ingest import stream, tidying
from cq.ingest.built_bars import bars_of
from cq.ingest.closing import Closing
from cq.ingest.coverage import covered
from cq.ingest.recording import Recorder, arrivals_in
from cq.ingest.rolling import Rolling, Rotation
from cq.ingest.stream import Streaming
from cq.ingest.tidying import Tidying
from cq.lake import Lake
from cq.lake.compaction import Compacted
from cq.lake.datasets import ORDERBOOK_L2, TRADES
from cq.utils.clock import now_ns
from cq.utils.time import HOUR, SECOND

pytestmark = pytest.mark.usefixtures("nothing_lingers")

START = 1_790_000_040
T0 = START * SECOND


def batch(rows: pl.DataFrame, **more) -> Batch:
    seen = {"BTC-BRL": rows["ts"].max()} if rows.height else {}
    return Batch(rows, ORDERBOOK_L2.empty(), pl.DataFrame(), seen, **more)


class Live:
    """Hands on batches; then waits until it is told to stop."""

    def __init__(self, *batches: Batch, then: Callable[[], None] = lambda: None) -> None:
        self.given, self.then, self.closed = list(batches), then, False

    async def batches(self, stop: Event) -> AsyncIterator[Batch]:
        try:
            for one in self.given:
                yield one
            self.then()
            while not stop.is_set():
                await asyncio.sleep(0.005)
        finally:
            self.closed = True


class Slow(Live):
    """The same, with a moment between."""

    async def batches(self, stop: Event) -> AsyncIterator[Batch]:
        async for one in super().batches(stop):
            yield one
            await asyncio.sleep(0.02)


def made(folder: Path, live: Live, *, every_ns: int = HOUR, rows: int = 10**9, **more) -> Streaming:
    closing = Closing("BTC-BRL", "mercadobitcoin", known_from=T0, edge=T0)
    rolling = Rolling(
        Lake(folder), [closing], source="test", rotation=Rotation(every_ns, rows), now_ns=now_ns()
    )
    return Streaming(live, rolling, now_ns, **more)


def run(streaming: Streaming, stop: Event) -> None:
    asyncio.run(asyncio.wait_for(streaming.run(stop), 60))


def stored(one: Streaming) -> int:
    paths = one.rolling.lake.layouts["trades"].paths(one.rolling.lake.root)
    return sum(pl.read_parquet(path, hive_partitioning=False).height for path in paths)


def test_told_to_stop_it_lands_what_it_holds_and_what_that_covers(tmp_path):
    stop = Event()
    rows = trades([START + 20 * n for n in range(10)])
    live = Live(batch(rows[:4]), batch(rows[4:], corrupt=2, reconnects=1, filled=3), then=stop.set)
    one = made(tmp_path / "lake", live)
    run(one, stop)
    assert stored(one) == 10
    assert covered(one.rolling.lake, "trades", "mercadobitcoin", "BTC-BRL", None) == [
        (T0, T0 + 180 * SECOND)
    ]
    bars = one.rolling.lake.bars("BTC-BRL", "1m").collect()
    assert_frame_equal(bars, bars_of(rows[:9], "1m").drop("interval"), check_column_order=False)
    assert live.closed
    assert (one.tally.trades["BTC-BRL"], one.tally.corrupt, one.tally.filled) == (10, 2, 3)


def test_rows_are_readable_when_their_time_is_up_though_nothing_more_comes(tmp_path):
    stop = Event()
    seen: list[int] = []

    def landed(*_: object) -> None:
        seen.append(stored(one))
        stop.set()

    one = made(tmp_path / "lake", Live(batch(trades([START]))), every_ns=SECOND // 20)
    one.on_landed = landed
    run(one, stop)
    assert seen[0] == 1


def test_enough_rows_are_written_at_once_while_more_come_in(tmp_path):
    stop = Event()
    rows = trades([START + n for n in range(1000)])
    live = Live(*(batch(rows[n : n + 10]) for n in range(0, 1000, 10)), then=stop.set)
    one = made(tmp_path / "lake", live, rows=100)
    run(one, stop)
    assert stored(one) == 1000
    assert one.rolling.landed.trades.landed == 1000
    assert one.rolling.landed.rotations >= 5


def test_small_files_are_merged_while_more_come_in(tmp_path):
    stop = Event()
    rows = trades([START + 20 * n for n in range(300)])
    live = Slow(*(batch(rows[n : n + 5]) for n in range(0, 300, 5)), then=stop.set)
    one = made(tmp_path / "lake", live, rows=5)
    lake = one.rolling.lake
    one.tidying = Tidying(lake, ["BTC-BRL"], SECOND // 20, now_ns())
    run(one, stop)
    files = [len(lake.layouts[name].paths(lake.root)) for name in ("trades", "ohlcv")]
    assert one.rolling.landed.rotations > 40
    assert max(files) < 20
    assert stored(one) == 300
    assert one.rolling.landed.trades.landed == 300
    bars = lake.bars("BTC-BRL", "1m").collect()
    assert_frame_equal(bars, bars_of(rows[:297], "1m").drop("interval"), check_column_order=False)


def test_a_stream_that_ends_while_files_are_merged_does_not_wait_for_all_of_them(
    tmp_path, monkeypatch
):
    stop, begun = Event(), Event()
    rows = trades([START + 20 * n for n in range(10)])
    one = made(tmp_path / "lake", Live(batch(rows)))
    one.tidying = Tidying(one.rolling.lake, ["BTC-BRL"], SECOND // 100, now_ns())

    def long(*_: object, progress: Callable[..., None], **__: object) -> list[Compacted]:
        begun.set()
        stop.set()
        while True:  # a folder after the other
            sleep(0.01)
            progress()

    monkeypatch.setattr(tidying, "compact", long)
    run(one, stop)
    assert begun.is_set()
    assert stored(one) == 10


def test_a_slow_disk_makes_the_stream_wait_and_nothing_is_dropped(tmp_path, monkeypatch):
    stop, gate, begun, held = Event(), Event(), Event(), []
    rows = trades([START + n for n in range(500)])

    class Watched(Live):
        async def batches(self, stop: Event) -> AsyncIterator[Batch]:
            for number, one in enumerate(self.given):
                held.append(number)
                yield one
            stop.set()

    one = made(
        tmp_path / "lake", Watched(*(batch(rows[n : n + 10]) for n in range(0, 500, 10))), rows=50
    )
    write = one.rolling.write

    def slow(*args, **more):
        begun.set()
        assert gate.wait(60)
        return write(*args, **more)

    monkeypatch.setattr(one.rolling, "write", slow)

    async def watched() -> int:
        task = asyncio.ensure_future(one.run(stop))
        assert await asyncio.to_thread(begun.wait, 30)
        for _ in range(2000):  # turns of the loop: far more than 50 batches need, were they taken
            await asyncio.sleep(0)
        taken = len(held)
        gate.set()
        await task
        return taken

    assert asyncio.run(asyncio.wait_for(watched(), 60)) <= 11
    assert stored(one) == 500


def test_a_lake_that_cannot_be_written_ends_it_at_once(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise LakeUnwritable(tmp_path, "No space left on device")

    live = Live(batch(trades([START] * 20)))
    one = made(tmp_path / "lake", live, rows=10)
    monkeypatch.setattr(one.rolling.lake, "write", full)
    with pytest.raises(LakeUnwritable, match="No space left"):
        run(one, Event())
    assert live.closed


def test_a_stream_that_does_not_end_when_told_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE_S", 0.05)
    monkeypatch.setattr(stream, "LOOK_S", 0.02)
    stop = Event()

    class Deaf(Live):
        async def batches(self, stop: Event) -> AsyncIterator[Batch]:
            yield batch(trades([START]))
            stop.set()
            await asyncio.sleep(3600)

    one = made(tmp_path / "lake", Deaf())
    run(one, stop)
    assert stored(one) == 1


def test_a_failing_stream_is_not_hidden(tmp_path):
    class Broken(Live):
        async def batches(self, stop: Event) -> AsyncIterator[Batch]:
            yield batch(TRADES.empty(), lost=[Hole("BTC-BRL", 1, 2)])
            raise ValueError("no such symbol")

    with pytest.raises(ValueError, match="no such symbol"):
        run(made(tmp_path / "lake", Broken()), Event())


class Failing(Live):
    """Hands on batches; then the exchange refuses."""

    async def batches(self, stop: Event) -> AsyncIterator[Batch]:
        for one in self.given:
            yield one
        raise NoSuchMarket("BTC-BRL", "trades", 404, "NOT_FOUND", "none")


BOOK = pl.DataFrame(
    [
        {
            "ts": T0, "bids": [{"price": 1.0, "size": 1.0}], "asks": [{"price": 2.0, "size": 1.0}],
            "symbol": "BTC-BRL", "exchange": "mercadobitcoin",
        }
    ],
    dict(ORDERBOOK_L2.schema),
)  # fmt: skip


def test_an_error_of_the_exchange_lands_what_is_held_before_it_goes_on(tmp_path):
    live = Failing(batch(trades([START, START + 61])), Batch(TRADES.empty(), BOOK, pl.DataFrame()))
    one = made(tmp_path / "lake", live)
    with pytest.raises(NoSuchMarket):
        run(one, Event())
    assert stored(one) == 2
    assert one.rolling.landed.books.landed == 1
    assert covered(one.rolling.lake, "trades", "mercadobitcoin", "BTC-BRL", None) == [
        (T0, T0 + 61 * SECOND)
    ]


@pytest.mark.parametrize("fault", ["exchange", "lake"])
def test_whatever_ends_it_the_recording_is_whole(tmp_path, monkeypatch, fault):
    recorder = Recorder(tmp_path / "rec", {"exchange": "test"}, rotate_ns=HOUR, now_ns=now_ns())
    recorder.add([Frame(T0, b"x", "a")], now_ns())
    one = made(tmp_path / "lake", Failing(batch(trades([START]))), rows=1, recorder=recorder)

    def full(*_: object, **__: object) -> None:
        raise LakeUnwritable(tmp_path, "No space left on device")

    if fault == "lake":
        monkeypatch.setattr(one.rolling.lake, "write", full)
    with pytest.raises(LakeUnwritable if fault == "lake" else NoSuchMarket):
        run(one, Event())
    (path,) = recorder.files
    assert list(arrivals_in(path)) == [Frame(T0, b"x", "a")]
