"""What of targets is not traded as it stands is said in the result."""

from __future__ import annotations

import json

import makers
import polars as pl
import pytest

import cq
from cq.errors import DataError

FREE = {"fees": {"taker": 0, "maker": 0}, "slippage": {"bps": 0}, "min_notional": 0, "cash": 1_000}


def bars(*prices, symbol="A-B", target=1.0, start=0):
    made = makers.hourly(symbol, list(prices), start=start).drop("exchange")
    return made.with_columns(target=pl.lit(target))


def warnings(frame, **settings):
    return cq.backtest(frame, **(FREE | settings)).config["warnings"]


FLAT = bars(100.0, 100.0, 100.0, 100.0)


def test_targets_that_come_to_more_than_the_cap_of_all_are_said():
    both = pl.concat(
        [bars(10.0, 10.0, 10.0, target=0.8), bars(9.0, 9.0, 9.0, symbol="C-D", target=0.7)]
    )
    (said,) = warnings(both)
    assert said == (
        "targets: targets of all symbols together lie over max_gross_exposure 1 at 3 moments, "
        "first 1.5 at 1970-01-01T00:00:00Z; what is bought last is cut"
    )
    assert warnings(both, max_gross_exposure=1.5) == []


def test_targets_that_alternate_are_not_over_the_cap():
    one = bars(*[10.0] * 4).with_columns(target=pl.Series([1.0, 0.0, 0.0, 1.0]))
    other = bars(*[10.0] * 4, symbol="C-D").with_columns(target=pl.Series([0.0, 1.0, 0.0, 0.0]))
    assert warnings(pl.concat([one, other])) == []


def test_targets_over_the_cap_last_until_somebody_decides_otherwise():
    """B-B comes an hour later, wants too much at its second bar, and then A-B lets go."""
    hour = 3_600 * 10**9
    one = bars(*[10.0] * 6).with_columns(target=pl.Series([0.6, None, None, 0.1, None, 0.2]))
    other = bars(*[10.0] * 5, symbol="B-B", start=hour).with_columns(
        target=pl.Series([None, 0.7, None, None, None])
    )
    (said,) = [one for one in warnings(pl.concat([one, other])) if "together" in one]
    assert "at 1 moments, first 1.3 at 1970-01-01T02:00:00Z" in said
    again = one.with_columns(target=pl.Series([0.9, None, 0.6, 0.1, None, 0.2]))
    late = pl.concat([again, other.filter(pl.col("ts") != other["ts"][3])])
    (said,) = [one for one in warnings(late, start=2 * hour) if "together" in one]
    assert "at 1 moments, first 1.3 at 1970-01-01T02:00:00Z" in said


def test_what_was_wanted_before_the_run_is_said_of_nothing():
    hour = 3_600 * 10**9
    early = pl.Series([-1.0, 0.9, None, None, 0.1, 0.1])
    both = pl.concat(
        [bars(*[10.0] * 6, symbol=one).with_columns(target=early) for one in ("A-B", "C-D")]
    )
    assert any("together" in one for one in warnings(both))
    assert any("know no shorts" in one for one in warnings(both))
    assert warnings(both, start=2 * hour) == []
    wrong = both.with_columns(at=pl.when(pl.col("ts") < 2 * hour).then(20.0).otherwise(9.0))
    stops = {"orders": {"stop_loss": {"column": "at"}}}
    assert any("wrong side" in one for one in warnings(wrong, **stops))
    assert warnings(wrong, start=2 * hour, **stops) == []
    over = both.with_columns(target=pl.concat([early, early]) * 2)
    assert any("over max_position" in one for one in warnings(over))
    assert warnings(over, start=2 * hour) == []


def test_legs_count_long_and_short_alike():
    both = pl.concat([bars(*[10.0] * 3), bars(*[10.0] * 3, symbol="C-D", target=-1.0)])
    assert any("first 2 at" in one for one in warnings(both, allow_short=True))


def test_a_symbol_that_never_has_a_target_is_said():
    both = pl.concat([FLAT, bars(*[9.0] * 4, symbol="C-D").with_columns(target=None)])
    assert warnings(both) == [
        "C-D: no target at any of its 4 bars; targets needs 1 before it can decide"
    ]


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({"min_notional": 5_000}, "be worth min_notional 5000"),
        ({"quantity_decimals": 0, "cash": 50}, "be a lot of 1e-0"),
        ({"fees": {"taker": 0, "maker": 0, "minimum": 2_000}}, "be paid for"),
        ({"orders": {"entry": "limit", "offset": 0.5}}, "have its price reached"),
    ],
)
def test_what_was_wanted_and_never_traded_is_said_with_what_an_order_needs(settings, needs):
    (said,) = warnings(FLAT, **settings)
    assert "nothing of A-B was traded, though targets asked for it" in said
    assert needs in said


def test_a_latency_that_leaves_no_bar_to_fill_at_is_said():
    (said,) = warnings(FLAT, latency_bars=50)
    assert "nothing of A-B was traded, though targets asked for it: with latency_bars 50" in said
    assert warnings(FLAT, latency_bars=2) == []


def test_a_target_at_the_last_bar_alone_asks_for_nothing_yet():
    assert warnings(FLAT.with_columns(target=pl.Series([0.0, 0.0, 0.0, 1.0]))) == []


@pytest.mark.parametrize(
    ("orders", "column", "said"),
    [
        ({"stop_loss": {"column": "at"}}, 120.0, "1 times the stop_loss of A-B lay on the wrong"),
        ({"take_profit": {"column": "at"}}, 90.0, "1 times the take_profit of A-B lay on the"),
    ],
)
def test_a_level_on_the_wrong_side_is_said(orders, column, said):
    assert said in warnings(FLAT.with_columns(at=column), orders=orders)[0]
    assert warnings(FLAT.with_columns(at=210.0 - column), orders=orders) == []


