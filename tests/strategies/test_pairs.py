from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from cq import signals
from cq.strategies import KINDS, HedgeRatio, Strategy
from cq.strategies.pairs import PairsConfig, generate_signals

WINDOW, MOST = 60, 40
BASE = {
    "symbols": ["A-B", "C-B"], "interval": "1h", "window": WINDOW, "max_bars": MOST,
    "entry": 1.5, "stop": 3.0,
}  # fmt: skip


def tied(size=700, seed=2, ratio=1.3):
    """Two markets whose spread comes back: log A = ratio × log C + a slow swing."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 0.01, size))
    spread = np.zeros(size)
    for i in range(1, size):
        spread[i] = 0.9 * spread[i - 1] + rng.normal(0, 0.01)
    legs = {"A-B": 50 * np.exp(ratio * x + spread), "C-B": 20 * np.exp(x)}
    return pl.concat([makers.hourly(name, np.round(p, 8).tolist()) for name, p in legs.items()])


def found(bars, **parameters):
    config = PairsConfig(**BASE | parameters)
    return generate_signals(bars.lazy(), config).collect()


def slow(bars, half_lives=3.0, entry=1.5, stop=3.0, leave=0.0):
    """(side, hedge) moment by moment, with numpy's own regressions over each window."""
    y, x = (np.log(bars.filter(symbol=s)["close"].to_numpy()) for s in ("A-B", "C-B"))
    sides, hedges, was = [], [], None
    state = {1: (None, 0), -1: (None, 0)}
    events = {1: [], -1: []}
    hedge = 1.0
    for now in range(len(y)):
        if now < WINDOW - 1:
            sides.append(None)
            hedges.append(None)
            for one in events.values():
                one.append(None)
            continue
        yy, xx = y[now - WINDOW + 1 : now + 1], x[now - WINDOW + 1 : now + 1]
        beta, alpha = np.polyfit(xx, yy, 1)
        left = yy - beta * xx - alpha
        z = left[-1] / np.sqrt((left**2).sum() / (WINDOW - 2))
        slope = np.polyfit(left[:-1], np.diff(left), 1)[0]
        life = np.log(0.5) / np.log1p(max(slope, -0.999)) if slope < 0 else None
        side = 0
        for sign in (1, -1):
            out = -sign * z
            crossed = was is not None and -sign * was < entry <= out < stop
            if out <= leave or out >= stop:
                event = "out"
            else:
                event = "in" if crossed and beta > 0 and life is not None else None
            before = next((e for e in reversed(events[sign][-MOST:]) if e), None)
            events[sign].append(event)
            if event == "out":
                state[sign] = (None, 0)
            elif event == "in" and before != "in":
                cap = min(MOST, max(1, int(np.ceil(life * half_lives))))
                state[sign], hedge = (now, cap), beta
            since, cap = state[sign]
            side += sign * (since is not None and now - since < cap)
        was = z
        sides.append(side)
        hedges.append(hedge)
    return sides, hedges


@pytest.mark.parametrize("half_lives", [1.0, 3.0, 50.0])
def test_positions_and_hedges_are_those_of_regressions_over_each_window(half_lives):
    bars = tied()
    sides, hedges = slow(bars, half_lives)
    rows = found(bars, half_lives=half_lives)
    one, other = rows.filter(symbol="A-B"), rows.filter(symbol="C-B")
    assert one["signal"].to_list() == sides
    assert other["signal"].to_list() == [None if s is None else -s for s in sides]
    held = [now for now, side in enumerate(sides) if side]
    assert len(held) > 50
    expected = np.array([hedges[now] for now in held])
    shares = one["weight"].to_numpy()[held], other["weight"].to_numpy()[held]
    np.testing.assert_allclose(shares[1] / shares[0], expected, rtol=1e-8)
    np.testing.assert_allclose(shares[0] + shares[1], 1.0, rtol=1e-12)


def test_a_shorter_life_is_held_no_longer():
    held = [found(tied(), half_lives=n)["signal"].abs().sum() for n in (0.5, 1.0, 2.0, 50.0)]
    assert held == sorted(held)
    assert held[0] < held[-1]


