"""Tapes of a lake and of files: what they add up to is what was there."""

import numpy as np
import polars as pl
import pytest

from cq.errors import DataError, NoSuchFile
from cq.lake import Lake
from cq.sim.arrays import bars_of, bucket
from cq.sim.listing import UNIT
from cq.sim.market import GeneratedMarket
from cq.sim.sources import tape_of
from cq.utils.time import DAY, HOUR, MINUTE, SECOND, parse_time

START = parse_time("2026-01-01")
END = START + 2 * DAY


def tape(data, **more):
    return tape_of(str(data), seed=1, trades_per_minute=3.0, now_ns=END, **more)


def lake_with(tmp_path, dataset, rows):
    lake = Lake(tmp_path / "lake")
    report = lake.write(dataset, rows, source="test", now_ns=END)
    assert report.landed == len(rows)
    return lake


@pytest.mark.parametrize("interval", ["1m", "15m", "1h"])
def test_trades_made_of_a_lakes_bars_add_up_to_them_exactly(tmp_path, interval):
    bars = GeneratedMarket(START, END, seed=2).candles("SOL-BRL", interval, START, END)
    lake = lake_with(tmp_path, "ohlcv", bars)
    found = tape(lake.root)
    assert found.begin_ns == bars["ts"][0]
    trades = found.trades("SOL-BRL", 0, END)
    made = bars_of(trades, bucket(trades.ts, interval))
    tick = float(found.listings["SOL-BRL"].tick)
    assert made.ts.tolist() == bars["ts"].to_list()
    for name in ("open", "high", "low", "close"):
        assert np.round(getattr(made, name) * tick, 8).tolist() == bars[name].to_list()
    assert (made.volume / UNIT).tolist() == bars["volume"].to_list()
    assert trades.tid.tolist() == list(range(1, len(trades) + 1))
    assert (np.diff(trades.ts) >= 0).all()
    assert trades.size.min() > 0


def test_candles_finer_than_the_bars_and_coarser_agree_with_the_trades(tmp_path):
    bars = GeneratedMarket(START, END, seed=2).candles("BTC-BRL", "1h", START, END)
    found = tape(lake_with(tmp_path, "ohlcv", bars).root)
    now = START + DAY + 90 * MINUTE
    trades = found.trades("BTC-BRL", 0, now + 1)
    for interval in ("1m", "1h", "3h", "1d"):
        made = bars_of(trades, bucket(trades.ts, interval))
        asked = found.candles("BTC-BRL", interval, 0, END, now)
        for name in vars(made):
            assert getattr(asked, name).tolist() == getattr(made, name).tolist(), (interval, name)


def real_trades(ids):
    return pl.DataFrame(
        {
            "ts": [START + number * SECOND for number in range(len(ids))],
            "price": [10.5 + number % 3 for number in range(len(ids))],
            "size": [0.25] * len(ids),
            "side": ["buy", "sell"] * (len(ids) // 2),
            "trade_id": [str(one) for one in ids],
            "symbol": "BTC-BRL",
            "exchange": "mercadobitcoin",
        }
    )


def test_real_trades_are_the_tape_with_their_own_ids(tmp_path):
    found = tape(lake_with(tmp_path, "trades", real_trades(range(501, 601))).root)
    trades = found.trades("BTC-BRL", 0, END)
    assert trades.tid.tolist() == list(range(501, 601))
    assert found.first_tid("BTC-BRL") == 501
    assert found.trades_by_id("BTC-BRL", 550, 552, END).tid.tolist() == [550, 551, 552]
    assert found.last_tid("BTC-BRL", START + 3 * SECOND) == 504
    assert found.last_tid("BTC-BRL", END + HOUR) == 600


def test_ids_with_gaps_are_counted_anew_and_that_is_said(tmp_path):
    found = tape(lake_with(tmp_path, "trades", real_trades(range(0, 200, 2))).root)
    assert found.trades("BTC-BRL", 0, END).tid.tolist() == list(range(1, 101))
    assert any("gaps" in note for note in found.notes)


def test_trades_that_cannot_be_told_in_1e_8_are_left_out_and_that_is_said(tmp_path):
    sizes = pl.col("trade_id").replace_strict(
        {"1": 2e11, "2": 1e-9}, default=pl.col("size"), return_dtype=pl.Float64
    )
    prices = pl.when(trade_id="3").then(3e-9).otherwise("price")
    rows = real_trades(range(1, 9)).with_columns(size=sizes, price=prices)
    found = tape(lake_with(tmp_path, "trades", rows).root)
    trades = found.trades("BTC-BRL", 0, END)
    assert trades.tid.tolist() == [4, 5, 6, 7, 8]
    assert set(trades.size) == {UNIT // 4}
    told = [float(found.listings["BTC-BRL"].price(one)) for one in trades.price]
    assert told == rows["price"].to_list()[3:]
    (said,) = (note for note in found.notes if "left out" in note)
    assert said == (
        "BTC-BRL: 3 of its trades have a price or size below 1e-8 or too large to be counted, "
        "and are left out"
    )


def test_bars_below_1e_8_are_left_out_and_of_these_alone_is_no_market(tmp_path):
    bars = GeneratedMarket(START, END, seed=2).candles("SOL-BRL", "1h", START, END)
    tiny = [(pl.col(name) * 1e-12).alias(name) for name in ("open", "high", "low", "close")]
    rows = pl.concat([bars.head(2).with_columns(tiny), bars[2:]])
    found = tape(lake_with(tmp_path, "ohlcv", rows).root)
    assert found.trades("SOL-BRL", 0, END).price.min() > 0
    assert "SOL-BRL: 2 of its bars have a price below 1e-8" in found.notes[0]
    alone = lake_with(tmp_path / "alone", "ohlcv", rows.head(2))
    with pytest.raises(DataError, match=r"neither trades nor bars that a market .* 2 of its bars"):
        tape(alone.root)


def test_a_file_of_bars_or_trades_is_a_market(tmp_path):
    bars = GeneratedMarket(START, END, seed=2).candles("ETH-BRL", "1h", START, END)
    bars.write_parquet(tmp_path / "bars.parquet")
    assert list(tape(tmp_path / "bars.parquet").listings) == ["ETH-BRL"]
    real_trades(range(1, 51)).write_csv(tmp_path / "trades.csv")
    assert tape(tmp_path / "trades.csv").last_tid("BTC-BRL", END) == 50


def test_what_is_not_there_or_holds_nothing_is_one_line(tmp_path):
    with pytest.raises(NoSuchFile):
        tape(tmp_path / "none")
    (tmp_path / "text.csv").write_text("a,b\nc,d\n")
    with pytest.raises(DataError, match=r"text\.csv` takes more, and --data the lake") as refused:
        tape(tmp_path / "text.csv")
    assert "--mapping" not in str(refused.value)
    Lake(tmp_path / "empty").prepare()
    with pytest.raises(DataError, match="neither trades nor bars"):
        tape(tmp_path / "empty")
