import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from trade_market import trades

from cq.errors import LakeUnwritable, UsageError
from cq.exchanges.feed import Arrival, Closed, Fill, Frame, Opened
from cq.exchanges.mercado_bitcoin.frames import FrameReader
from cq.ingest.built_bars import bars_of
from cq.ingest.coverage import covered
from cq.ingest.pieces import Request
from cq.ingest.playback import SLICE_NS, Pace, Playing, pieces_of, runs_in, slices
from cq.ingest.recording import Recorder
from cq.ingest.rolling import Landed, Rolling, Rotation
from cq.lake import Lake
from cq.lake.datasets import TRADES
from cq.utils.time import MINUTE, SECOND

START = 1_790_000_040
T0 = START * SECOND
ROWS = trades([START + 7 * n for n in range(60)], first_id=500)


def frame(row: dict, delay_ns: int = 1_000_000) -> Frame:
    said = {
        "type": "trade",
        "id": "BRLBTC",
        "ts": row["ts"] + 5,
        "data": {
            "tid": int(row["trade_id"]), "date": row["ts"] // SECOND, "type": row["side"],
            "price": row["price"], "amount": row["size"],
        },
    }  # fmt: skip
    return Frame(row["ts"] + delay_ns, json.dumps(said).encode(), "a1")


def frames(rows: pl.DataFrame) -> Iterator[Frame]:
    return (frame(row) for row in rows.iter_rows(named=True))


def arrivals() -> list[Arrival]:
    """A stream with a lost connection, a filled hole, a repeat and a corrupt frame."""
    fill = Fill(ROWS["ts"][30] + 1, "BTC-BRL", 520, 529, ROWS[20:30])
    return [
        Opened(T0, "a1", "trades"),
        *frames(ROWS[:20]),
        Closed(ROWS["ts"][20], "a1", "trades", "1006"),
        Opened(ROWS["ts"][29], "a2", "trades"),
        *frames(ROWS[30:31]),
        fill,
        *frames(ROWS[30:45]),
        Frame(ROWS["ts"][45], b'{"type":"trade","id":\xff', "a2"),
        *frames(ROWS[45:]),
    ]


def recorded(folder: Path, items: list[Arrival], run: str = "r1", **more) -> list[Path]:
    header = {"exchange": "mercadobitcoin", "symbols": ["BTC-BRL"], "run": run} | more
    one = Recorder(folder, header, rotate_ns=2 * MINUTE, now_ns=T0)
    for item in items:
        one.add([item], item.received_ns if isinstance(item, Frame) else item.at_ns)
    one.close(T0)
    return one.files


def play(folder: Path, paths: list[Path], pace: Pace | None = None) -> Playing:
    one = Playing(Lake(folder), Rotation(MINUTE, 25), pace or Pace())
    runs, captures = runs_in(paths)
    for run in runs:
        one.recording(run, lambda _: FrameReader())
    for path in captures:
        one.capture(path, Request("trades", now_ns=T0))
    return one


def rows_in(lake: Lake) -> pl.DataFrame:
    paths = lake.layouts["trades"].paths(lake.root)
    if not paths:
        return TRADES.empty()
    return pl.concat(pl.read_parquet(one, hive_partitioning=False) for one in paths).sort(
        "trade_id"
    )


def contents(folder: Path) -> dict[Path, bytes]:
    return {one.relative_to(folder): one.read_bytes() for one in folder.rglob("*.parquet")}


def test_a_recording_lands_each_trade_once_with_its_bars(tmp_path):
    paths = recorded(tmp_path / "rec", arrivals())
    assert len(paths) > 2
    one = play(tmp_path / "lake", paths)
    assert_frame_equal(rows_in(one.lake), ROWS)
    bars = one.lake.bars("BTC-BRL", "1m").collect()
    inside = pl.col("ts").is_between(T0 + MINUTE, T0 + 6 * MINUTE, closed="left")
    expected = bars_of(ROWS.filter(inside), "1m").drop("interval")
    assert_frame_equal(bars, expected, check_column_order=False)
    assert (one.tally.corrupt, one.tally.reconnects, one.tally.filled) == (1, 1, 10)
    assert one.tally.lost == []


def test_a_replay_of_the_same_gives_the_same_files_to_the_byte(tmp_path):
    paths = recorded(tmp_path / "rec", arrivals())
    slept: list[float] = []
    pace = Pace(1000.0, slept.append, lambda: 0.0)
    for name, how in (("a", None), ("b", None), ("c", pace)):
        play(tmp_path / name, paths, how)
    first, second, paced = (contents(tmp_path / name) for name in "abc")
    assert first == second == paced
    assert len(first) > 12
    play(tmp_path / "a", paths)
    assert contents(tmp_path / "a") == first


def test_speed_is_kept_by_the_clock_of_the_recording():
    slept: list[float] = []
    now = [100.0]
    pace = Pace(2.0, slept.append, lambda: now[0])
    pace.until(T0)
    pace.until(T0 + 10 * SECOND)
    now[0] = 106.0
    pace.until(T0 + 10 * SECOND)
    pace.until(T0 + 20 * SECOND)
    assert slept == [5.0, 4.0]


