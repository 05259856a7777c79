from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

import cq
from cq.errors import StrategyError
from cq.execution.plan import Terms
from cq.strategies import (
    KINDS,
    FixedFraction,
    FixedNotional,
    InverseVolatility,
    KellyFraction,
    Strategy,
    Units,
    VolatilityTarget,
)
from cq.utils.config import defaults
from cq.utils.resources import resource_root


def test_a_fixed_fraction_is_the_signal_times_the_fraction():
    frame = pl.DataFrame({"signal": pl.Series([None, 0, 1], dtype=pl.Int8)})
    found = frame.select(FixedFraction(fraction=0.25).target(pl.col("signal"), "1h"))
    assert found.to_series().to_list() == [None, 0.0, 0.25]


def test_a_signal_is_worth_the_same_at_every_bar_of_constant_sizings_only():
    constant = [FixedFraction(fraction=0.25), FixedNotional(notional=9.0), Units(units=3.0)]
    assert [one.each for one in constant] == [0.25, 9.0, 3.0]
    others = [VolatilityTarget(), KellyFraction(), InverseVolatility()]
    assert [one.each for one in others] == [None] * 3


def held(closes, sizing, interval="1h"):
    bars = makers.hourly("A-B", closes).with_columns(signal=pl.lit(1, pl.Int8))
    found = bars.lazy().with_columns(t=sizing.target(pl.col("signal"), interval)).collect()
    return found["t"].to_list()


def test_wild_markets_are_held_less():
    moves = np.array([1, -1] * 20) * 0.02
    closes = (100 * np.exp(np.cumsum(moves))).tolist()
    sizing = VolatilityTarget(annual_volatility=0.5, window=10)
    found = held(closes, sizing)
    assert found[:10] == [None] * 10
    deviation = np.std([0.02, -0.02] * 5, ddof=1) * np.sqrt(8_760)
    assert found[10] == pytest.approx(0.5 / deviation, rel=1e-6)


def test_a_calm_market_is_capped():
    assert held([5.0] * 20, VolatilityTarget(window=3, max_fraction=0.7))[-1] == 0.7


def test_warmup_counts_the_bar_before_the_first_return():
    assert VolatilityTarget(window=168).warmup == 169
    assert FixedFraction().warmup == 1


@pytest.mark.parametrize("wrong", [{"fraction": 0}, {"fraction": 1.1}, {"fractio": 1}])
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        FixedFraction(**wrong)


def test_a_wild_market_is_still_held_at_the_floor():
    moves = np.array([1, -1] * 20) * 0.2
    closes = (100 * np.exp(np.cumsum(moves))).tolist()
    assert held(closes, VolatilityTarget(window=10, min_fraction=0.15))[-1] == 0.15
    with pytest.raises(ValidationError, match="lies above max_fraction"):
        VolatilityTarget(min_fraction=0.6, max_fraction=0.5)


def walk(size=300, drift=0.0, seed=8):
    rng = np.random.default_rng(seed)
    return 100 * np.exp(np.cumsum(rng.normal(drift, 0.02, size)))


@pytest.mark.parametrize("drift", [0.004, 0.0, -0.004])
def test_kelly_bets_a_share_of_mean_over_variance(drift):
    closes = walk(drift=drift)
    found = held(closes.tolist(), KellyFraction(window=50, share=0.1, max_fraction=0.9))
    moved = closes[1:] / closes[:-1] - 1
    assert found[:50] == [None] * 50
    for now in range(50, 300, 7):
        seen = moved[now - 50 : now]
        expected = np.clip(0.1 * seen.mean() / seen.var(ddof=1), 0, 0.9)
        assert found[now] == pytest.approx(expected, rel=1e-9)


def test_kelly_bets_nothing_on_a_market_that_does_not_move():
    assert held([5.0] * 20, KellyFraction(window=3))[-1] == 0.0


@pytest.mark.parametrize(("growth", "most"), [(2.0, 0.8), (1.01, 0.8), (0.5, 0.0), (0.99, 0.0)])
def test_kelly_bets_the_cap_on_a_market_that_always_moves_alike_and_for_the_signal(growth, most):
    closes = [100.0 * growth**k for k in range(30)]
    found = held(closes, KellyFraction(window=5, max_fraction=0.8))
    assert found == [None] * 5 + [most] * 25


def test_a_short_is_bet_on_where_the_mean_is_below_zero():
    frame = makers.hourly("A-B", walk(drift=-0.004).tolist()).with_columns(
        signal=pl.lit(-1, pl.Int8)
    )
    target = KellyFraction(window=200).target(pl.col("signal"), "1h")
    assert frame.select(t=target)["t"][-1] < 0


