from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq.errors import CannotExchange
from cq.ingest.tidying import LITTLE_MB, Tidying
from cq.lake import Lake, disk, locks
from cq.utils import log
from cq.utils.time import HOUR, MINUTE

pytestmark = pytest.mark.usefixtures("nothing_lingers")

START = 1_704_067_200_000_000_000


def bars(count: int, symbol: str = "BTC-BRL") -> pl.DataFrame:
    price = 100.0 + pl.int_range(count, eager=True).cast(pl.Float64)
    return pl.DataFrame({
        "ts": START + pl.int_range(count, eager=True) * MINUTE,
        "open": price, "high": price + 2, "low": price - 2, "close": price + 1, "volume": price,
        "symbol": symbol, "exchange": "test", "interval": "1m",
    })  # fmt: skip


def put(lake: Lake, rows: pl.DataFrame, pieces: int) -> None:
    size = rows.height // pieces
    for number in range(pieces):
        lake.write("ohlcv", rows.slice(number * size, size), source="test", now_ns=1)


def files(lake: Lake, symbol: str) -> list[str]:
    return lake.layouts["ohlcv"].paths(lake.root, {"symbol": symbol})


def rows_of(lake: Lake) -> pl.DataFrame:
    return lake.sql("from raw.ohlcv order by exchange, symbol, ts")


@pytest.fixture
def streamed(lake) -> Lake:
    for symbol in ("BTC-BRL", "ETH-BRL"):
        put(lake, bars(60, symbol), 6)
    return lake


def test_the_files_of_its_symbols_become_one_and_their_rows_stay_what_they_are(streamed):
    before = rows_of(streamed)
    assert Tidying(streamed, ["BTC-BRL"], HOUR, 0).run(HOUR) == 5
    assert [len(files(streamed, one)) for one in ("BTC-BRL", "ETH-BRL")] == [1, 6]
    assert_frame_equal(rows_of(streamed), before)


def test_larger_files_are_left_to_whoever_compacts_the_lake(lake):
    many = bars(200_000)
    noise = pl.int_range(pl.len()).hash(1) % 1_000_003 / 7
    put(lake, many.with_columns(volume=noise), 1)
    (large,) = files(lake, "BTC-BRL")
    assert (lake.root / large).stat().st_size > LITTLE_MB * 1e6
    later = many.tail(6).with_columns(pl.col("ts") + MINUTE * 6)
    put(lake, later, 6)
    assert Tidying(lake, ["BTC-BRL"], HOUR, 0).run(HOUR) == 5
    assert large in files(lake, "BTC-BRL")
    assert len(files(lake, "BTC-BRL")) == 2


def test_it_is_due_early_once_then_an_hour_after_the_last_and_never_once_it_is_told_to_stop(
    streamed,
):
    one = Tidying.of(streamed, ["BTC-BRL"], HOUR, 5 * HOUR)
    assert [one.due(5 * HOUR + HOUR // 10 - late) for late in (1, 0)] == [False, True]
    one.run(6 * HOUR)
    assert [one.due(7 * HOUR - early) for early in (1, 0)] == [False, True]
    one.stopping.set()
    assert not one.due(8 * HOUR)


def test_told_to_stop_it_ends_after_the_folders_it_is_at(streamed):
    for number in range(20):
        put(streamed, bars(4, f"A{number:02d}-BRL"), 2)
    one = Tidying(streamed, [f"A{number:02d}-BRL" for number in range(20)], HOUR, 0)
    before = rows_of(streamed)
    one.stopping.set()
    assert one.run(HOUR) == 0
    left = [len(files(streamed, symbol)) for symbol in one.symbols]
    assert 1 in left
    assert 2 in left
    assert_frame_equal(rows_of(streamed), before)
    assert not list((streamed.root / ".work").glob("*"))


def test_while_somebody_else_compacts_the_lake_nothing_is_done(streamed):
    with locks.held(streamed.root / locks.LOCKS / "compaction.lock", "the lake", 0):
        assert Tidying(streamed, ["BTC-BRL"], HOUR, 0).run(HOUR) == 0
    assert len(files(streamed, "BTC-BRL")) == 6


@pytest.fixture
def told(monkeypatch) -> list[tuple]:
    """What goes to the log."""
    found = []
    monkeypatch.setattr(log, "event", lambda *what, **more: found.append((*what, more)))
    return found


def test_what_it_did_is_in_the_log_with_what_it_left_and_why(streamed, told):
    path = Path(files(streamed, "BTC-BRL")[2])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert Tidying(streamed, ["BTC-BRL", "ETH-BRL"], HOUR, 0).run(HOUR) == 9
    ((component, action, more),) = told
    assert (component, action, more["status"]) == ("lake", "compact", "done")
    assert more["files_fewer"] == 9
    (left,) = more["left"]
    assert path.name in left
    assert path.exists()


def test_where_folders_cannot_be_exchanged_it_warns_and_the_stream_goes_on(
    streamed, told, monkeypatch
):
    def unable(*_: object, **__: object) -> None:
        raise CannotExchange(streamed.root)

    monkeypatch.setattr(disk, "exchange", unable)
    before = rows_of(streamed)
    assert Tidying(streamed, ["BTC-BRL"], HOUR, 0).run(HOUR) == 0
    ((component, action, more),) = told
    assert (component, action, more["level"]) == ("lake", "compact", "WARNING")
    assert str(streamed.root) in more["reason"]
    assert_frame_equal(rows_of(streamed), before)


def test_what_nobody_thought_of_is_a_warning_too_and_the_next_time_it_is_tried_again(
    streamed, told, monkeypatch
):
    one = Tidying(streamed, ["BTC-BRL"], HOUR, 0)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "exchange", lambda *_: 1 / 0)
        assert one.run(HOUR) == 0
    assert one.run(2 * HOUR) == 5
    (_, _, failed), (_, _, done) = told
    assert (failed["level"], failed["status"]) == ("WARNING", "failed")
    assert "division" in failed["reason"]
    assert done["status"] == "done"