def test_as_fast_as_possible_never_waits():
    Pace(None, pytest.fail).until(T0)


def test_trades_behind_a_hole_that_was_never_filled_land_at_the_end(tmp_path):
    some = [*frames(ROWS[:20]), *frames(ROWS[30:])]
    one = play(tmp_path / "lake", recorded(tmp_path / "rec", some))
    assert rows_in(one.lake).height == 50
    assert [(hole.first_id, hole.last_id) for hole in one.tally.lost] == [(520, 529)]
    opens = one.lake.bars("BTC-BRL", "1m").collect()["ts"].to_list()
    assert T0 + 3 * MINUTE not in opens
    assert T0 + 4 * MINUTE in opens


def test_a_mangled_id_at_the_end_of_a_recording_is_no_trade(tmp_path):
    wrong = ROWS[-1:].with_columns(trade_id=pl.lit("900559"))
    some = [*frames(ROWS[:20]), *frames(ROWS[22:-1]), *frames(wrong)]
    one = play(tmp_path / "lake", recorded(tmp_path / "rec", some))
    assert [(hole.first_id, hole.last_id) for hole in one.tally.lost] == [(520, 521)]
    assert one.tally.corrupt == 1
    assert rows_in(one.lake)["trade_id"].to_list() == [
        *map(str, range(500, 520)),
        *map(str, range(522, 559)),
    ]


@pytest.mark.parametrize("mangled", [3, 900_000_000])
def test_a_mangled_id_at_the_beginning_of_a_recording_is_no_trade(tmp_path, mangled):
    bad = frame(ROWS.row(0, named=True) | {"trade_id": str(mangled)})
    one = play(tmp_path / "lake", recorded(tmp_path / "rec", [bad, *frames(ROWS)]))
    assert_frame_equal(rows_in(one.lake), ROWS)
    assert one.tally.lost == []
    alone = play(tmp_path / "other", recorded(tmp_path / "alone", [bad]))
    assert (rows_in(alone.lake).height, alone.tally.corrupt) == (0, 1)


def test_what_the_lake_had_before_is_part_of_a_whole_recording_only(tmp_path):
    first = Fill(T0, "BTC-BRL", 500, 504, ROWS[:5])
    items = [*frames(ROWS[5:10]), first, *frames(ROWS[10:])]
    paths = recorded(tmp_path / "rec", items, after={"BTC-BRL": 499})
    assert rows_in(play(tmp_path / "all", paths).lake).height == 60
    late = play(tmp_path / "late", paths[1:])
    assert late.tally.lost == []
    assert 0 < rows_in(late.lake).height < 60


def test_two_recordings_have_a_hole_between_them_that_is_no_loss(tmp_path):
    paths = [
        *recorded(tmp_path / "rec", list(frames(ROWS[:20])), run="x"),
        *recorded(tmp_path / "rec", list(frames(ROWS[40:])), run="y"),
    ]
    runs, others = runs_in([tmp_path / "rec"])
    assert len(runs) == 2
    assert others == []
    one = play(tmp_path / "lake", paths)
    assert one.tally.lost == []
    assert rows_in(one.lake).height == 40


def test_parts_are_played_in_the_order_of_their_numbers_whatever_was_done_to_the_clock(tmp_path):
    header = {"exchange": "mercadobitcoin", "symbols": ["BTC-BRL"], "run": "r1"}
    one = Recorder(tmp_path / "rec", header, rotate_ns=2 * MINUTE, now_ns=T0)
    back = T0 - 60 * MINUTE
    for at_ns, rows in ((T0, ROWS[:20]), (back, ROWS[20:40]), (back + SECOND, ROWS[40:])):
        one.add(list(frames(rows)), at_ns)
        one.flush(at_ns)
    one.close(back + SECOND)
    (run,), _ = runs_in([tmp_path / "rec"])
    assert run == one.files
    assert sorted(run) != run


def test_a_recording_that_was_killed_before_its_first_line_is_passed_over(tmp_path):
    paths = recorded(tmp_path / "rec", arrivals())
    (tmp_path / "rec" / "empty.jsonl.gz").touch()
    (tmp_path / "rec" / "begun.jsonl.gz").write_bytes(paths[0].read_bytes()[:20])
    assert runs_in([tmp_path / "rec"]) == ([paths], [])
    assert runs_in([tmp_path / "rec" / "empty.jsonl.gz"]) == ([], [])


def test_told_to_stop_it_lands_what_it_has(tmp_path):
    paths = recorded(tmp_path / "rec", arrivals())
    calls = iter([False, False, True])
    one = Playing(Lake(tmp_path / "lake"), Rotation(MINUTE, 10_000), told_to_stop=calls.__next__)
    one.recording(paths, lambda _: FrameReader())
    assert 0 < rows_in(one.lake).height < 60