def test_the_ratio_stays_as_it_was_at_the_entry():
    one = found(tied()).filter(symbol="A-B")
    runs = one.with_columns(run=pl.col("signal").rle_id()).filter(pl.col("signal") != 0)
    assert runs.group_by("run").agg(pl.col("weight").n_unique())["weight"].max() == 1


def test_nothing_sees_the_future():
    bars = tied(300)
    whole = found(bars)
    for cut in (61, 120, 205, 299):
        early = bars.filter(pl.col("ts") < cut * makers.HOUR)
        assert found(early).equals(whole.filter(pl.col("ts") < cut * makers.HOUR))


def test_a_window_of_warmup_moments_says_what_all_history_says_though_bars_are_missing():
    keep = np.random.default_rng(4).random(1_400) > 0.05
    bars = tied().filter(pl.Series(keep))
    config = PairsConfig(**BASE | {"sizing": {"kind": "hedge_ratio"}})
    of = Strategy(config, KINDS["pairs"].generate_signals)
    whole = signals.targets(bars.lazy(), of).collect()
    for now in range(250, 700, 9):
        past = bars.filter(pl.col("ts") <= now * makers.HOUR)
        window = past.group_by("symbol", maintain_order=True).tail(of.warmup)
        last = signals.targets(window.lazy(), of).collect().filter(ts=now * makers.HOUR)
        assert last.equals(whole.filter(ts=now * makers.HOUR))


def test_where_one_leg_has_no_bar_neither_is_decided():
    bars = tied()
    rows = found(bars.filter(~((pl.col("ts") == 300 * makers.HOUR) & (pl.col("symbol") == "A-B"))))
    alone = rows.filter(ts=300 * makers.HOUR)
    assert alone.select("symbol", "signal").rows() == [("C-B", None)]
    assert rows.filter(ts=301 * makers.HOUR)["signal"].null_count() == 0


@pytest.mark.parametrize("scale", [0.01, 3.0, 1e5])
def test_the_currency_of_a_leg_decides_nothing(scale):
    bars = tied()
    other = bars.with_columns(
        close=pl.when(pl.col("symbol") == "A-B").then(pl.col("close") * scale).otherwise("close")
    )
    assert found(other)["signal"].equals(found(bars)["signal"])


@pytest.mark.parametrize("legs", [([0.1] * 90, [7.0] * 90), ([3.0] * 90, list(range(1, 91)))])
def test_a_market_that_does_not_move_is_no_pair(legs):
    bars = pl.concat(
        [
            makers.hourly(name, list(map(float, p)))
            for name, p in zip(("A-B", "C-B"), legs, strict=True)
        ]
    )
    assert set(found(bars)["signal"].to_list()) == {None, 0}


def test_a_third_symbol_is_left_alone_and_the_order_of_rows_stays():
    bars = pl.concat([makers.hourly("B-B", [1.0] * 100), tied(100)]).sample(
        fraction=1.0, shuffle=True, seed=1
    )
    rows = found(bars)
    assert rows.select("ts", "symbol").equals(bars.select("ts", "symbol"))
    assert rows.filter(symbol="B-B")["signal"].null_count() == 100


def test_bases_alone_are_found_and_both_legs_are_sized_by_their_shares():
    config = PairsConfig(**BASE | {"symbols": ["A", "C"], "sizing": {"kind": "hedge_ratio"}})
    rows = signals.targets(tied().lazy(), Strategy(config, generate_signals)).collect()
    gross = rows.group_by("ts").agg(pl.col("target").abs().sum(), pl.col("signal").abs().sum())
    held = gross.filter(pl.col("signal") > 0)
    assert held.height > 50
    np.testing.assert_allclose(held["target"].to_numpy(), 1.0, rtol=1e-12)
    assert HedgeRatio().warmup == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"symbols": ["A-B"]}, "a pair has two, found 1"),
        ({"symbols": ["A-B", "A"]}, "say both in full"),
        ({"entry": 4.0}, "has to lie between"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        PairsConfig(**BASE | wrong)
