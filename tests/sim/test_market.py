"""The generated market: the same for the same seed, and with the traits it promises."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from statsmodels.tsa.stattools import coint

from cq.errors import UnknownSymbol
from cq.sim.market import GeneratedMarket
from cq.utils.time import DAY, HOUR, MINUTE, parse_time

START, END = parse_time("2024-01-01"), parse_time("2025-01-01")
MARKET = GeneratedMarket(START, END)


def bars(symbol="BTC-BRL", interval="1h", market=MARKET):
    return market.candles(symbol, interval, START, END)


def test_the_same_seed_gives_the_same_bars_and_another_seed_others():
    assert_frame_equal(bars(), bars(market=GeneratedMarket(START, END)))
    assert not bars().equals(bars(market=GeneratedMarket(START, END, seed=1)))


@pytest.mark.parametrize("symbol", MARKET.symbols)
@pytest.mark.parametrize("interval", ["1m", "15m", "1h", "1d"])
def test_every_bar_is_a_possible_bar(symbol, interval):
    frame = bars(symbol, interval)
    assert frame.height > 0
    assert frame["ts"].is_sorted()
    assert frame["ts"].is_unique().all()
    possible = frame.select(
        ok=(pl.col("high") >= pl.max_horizontal("open", "close"))
        & (pl.col("low") <= pl.min_horizontal("open", "close"))
        & (pl.col("low") > 0)
        & (pl.col("volume") > 0)
    )
    assert possible["ok"].all()


def test_prices_lie_on_the_tick():
    assert (bars("BTC-BRL")["close"] % 1 == 0).all()
    cents = bars("SOL-BRL")["close"] * 100
    assert ((cents - cents.round()).abs() < 1e-6).all()


def test_a_thin_market_has_minutes_without_a_trade_and_a_thick_one_has_every_hour():
    week = (END - DAY, END)
    thin = MARKET.candles("LINK-BRL", "1m", *week)
    assert 0 < thin.height < DAY // MINUTE * 0.3
    assert bars("BTC-BRL").height == (END - START) // HOUR
    assert bars("LINK-BRL").height < (END - START) // HOUR


def test_ethereum_is_tied_to_bitcoin_and_solana_is_not():
    log = {s: np.log(bars(s)["close"].to_numpy()[::24]) for s in ("BTC-BRL", "ETH-BRL", "SOL-BRL")}
    assert coint(log["ETH-BRL"], log["BTC-BRL"])[1] < 0.01
    assert coint(log["SOL-BRL"], log["BTC-BRL"])[1] > 0.05


def test_calm_and_storm_take_turns():
    returns = bars()["close"].log().diff().drop_nulls().to_numpy()
    chunks = np.array([chunk.std() for chunk in np.array_split(returns, 52)])
    assert chunks.max() > 1.8 * chunks.min()


def test_a_coarse_bar_is_made_of_the_finer_ones():
    hours, days = bars("ETH-BRL"), bars("ETH-BRL", "1d")
    first = hours.filter(pl.col("ts") < START + DAY)
    assert days["open"][0] == first["open"][0]
    assert days["high"][0] == first["high"].max()
    assert days["close"][0] == first["close"][-1]


def test_an_unknown_symbol_is_answered_with_the_known_ones():
    with pytest.raises(UnknownSymbol, match="BTC-BRL"):
        bars("DOGE-BRL")