@settings(max_examples=30)
@given(st.lists(st.integers(0, 60), max_size=30).map(sorted))
def test_slices_hold_every_arrival_in_order_and_keep_to_marks(seconds):
    items: list[Arrival] = [Frame(T0 + s * SECOND, b"", "a") for s in seconds]
    cut = list(slices(items))
    assert [one for some in cut for one in some] == items
    for some in cut:
        assert len({one.received_ns // SLICE_NS for one in some}) == 1  # type: ignore[union-attr]


def test_a_folder_without_recordings_is_a_mistake(tmp_path):
    with pytest.raises(UsageError, match="holds no recording"):
        runs_in([tmp_path])


def test_what_is_neither_recording_nor_capture_is_named(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    one = play(tmp_path / "lake", [tmp_path / "x.csv", *recorded(tmp_path / "rec", arrivals())])
    (problem,) = one.unread
    assert str(problem) == (
        f"{tmp_path}/x.csv: is no recording, and as a capture it is in no known layout: "
        f"found columns a, b; `cq lake import {tmp_path}/x.csv --dataset trades` says how to "
        "describe it"
    )
    assert one.landed.trades.landed == 60


def with_a_damaged_line(path: Path, number: int) -> None:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    lines[number] = b'{"at":}\n'
    path.write_bytes(gzip.compress(b"".join(lines)))


def test_what_is_not_damaged_of_a_recording_lands_whatever_comes_after_it(tmp_path):
    first, middle, *rest = recorded(tmp_path / "rec", list(frames(ROWS)))
    with_a_damaged_line(middle, 11)
    with_a_damaged_line(first, 16)
    one = play(tmp_path / "lake", [first, middle, *rest])
    ids = rows_in(one.lake)["trade_id"].cast(pl.Int64).to_list()
    assert ids == [*range(500, 515), *range(520, 530), *range(539, 560)]
    assert one.landed.trades.landed == sum(one.tally.trades.values()) == len(ids)
    assert one.tally.lost == []
    known = covered(one.lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    assert len(known) == 3
    for path, line, problem in zip((first, middle), (17, 12), one.unread, strict=True):
        assert str(problem).startswith(f"{path}: has a damaged line {line} (Expecting value")
        assert "`cq lake ingest BTC-BRL --dataset trades --since 2026-09-21T14:" in str(problem)


def test_bytes_that_were_flipped_in_a_recording_cost_only_what_comes_after_them(tmp_path):
    first, middle, *rest = recorded(tmp_path / "rec", list(frames(ROWS)))
    content = bytearray(middle.read_bytes())
    content[len(content) // 2] ^= 255
    middle.write_bytes(content)
    one = play(tmp_path / "lake", [first, middle, *rest])
    ids = set(rows_in(one.lake)["trade_id"].cast(pl.Int64))
    assert ids >= {*range(500, 520), *range(539, 560)}
    assert "is damaged" in str(one.unread[0])


def test_what_landed_before_an_error_of_the_lake_is_counted(tmp_path, monkeypatch):
    paths = recorded(tmp_path / "rec", list(frames(ROWS)))
    one = Playing(Lake(tmp_path / "lake"), Rotation(MINUTE, 25))
    rotated = iter([None, None])
    write = Rolling.write

    def full(self: Rolling, *args: Any, **more: Any) -> Landed:
        if next(rotated, self) is self:
            raise LakeUnwritable(tmp_path, "no space left")
        return write(self, *args, **more)

    monkeypatch.setattr(Rolling, "write", full)
    with pytest.raises(LakeUnwritable):
        one.recording(paths, lambda _: FrameReader())
    assert one.landed.trades.landed == rows_in(one.lake).height > 0


@pytest.mark.parametrize(
    ("name", "trades", "books"),
    [
        ("mercadobitcoin/ws_frames_20260923_trimmed.jsonl", 0, 2),
        ("binance_ws/spot_ethusdt_20240808.gz", None, None),
        ("cryptofeed/COINBASE.ws.28.0", 107, None),
    ],
)
def test_captures_of_others_replay_to_the_same_bytes(tmp_path, shared, name, trades, books):
    path = shared / "market" / "raw" / name
    playings = [play(tmp_path / one, [path]) for one in "ab"]
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    landed = playings[0].landed
    assert landed.bars.read == 0
    for report, expected in ((landed.trades, trades), (landed.books, books)):
        assert report.landed == expected or expected is None
        assert report.landed > 0 or expected == 0
    pieces = pieces_of(path, Request("trades", now_ns=T0))
    assert sum(piece.rows.height for piece in pieces.values()) == sum(
        one.read for one in (landed.trades, landed.books)
    )


def test_a_recording_that_ends_in_the_middle_is_played_and_named(tmp_path):
    (*_, last) = paths = recorded(tmp_path / "rec", arrivals())
    last.write_bytes(last.read_bytes()[:-9])
    one = play(tmp_path / "lake", paths)
    assert one.cut == [last]
    assert 40 < rows_in(one.lake).height < 60
    assert play(tmp_path / "other", paths[:-1]).cut == []


def test_a_folder_of_captures_says_that_they_are_named_one_by_one(shared):
    with pytest.raises(UsageError, match="named one by one"):
        runs_in([shared / "market" / "raw" / "hyperliquid"])