@pytest.mark.parametrize(
    ("orders", "at", "came", "price", "said"),
    [
        ({"entry": "limit", "offset": 0.05, "stop_loss": {"column": "at"}}, 97.0, "stop_loss", 95.0,
         "1 times the stop_loss of A-B lay on the wrong side of the price at which an entry was "
         "filled, first of 95 at 1970-01-01T01:00:00Z; such a position ends where it begins"),
        ({"entry": "limit", "offset": 0.05, "take_profit": {"column": "at"}}, 90.0, "take_profit",
         95.0, "1 times the take_profit of A-B lay"),
        ({"entry": "stop", "offset": 0.05, "take_profit": {"column": "at"}}, 103.0, "take_profit",
         105.0, "1 times the take_profit of A-B lay"),
    ],
)  # fmt: skip
def test_a_level_beyond_the_price_that_a_waiting_entry_came_to_ends_it_there_and_is_said(
    orders, at, came, price, said
):
    frame = bars(100.0, 100.0, 100.0).with_columns(
        open=pl.Series([100.0, 100.0, 100.0]),
        high=pl.Series([100.0, 106.0, 100.0]),
        low=pl.Series([100.0, 94.5, 100.0]),
        at=pl.lit(at),
        target=pl.Series([1.0, None, None]),
    )
    made = cq.backtest(frame, orders=orders, **FREE)
    assert made.trades["price"].to_list() == [price, price]
    assert made.trades["reason"].to_list() == ["signal", came]
    assert [one for one in made.config["warnings"] if said in one]


RANGED = {"stop_loss": {"atr": 2, "window": 3}}


def test_a_target_before_the_range_that_its_stop_needs_is_there_decides_nothing_and_is_said():
    falling = bars(*[100.0 - 3 * i for i in range(8)])
    late = bars(*[50.0] * 8, symbol="C-D").with_columns(target=pl.Series([0.0] * 5 + [1.0] * 3))
    made = cq.backtest(pl.concat([falling, late]), orders=RANGED, **FREE)
    hour = 3_600 * 10**9
    mine = made.trades.filter(symbol="A-B").select("ts", "side", "reason").rows()
    assert mine == [(4 * hour, "buy", "signal"), (5 * hour, "sell", "stop_loss")]
    assert made.config["warnings"][0] == (
        "targets: 3 targets of A-B lie at bars before the average true range that its orders need "
        "is there, first 1970-01-01T00:00:00Z; they decide nothing"
    )
    assert not [one for one in made.config["warnings"] if "of C-D lie" in one]
    early = falling.with_columns(target=pl.Series([1.0, *[None] * 7]))
    with pytest.raises(DataError, match="lie at no bar of the period at which the average true"):
        cq.backtest(early, orders=RANGED, **FREE)


@pytest.mark.parametrize(
    "orders", [RANGED, {"trailing_stop": {"atr": 2, "window": 3}},
               {"entry": "limit", "offset": {"atr": 0.1, "window": 3}}],
)  # fmt: skip
def test_a_strategy_that_is_warm_before_the_range_of_its_orders_waits_for_it(orders, tmp_path):
    path = tmp_path / "hold.yaml"
    path.write_text(
        f"kind: buy_and_hold\nsymbols: [A]\ninterval: 1h\norders: {json.dumps(orders)}\n"
    )
    falling = bars(*[100.0 - 3 * i for i in range(9)]).with_columns(symbol=pl.lit("A-BRL"))
    made = cq.backtest(falling.drop("target"), path, **FREE)
    assert made.trades["ts"][0] == 4 * 3_600 * 10**9
    if "entry" not in orders:
        assert len(made.trades) == 2
    with pytest.raises(DataError, match="needs 66 bars of 1h before it can decide; the period has"):
        cq.backtest(falling[:3].drop("target"), path, **FREE)


def test_a_position_too_small_for_an_order_in_the_end_is_said():
    sunk = bars(100.0, 100.0, 10.0, 10.0).with_columns(target=pl.lit(0.2))
    free = FREE | {"min_notional": 50}
    made = cq.backtest(sunk, orders={"stop_loss": 0.1}, **free)
    assert made.trades["side"].to_list() == ["buy", "sell"]  # it was worth enough where it was met
    gapped = sunk.with_columns(open="close", high="close")
    (said,) = cq.backtest(gapped, orders={"stop_loss": 0.1}, **free).config["warnings"]
    assert said.startswith(
        "targets: what is held of A-B in the end is worth 20, less than min_notional 50: no order"
    )
    assert cq.backtest(sunk, **(FREE | {"min_notional": 20})).config["warnings"] == []


def test_a_position_that_stays_though_its_target_is_zero_is_said():
    """Its sale was worth 20 and not sent: that counts as done, whatever the price becomes."""
    asked = pl.Series([0.2, 0.2, 0.0, 0.0, 0.0])
    stuck = bars(100.0, 100.0, 10.0, 10.0, 100.0).with_columns(open="close", target=asked)
    (said,) = warnings(stuck, min_notional=50)
    assert said.startswith("targets: A-B is still held in the end, though its target is zero")
    assert warnings(stuck, min_notional=20) == []
    late = stuck.with_columns(target=pl.Series([0.2, 0.2, 0.2, 0.2, 0.0]))
    assert warnings(late, min_notional=50) == []  # no bar is left to sell it at