def test_calmer_markets_get_more_and_all_together_the_fraction():
    bars = pl.concat(
        makers.hourly(name, (walk(seed=seed) ** power).tolist())
        for name, seed, power in [("A-B", 1, 1.0), ("C-D", 2, 0.5), ("E-F", 3, 2.0)]
    ).with_columns(signal=pl.lit(1, pl.Int8))
    sizing = InverseVolatility(window=48, fraction=0.8)
    rows = sizing.sized(bars.lazy(), "1h").collect()
    last = rows.filter(ts=299 * makers.HOUR).sort("symbol")
    deviations = [
        bars.filter(symbol=name)["close"].log().diff().tail(48).std() for name in last["symbol"]
    ]
    expected = 0.8 / np.array(deviations) / sum(1 / one for one in deviations)
    np.testing.assert_allclose(last["target"].to_numpy(), expected, rtol=1e-6)
    assert last["target"].sum() == pytest.approx(0.8)


def test_an_inverse_volatility_has_the_same_bits_in_any_order_of_rows_and_on_any_engine():
    bars = pl.concat(
        makers.hourly(f"{name}-X", walk(seed=seed).tolist()) for seed, name in enumerate("ABCDEFG")
    ).with_columns(signal=pl.lit(1, pl.Int8))
    bars = bars.filter(pl.int_range(pl.len()) % 11 != 0)
    sizing = InverseVolatility(window=8)
    orders = [
        bars, bars.sort("ts", "symbol"), bars.sort("ts", "symbol", descending=True),
        *(bars.sample(fraction=1, shuffle=True, seed=seed) for seed in range(20)),
    ]  # fmt: skip
    found = {
        tuple(sizing.sized(rows.lazy(), "1h").collect(engine=engine).sort("symbol", "ts")["target"])
        for rows in orders
        for engine in ("in-memory", "streaming")
    }
    assert len(found) == 1


def test_a_size_leaves_no_column_of_its_own_behind():
    bars = makers.hourly("A-B", walk().tolist()).with_columns(signal=pl.lit(1, pl.Int8))
    for sizing in (InverseVolatility(window=8), VolatilityTarget(window=8), FixedFraction()):
        made = sizing.sized(bars.lazy(), "1h").collect()
        assert set(made.columns) == {*bars.columns, "target"}


def test_a_market_that_does_not_move_gets_nearly_all_of_an_inverse_volatility():
    bars = pl.concat(
        [makers.hourly("A-B", [7.0] * 60), makers.hourly("C-D", walk(60).tolist())]
    ).with_columns(signal=pl.lit(1, pl.Int8))
    sizing = InverseVolatility(window=20)
    rows = sizing.sized(bars.lazy(), "1h").collect()
    assert rows["target"][59] == pytest.approx(1.0, abs=1e-3)


FREE = {"fees": {"taker": 0}, "slippage": {"bps": 0}, "min_notional": 0, "cash": 1_000}


def always(**sizing):
    of = KINDS["crossover"]
    config = of.config(symbols=["A-B"], interval="1h", fast=1, slow=2, sizing=sizing)
    return Strategy(config, of.generate_signals, of.size_positions)


@pytest.mark.parametrize(
    ("sizing", "bought"),
    [({"kind": "units", "units": 3}, 3.0), ({"kind": "fixed_notional", "notional": 200}, 20.0)],
)
def test_units_and_money_are_bought_as_they_are_said(sizing, bought):
    found = cq.backtest(makers.hourly("A-B", [8.0, 10.0, 11.0, 12.0]), always(**sizing), **FREE)
    assert found.trades.select("side", "qty", "price").rows() == [("buy", bought, 10.0)]
    assert found.config["strategy"]["sizing"]["kind"] == sizing["kind"]


def test_more_money_than_there_is_is_what_the_cap_leaves():
    sizing = {"kind": "fixed_notional", "notional": 5_000}
    found = cq.backtest(
        makers.hourly("A-B", [8.0, 10.0, 11.0, 12.0]), always(**sizing), **FREE, max_position=0.5
    )
    assert found.trades["qty"].to_list() == [50.0]
    (said,) = found.config["warnings"]
    assert "3 targets of A-B lie over max_position 0.5 and are cut to it, first 5 at" in said


@pytest.mark.parametrize("sizing", [Units(units=1), FixedNotional(notional=1)])
def test_paper_refuses_sizes_that_are_no_fractions(sizing):
    with pytest.raises(StrategyError, match="is for backtests only"):
        Terms.of(always(**sizing.model_dump()), defaults(resource_root()).backtest)
