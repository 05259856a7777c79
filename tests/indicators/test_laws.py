"""What holds for every indicator in the registry, whatever it computes."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any, Literal, get_origin

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import UsageError
from cq.indicators import (
    REGISTRY,
    ema,
    ewma_volatility,
    in_time_order,
    kernels,
    rsi,
    sma,
    with_indicators,
)
from cq.indicators.kernels import compiled, compiling
from cq.utils.time import HOUR

SMALL: dict[str, dict[str, Any]] = {
    "kama": {"slow": 8}, "macd": {"fast": 3, "slow": 6, "signal": 4},
    "ppo": {"fast": 3, "slow": 6}, "tsi": {"slow": 6, "fast": 4},
    "ultosc": {"fast": 3, "middle": 5, "slow": 8},
    "ichimoku": {"conversion": 3, "base": 5, "span": 9, "displacement": 4},
    "adosc": {"slow": 6}, "vwap": {"session": "6h"}, "ewma_volatility": {"decay": 0.7},
    "ema": {"span": 7},
}  # fmt: skip
"""Parameters that suit short histories; windows are 7 (and 5 beside it) everywhere."""

LOOPS = [
    (kernels.weighted, 1, (np.array([0.2, 0.3, 0.5]), 1.0)),
    (kernels.channel_index, 1, (7,)),
    (kernels.bars_since_highest, 1, (7,)),
    (kernels.lower_share, 1, (7,)),
    (kernels.mean_range, 3, (7, True)),
    (kernels.strength, 1, (7, 50.0, 50.0)),
    (kernels.crossing, 1, (3, 6, 4, 1)),
    (kernels.chained, 1, (np.full(3, 7.0), np.array([3.0, -3.0, 1.0]))),
    (kernels.directional, 3, (7, 6, 3)),
    (kernels.adaptive, 2, (0.1, 0.6)),
    (kernels.trailing_band, 3, (0,)),
    (kernels.parabolic, 2, (0.02, 0.2)),
    (kernels.running_mean, 3, ()),
    (kernels.true_strength, 1, (7, 4)),
    (kernels.line_crossing, 4, (3, 7)),
]
"""Every kernel, how many columns it takes, and its parameters."""

PLACES = {"values": "close", "one": "close", "other": "open", "market": "open"}
NAMES = list(REGISTRY)
WINDOWS = [
    name
    for name, one in REGISTRY.items()
    if "tolerance" not in inspect.signature(one.bars).parameters
    and one.warmup(bar="1h") is not None
    and name not in ("sar", "skew", "kurtosis", "vwap")
]
"""Those that know nothing but their window."""


def parameters(name: str) -> dict[str, Any]:
    known = REGISTRY[name].parameters
    return {"window": 7} | SMALL.get(name, {}) if "window" in known else SMALL.get(name, {})


def made(name: str) -> dict[str, pl.Expr]:
    """The outputs of an indicator, each called as it is listed."""
    one = REGISTRY[name]
    found = one(*(PLACES.get(c, c) for c in one.inputs), **parameters(name))
    return found if isinstance(found, dict) else {one.name: found}


EVERY = {f"{name} {output}": expr for name in NAMES for output, expr in made(name).items()}
UNIT = {key: REGISTRY[key.split()[0]].unit for key in EVERY} | {"supertrend trend": "oscillator"}


def walk(size: int, seed: int = 0, symbol: str = "A-B") -> pl.DataFrame:
    """Hours of a market that moves by a percent."""
    random = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(random.normal(0, 0.01, size)))
    opens = closes * np.exp(random.normal(0, 0.004, size))
    up, down = np.exp(random.uniform(0, 0.01, (2, size)))
    return pl.DataFrame(
        {
            "symbol": [symbol] * size,
            "ts": np.arange(size) * HOUR,
            "open": opens,
            "high": np.maximum(opens, closes) * up,
            "low": np.minimum(opens, closes) / down,
            "close": closes,
            "volume": random.uniform(1, 9, size),
        }
    )


def values(bars: pl.DataFrame, **made: pl.Expr) -> pl.DataFrame:
    found = bars.lazy().select(**(made or EVERY)).collect(engine="in-memory")
    return found.with_columns(pl.all().cast(pl.Float64))


def close_to(one: pl.DataFrame, other: pl.DataFrame, tolerance: float = 1e-9) -> None:
    assert_frame_equal(one, other, rel_tol=tolerance, abs_tol=tolerance)


def test_each_says_formula_source_range_and_what_it_needs():
    for one in REGISTRY.values():
        assert one.doc.splitlines()[0].endswith((".", ":")), one.name
        assert "ull" in one.doc, f"{one.name} says nothing of nulls"
        assert set(one.inputs) <= {*PLACES, "open", "high", "low", "close", "volume"}
        assert "empty" not in str(one.parameters), f"{one.name} has a parameter without default"
        assert list(made(one.name)) == list(one.outputs)


@settings(max_examples=4)
@given(cut=st.integers(1, 119), seed=st.integers(0, 99))
def test_later_bars_never_change_earlier_values(cut, seed):
    bars = walk(120, seed)
    close_to(values(bars).head(cut), values(bars.head(cut)))


@pytest.mark.parametrize("size", [0, 1, 2])
def test_short_frames_have_values_of_the_right_type(size):
    found = walk(size).lazy().select(**EVERY).collect()
    assert found.height == size
    assert {str(kind) for kind in found.dtypes} == {"Float64", "Int8"}


def test_nothing_but_nulls_gives_nothing_but_nulls():
    nothing = (pl.lit(None, pl.Float64).alias(name) for name in walk(1).columns[2:])
    found = values(walk(60).with_columns(nothing))
    assert [name for name in EVERY if found[name].null_count() < 60] == []


def test_a_flat_market_has_values_within_bounds_and_no_nan():
    bars = walk(150).with_columns(pl.lit(0.1).alias(c) for c in ("open", "high", "low", "close"))
    found = values(bars)
    for name in EVERY:
        assert not found[name].is_nan().any(), name
        assert not found[name].is_infinite().any(), name
    assert found["rsi rsi"][-1] == 50
    for key, unit in UNIT.items():
        assert unit != "price" or found[key][-1] == pytest.approx(0.1, rel=1e-12), key
    still = [key for key, unit in UNIT.items() if unit in ("change", "variance")]
    assert {key: found[key][-1] for key in still if abs(found[key][-1]) > 1e-15} == {}


@settings(max_examples=4)
@given(seed=st.integers(0, 99), flat=st.booleans())
def test_values_lie_within_their_bounds(seed, flat):
    bars = walk(150, seed)
    if flat:
        bars = bars.with_columns(pl.col("open", "high", "low", "close").round(0))
    found = values(bars)
    for key in EVERY:
        low, high = REGISTRY[key.split()[0]].bounds
        least, most = found[key].min(), found[key].max()
        assert low is None or least is None or least >= low - 1e-9, key
        assert high is None or most is None or most <= high + 1e-9, key


PRICES = pl.col("open", "high", "low", "close")


@settings(max_examples=4)
@given(seed=st.integers(0, 99), rate=st.sampled_from([0.25, 8.0, 1024.0]))
def test_another_currency_scales_what_is_money_and_nothing_else(seed, rate):
    bars = walk(150, seed)
    one, other = values(bars), values(bars.with_columns(PRICES * rate))
    grows = {"price": rate, "change": rate, "variance": rate**2}
    for key, unit in UNIT.items():
        close_to(one.select(pl.col(key) * grows.get(unit, 1.0)), other.select(key))


@settings(max_examples=4)
@given(seed=st.integers(0, 99))
def test_a_constant_moves_what_is_a_price_and_leaves_differences(seed):
    bars = walk(150, seed)
    one, other = values(bars), values(bars.with_columns(PRICES + 512.0))
    for key, unit in UNIT.items():
        if unit != "ratio":
            moved = 512.0 if unit == "price" else 0.0
            close_to(one.select(pl.col(key) + moved), other.select(key), 1e-7)


def test_order_of_rows_engine_and_chunks_change_nothing():
    whole = pl.concat([walk(130, 1), walk(90, 2, "C-D"), walk(3, 3, "E-F")])
    ordered = {key: in_time_order(expr) for key, expr in EVERY.items()}
    plan = whole.lazy().with_columns(**ordered)
    expected = plan.collect(engine="in-memory")
    assert expected["sma sma"].null_count() == 6 + 6 + 3
    the_same_bits(plan.collect(engine="streaming"), expected)
    pieces = pl.concat([whole[:50], whole[50:51], whole[51:]], rechunk=False)
    the_same_bits(pieces.lazy().with_columns(**ordered).collect(), expected)
    mixed = whole.sample(fraction=1.0, shuffle=True, seed=5)
    found = mixed.lazy().with_columns(**ordered).collect()
    the_same_bits(found.sort("symbol", "ts"), expected)
    found = with_indicators(mixed, lambda: {k: e for n in NAMES for k, e in keyed(n)}).collect()
    the_same_bits(found.sort("symbol", "ts"), expected)


def the_same_bits(one: pl.DataFrame, other: pl.DataFrame) -> None:
    """To the last one, but for what Polars alone adds up."""
    close_to(one, other)
    exact = pl.exclude("skew skew", "kurtosis kurtosis")
    assert_frame_equal(one.select(exact), other.select(exact), check_exact=True)


@pytest.mark.parametrize(
    "kind", [pl.Int32, pl.Int64, pl.UInt32, pl.UInt64, pl.Float32, pl.Decimal(30, 4)], ids=str
)
def test_a_column_of_any_kind_of_number_means_the_same(kind):
    measures = pl.col("open", "high", "low", "close", "volume")
    bars = walk(200).with_columns((measures * 1e4).round())
    found = bars.with_columns(measures.cast(kind)).select(**EVERY)
    assert_frame_equal(found, bars.select(**EVERY), check_exact=kind != pl.Float32)


@pytest.mark.parametrize(
    "kind",
    [pl.Datetime("ns"), pl.Datetime("us", "UTC"), pl.Datetime("ms", "America/Sao_Paulo")],
    ids=str,
)
def test_moments_as_datetimes_mean_the_same_as_nanoseconds(kind):
    bars, anchor = walk(200), int(walk(200)["ts"][50])
    prices = ("high", "low", "close", "volume")
    timed = EVERY | {
        "span": REGISTRY["sma"]("close", "9h"),
        "traded": REGISTRY["rolling_vwap"](*prices, "9h"),
        "anchored": REGISTRY["anchored_vwap"](*prices, anchor),
    }
    moments = pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC")
    zone = moments.dt.convert_time_zone(kind.time_zone or "UTC").dt.cast_time_unit(kind.time_unit)
    shown = bars.with_columns(zone if kind.time_zone else zone.dt.replace_time_zone(None))
    assert shown.schema["ts"] == kind
    expected = bars.select(**timed)
    assert expected["anchored"].null_count() == 50
    assert_frame_equal(shown.select(**timed), expected, check_exact=True)


def test_the_slower_mean_of_an_adaptive_one_decides_how_long_it_remembers():
    assert REGISTRY["kama"].warmup(10, 30, 2) == REGISTRY["kama"].warmup(10, 2, 30)


@pytest.mark.parametrize("spans", [(3, 30), (30, 3)])
def test_the_slower_mean_of_an_oscillator_decides_how_long_it_remembers(spans):
    bars, needed = walk(3_000), REGISTRY["adosc"].warmup(*spans)
    assert needed == REGISTRY["adosc"].warmup(*spans[::-1])
    made = REGISTRY["adosc"]("high", "low", "close", "volume", *spans).alias("x")
    short, whole = (frame.select(made)["x"] for frame in (bars.tail(needed), bars))
    assert short[-1] == pytest.approx(whole[-1], abs=1e-6 * whole.abs().max())


@settings(max_examples=5)
@given(seed=st.integers(0, 99), start=st.integers(1, 150))
def test_what_looks_at_a_window_has_the_same_bits_wherever_history_starts(seed, start):
    bars = walk(260, seed)
    windows = {key: e for key, e in EVERY.items() if key.split()[0] in WINDOWS}
    assert len(windows) > 35
    one, other = values(bars, **windows)[start:], values(bars[start:], **windows)
    for key in windows:
        after = REGISTRY[key.split()[0]].warmup(bar="1h", **parameters(key.split()[0]))
        assert one[key][after:].equals(other[key][after:], null_equal=True), key


def keyed(name: str) -> list[tuple[str, pl.Expr]]:
    return [(f"{name} {output}", expr) for output, expr in made(name).items()]


def test_a_null_inside_changes_nothing_before_it_and_is_got_over():
    bars = walk(400)
    hole = bars.with_columns(
        pl.when(pl.int_range(pl.len()) == 100).then(None).otherwise(pl.col(c)).alias(c)
        for c in bars.columns[2:]
    )
    one, other = values(bars), values(hole)
    close_to(one.head(100), other.head(100))
    for key in EVERY:
        assert other[key][100] is None or key.startswith("ichimoku span"), key
        assert other[key][-1] is not None, key


@pytest.mark.parametrize("name", NAMES)
def test_after_the_warmup_the_start_of_history_no_longer_matters(name):
    one = REGISTRY[name]
    needed = one.warmup(bar="1h", **parameters(name))
    if needed is None:
        assert name in ("obv", "ad", "anchored_vwap")
        return
    exprs = made(name)
    for seed in (1, 2):
        bars = walk(needed + 260, seed)
        whole = values(bars, **exprs)
        scale = {key: max(1.0, whole[key].abs().max()) for key in exprs}
        for end in (needed + 100, needed + 260):
            last = values(bars[end - needed : end], **exprs)
            for key in exprs:
                assert abs(last[key][-1] - whole[key][end - 1]) <= 2e-9 * scale[key], key


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("obv", "ad", "anchored_vwap")])
def test_a_window_needs_no_bar_less_than_its_warmup_says(name):
    needed = REGISTRY[name].warmup(bar="1h", **parameters(name))
    last = values(walk(needed - 1, 7), **made(name)).tail(1)
    recursive = "tolerance" in str(REGISTRY[name].bars.__code__.co_varnames)
    assert recursive or name in ("sar", "vwap") or None in last.row(0)


def test_compiled_loops_give_the_bits_of_plain_ones():
    random = np.random.default_rng(3)
    for loop, columns, rest in LOOPS:
        arrays = [100 + random.normal(0, 1, 300).cumsum() for _ in range(columns)]
        for one in arrays:
            one[random.integers(0, 300, 3)] = np.nan
            one.setflags(write=False)
        fast = compiled(loop)
        assert fast is not None
        lists = [a.tolist() for a in arrays]
        plain = [r.tolist() if isinstance(r, np.ndarray) else r for r in rest]
        one, other = np.full(300, np.nan), [np.nan] * 300
        fast(one, *arrays, *rest)
        loop(other, *lists, *plain)
        np.testing.assert_array_equal(one, other, loop.__name__)


def test_short_columns_are_compiled_once_there_were_many(monkeypatch):
    monkeypatch.setattr(compiling, "_READY", set())
    monkeypatch.setattr(compiling, "_SEEN", Counter())
    monkeypatch.setattr(compiling, "MANY", 250)
    ran = []
    monkeypatch.setattr(compiling, "compiled", lambda loop: ran.append(loop))
    for _ in range(3):
        values(walk(100), x=rsi("close"))
    assert ran == [kernels.strength]


def test_a_span_of_time_is_a_window_of_as_many_bars():
    bars = walk(60)
    both = bars.lazy().select(a=sma("close", "12h"), b=sma("close", 12)).collect()
    assert both["a"].null_count() == 12
    close_to(both.select("a")[12:], both.select(a="b")[12:])
    assert sma.warmup("12h", bar="1h") == 13


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(UsageError, match="span is 0; expected a whole number of at least 1"):
        ema("close", 0)
    with pytest.raises(UsageError, match="no parameter 'windw'"):
        rsi.warmup(windw=3)
    with pytest.raises(UsageError, match="say bar='1h'"):
        sma.warmup("20d")
    with pytest.raises(UsageError, match="rsi: window is '20d'; expected a whole number"):
        rsi.warmup("20d", bar="1h")
    with pytest.raises(UsageError, match=r"decay is 1\.0; expected a number of at least 0"):
        ewma_volatility.warmup(1.0)


def options():
    for one in REGISTRY.values():
        for name, kind in one.kinds.items():
            if get_origin(kind) is Literal:
                yield one, name


@pytest.mark.parametrize(("one", "name"), [pytest.param(*it, id=it[0].name) for it in options()])
def test_an_option_that_there_is_not_is_refused_with_those_that_there_are(one, name):
    places = [*one.inputs, *one.parameters]
    in_place = {**dict.fromkeys(one.inputs, "close"), **one.parameters, name: "smple"}
    with pytest.raises(UsageError, match=rf"{one.name}: {name} is 'smple'; there is \w+, \w+$"):
        one(**in_place)
    with pytest.raises(UsageError, match=rf"{one.name}: {name} is 'smple'; there is"):
        one(*(in_place[place] for place in places[: places.index(name) + 1]))
