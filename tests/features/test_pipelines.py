import math
from fractions import Fraction

import makers
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import HOUR, hourly
from polars.testing import assert_frame_equal

from cq.checks import leaks, suspicions
from cq.errors import UsageError
from cq.features import Pipeline
from cq.features.registry import Feature, relative
from cq.indicators import REGISTRY, in_time_order, macd, rsi, sma
from cq.lake.resample import resampled

SPECS = {
    "rsi_5": {"use": "rsi", "window": 5},
    "trend": {"use": "macd", "fast": 2, "slow": 4, "signal": 3},
    "slow_mean": {"use": "sma", "of": "high", "window": 3, "interval": "4h"},
    "smoothed": {"use": "sma", "of": "rsi_5", "window": 3},
    "strength": {"use": "rank", "of": "smoothed"},
    "hour": "hour_sine",
    "move": {"use": "log_return", "bars": 2},
}
PIPELINE = Pipeline.of(SPECS, "1h")


def walk(symbol, seed, count=200, start=0):
    moves = np.random.default_rng(seed).normal(0, 0.02, count)
    return hourly(symbol, (100 * np.exp(np.cumsum(moves))).tolist(), start=start)


BARS = pl.concat([walk("A-B", 1), walk("C-D", 2, start=5 * HOUR)])


def applied(bars, pipeline=PIPELINE):
    return pipeline.apply(bars.lazy()).collect()


def test_each_feature_is_a_column_named_as_it_is_called():
    assert PIPELINE.columns == (
        *("rsi_5", "trend_macd", "trend_signal", "trend_hist"),
        *("slow_mean", "smoothed", "strength", "hour", "move"),
    )
    assert set(applied(BARS).columns) == {*BARS.columns, *PIPELINE.columns}


def test_features_are_the_indicators_themselves():
    expected = BARS.with_columns(
        rsi_5=in_time_order(rsi("close", 5)),
        **{f"trend_{k}": in_time_order(v) for k, v in macd("close", 2, 4, 3).items()},
    )
    names = ["rsi_5", "trend_macd", "trend_signal", "trend_hist"]
    assert_frame_equal(applied(BARS).select(names), expected.select(names))


def test_a_feature_may_be_made_of_another():
    expected = applied(BARS).with_columns(again=in_time_order(sma("rsi_5", 3)))
    assert_frame_equal(
        expected.select("smoothed"), expected.select(smoothed="again"), check_exact=True
    )


def test_a_coarser_feature_is_that_of_the_newest_bar_that_had_closed():
    found = applied(BARS).filter(pl.col("symbol") == "A-B")
    coarse = resampled(walk("A-B", 1).lazy(), "4h").collect()[1:]  # the first may be a part
    means = coarse.with_columns(mean=pl.col("high").rolling_mean(3))
    for ts, value in found.select("ts", "slow_mean").rows():
        closed = means.filter(pl.col("ts") + 4 * HOUR <= ts + HOUR)
        expected = closed["mean"][-1] if closed.height else None
        assert value == (None if expected is None else pytest.approx(expected))


def test_ranks_compare_the_symbols_of_one_moment():
    prices = {"A": 3.0, "B": 1.0, "C": 2.0}
    bars = pl.concat([hourly(name, [price]) for name, price in prices.items()])
    pipeline = Pipeline.of({"r": {"use": "rank", "of": "close"}}, "1h")
    assert applied(bars, pipeline)["r"].to_list() == [1.0, 0.0, 0.5]
    assert applied(bars.head(1), pipeline)["r"].to_list() == [0.5]


@pytest.mark.parametrize(
    "prices",
    [
        (3.0, 1.0, 2.5), (0.1, 0.2, 0.3, 0.4, 0.5), (7.0,), (0.1,) * 7, (0.0, 0.0), (-2.0, 5.0),
        (1e-300, 3e-300), (1e300, 1e299, 3.0), (1e15, 3.0, -1e15), (5e-324, 0.0),
    ],
)  # fmt: skip
def test_a_relative_value_is_the_distance_from_the_mean(prices):
    expected = np.array(prices) - float(sum(map(Fraction, prices)) / len(prices))
    frame = pl.DataFrame({"x": prices})
    found = frame.select(relative(pl.col("x"))).to_series().to_numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-16 * max(map(abs, prices)))
    if len(set(prices)) == 1:
        assert found.tolist() == [0.0] * len(prices)


def test_a_relative_value_leaves_nulls_out_and_takes_whole_numbers_and_what_is_no_number():
    def found(*values):
        return pl.DataFrame({"x": values}).select(relative(pl.col("x"))).to_series().to_list()

    assert found(1.0, None, 4.0) == [-1.5, None, 1.5]
    assert found(1, 2, 6) == [-2.0, -1.0, 3.0]
    assert pl.Series(found(0.0, math.nan)).is_nan().all()
    assert (
        pl.DataFrame({"x": [None]}, {"x": pl.Float64}).select(relative(pl.col("x"))).item() is None
    )


def _mean_of_moment(values: pl.Expr) -> pl.Expr:
    return values.mean()


def test_symbols_of_one_moment_are_compared_to_the_same_bits_in_any_order_of_rows():
    bars = pl.concat(walk(f"{name}-X", seed) for seed, name in enumerate("ABCDEFG"))
    bars = bars.filter(pl.int_range(pl.len()) % 11 != 0)
    own = Feature("own", _mean_of_moment, ("values",), {}, ("own",), lambda *_: 1, across=True)
    specs = {
        "move": "log_return", "above": {"use": "relative", "of": "move"},
        "price": "relative", "place": {"use": "rank", "of": "above"},
    }  # fmt: skip
    shipped, mixed = Pipeline.of(specs, "1h"), Pipeline.of({"mean": "own"}, "1h", {"own": own})

    def seen(rows, pipeline, engine):
        made = pipeline.apply(rows.lazy()).collect(engine=engine).sort("symbol", "ts")
        return made.select(pipeline.columns).hash_rows().to_list()

    orders = [
        bars, bars.sort("ts", "symbol"), bars.sort("ts", "symbol", descending=True),
        *(bars.sample(fraction=1, shuffle=True, seed=seed) for seed in range(20)),
    ]  # fmt: skip
    expected = seen(bars, shipped, "in-memory")
    for engine in ("in-memory", "streaming"):
        once = seen(bars, mixed, engine)  # a mean of one's own may differ between engines only
        for rows in orders:
            assert seen(rows, shipped, engine) == expected
            assert seen(rows, mixed, engine) == once


def test_rows_stay_where_they_were_in_whatever_order_they_came():
    shuffled = BARS.sample(fraction=1, shuffle=True, seed=2)
    found = applied(shuffled)
    assert_frame_equal(found.select(BARS.columns), shuffled)
    assert_frame_equal(
        found.sort("symbol", "ts"), applied(BARS).sort("symbol", "ts"), abs_tol=1e-12
    )


def test_no_feature_sees_the_future():
    assert suspicions(PIPELINE.apply(pl.LazyFrame(schema=BARS.schema))) == []
    assert leaks(applied, BARS, 8, dense=8) == []


@settings(max_examples=15, deadline=None)
@given(
    bars=makers.bars(symbols=("A-B", "C-D"), min_size=90, max_size=120), end=st.integers(85, 140)
)
def test_a_window_of_warmup_bars_ends_as_all_history_does(bars, end):
    pipeline = Pipeline.of(
        {
            "mean": {"use": "sma", "window": 4},
            "coarse": {"use": "sma", "window": 3, "interval": "4h"},
            "above": {"use": "relative", "of": "mean"},
            "again": {"use": "lag", "of": "coarse", "bars": 2},
        },
        "1h",
    )
    now = pl.col("ts") <= end * HOUR
    whole = applied(bars, pipeline).filter(now)
    window = bars.filter(now).group_by("symbol", maintain_order=True).tail(pipeline.warmup)
    newest = pl.col("ts") == pl.col("ts").max().over("symbol")
    names = ["symbol", "ts", *pipeline.columns]
    alike = {"abs_tol": 1e-9, "rel_tol": 1e-9}
    assert_frame_equal(
        applied(window, pipeline).filter(newest).select(names),
        whole.filter(newest).select(names),
        **alike,
    )


def test_warmups_add_up_along_the_way():
    def bars(**specs):
        return Pipeline.of(specs, "1h").warmup

    mean = {"use": "sma", "window": 10}
    assert Pipeline.of({}, "1h").warmup == 1
    assert bars(a=mean) == 10
    assert bars(a=mean, b={"use": "sma", "of": "a", "window": 5}) == 14
    assert bars(a={**mean, "interval": "4h"}) == 48
    assert bars(a=mean, b={"use": "rank", "of": "a"}) == 10
    assert bars(a={"use": "rsi"}) > 100


def test_what_compares_two_columns_takes_the_close_for_one_that_is_not_named():
    specs = {"a": {"use": "beta", "of": {"market": "open"}}}
    assert Pipeline.of(specs, "1h").steps[0].sources == {"values": "close", "market": "open"}


def test_a_feature_that_never_forgets_is_refused():
    with pytest.raises(UsageError, match=r"features\.a: obv never forgets its first bar"):
        _ = Pipeline.of({"a": {"use": "obv"}}, "1h").warmup


def refused(specs):
    """What a pipeline is refused with, as a line; None where it can be."""
    try:
        _ = Pipeline.of(specs, "1h").warmup
    except UsageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("value", [0, -1, 0.5, 2.5, 40, "x", None, True])
def test_a_parameter_that_cannot_be_is_named_and_ends_in_no_traceback(value):
    for name, one in REGISTRY.items():
        for parameter in one.parameters:
            said = refused({"a": {"use": name, parameter: value}})
            assert "cannot be made" not in (said or ""), (name, parameter)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ({"a": {"use": "rsj"}}, "a: no feature 'rsj'.*rsi"),
        ({"a": {"use": "rsi", "windw": 3}}, "a: rsi has no parameter 'windw'.*window"),
        *(
            ({"a": {"use": use, **given}}, f"a: {said}")
            for use, given, said in [
                ("log_return", {"bars": -1}, "bars is -1; expected a whole number of at least 1"),
                ("log_return", {"bars": 0}, "bars is 0; expected a whole number of at least 1"),
                ("log_return", {"bars": 1.5}, r"bars is 1\.5; expected a whole number"),
                ("lag", {"bars": -1}, "bars is -1; expected a whole number of at least 0"),
                ("lag", {"bars": "3"}, "bars is '3'; expected a whole number"),
                ("rsi", {"mean": "smple"}, "mean is 'smple'; there is wilder, simple"),
                ("ema", {"seed": "frist"}, "seed is 'frist'; there is mean, first"),
                ("atr", {"mean": "exp"}, "mean is 'exp'; there is wilder, simple"),
                ("keltner", {"mean": "smple"}, "mean is 'smple'; there is exponential, simple"),
                ("realised_volatility", {"window": 1}, "window is 1; expected a whole number of"),
                ("alma", {"sigma": 0}, "sigma is 0; expected a number above 0"),
                ("ewma_volatility", {"decay": 1.0}, r"decay is 1\.0; expected a number of at"),
                ("garman_klass", {"bars_per_year": "x"}, "bars_per_year is 'x'; expected a number"),
                ("sma", {"window": 5.5}, r"window is 5\.5; expected bars, or a span such as 20d"),
                ("sma", {"window": "5"}, "window is '5'; expected bars, or a span such as 20d"),
                ("ema", {"span": "20d"}, "span is '20d'; expected a whole number"),
            ]
        ),
        (
            {"a": {"use": "macd", "fast": 26, "slow": 12}},
            r"a: fast \(26\) needs fewer bars than sl",
        ),
        ({"a": {"use": "ppo", "fast": 9, "slow": 9}}, r"a: fast \(9\) needs fewer bars than slow"),
        (
            {"a": {"use": "beta"}},
            "a: beta compares columns; name them, of: {values: COLUMN, market",
        ),
        ({"a": {"use": "beta", "of": "close"}}, "a: beta compares columns"),
        ({"a": {"use": "correlation"}}, "a: correlation compares columns"),
        ({"a": {"window": 3}}, "a: expected {use: NAME"),
        ({"a": 3}, "a: expected {use: NAME"),
        ({"close": {"use": "rsi"}}, "close: is no name"),
        ({"a b": {"use": "rsi"}}, "a b: is no name"),
        *(
            ({name: {"use": "rsi"}}, f"{name}: {name} is a column that decisions")
            for name in ("label", "label_end_ts", "signal", "signal_before_gate", "target")
        ),
        ({"weight": {"use": "rsi"}}, "weight: weight is a column that decisions"),
        ({"act": {"use": "rsi"}}, "act: act is a column that decisions"),
        ({"order_limit": {"use": "rsi"}}, "order_limit: order_limit is a column that decisions"),
        ({"time": {"use": "hour"}}, "time: time is a column already"),
        (
            {"trend_macd": {"use": "sma"}, "trend": {"use": "macd"}},
            "trend: trend_macd is a column already",
        ),
        (
            {"trend": {"use": "macd"}, "trend_hist": {"use": "sma"}},
            "trend_hist: trend_hist is a column already",
        ),
        ({"order": {"use": "macd"}}, "order: order_macd is a column that decisions"),
        ({"a": {"use": "sma", "of": "b"}, "b": {"use": "rsi"}}, "a: of 'b' is no column yet"),
        (
            {"a": {"use": "volatility", "of": "symbol"}},
            "a: of 'symbol' is a text; volatility",
        ),
        ({"a": {"use": "sma", "of": {"values": "exchange"}}}, "a: of 'exchange' is a text; sma ta"),
        ({"a": {"use": "sma", "of": {"values": ["close"]}}}, "a: of .'close'. is no column yet"),
        ({"a": {"use": "direction"}}, "a: direction is a label: it looks ahead"),
        ({"a": {"use": "sma", "interval": "90m"}}, "a: interval 90m is not made of whole bars"),
        ({"a": {"use": "sma", "interval": "4x"}}, "a: '4x' is not an interval"),
        ({"a": {"use": "rank", "interval": "4h"}}, "a: rank compares symbols"),
        ({"a": {"use": "macd", "output": "histo"}}, "a: no output 'histo'; macd makes macd"),
        ({"a": {"use": "sma", "of": {"x": "close"}}}, "a: of has no input 'x'; sma takes values"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_feature(specs, said):
    with pytest.raises(UsageError, match=rf"features\.{said}"):
        Pipeline.of(specs, "1h")


def test_hours_and_weekdays_are_told_of_datetimes_too():
    names = ("hour", "weekday", "hour_sine", "hour_cosine")
    pipeline = Pipeline.of(dict(zip(names, names, strict=True)), "1h")
    bars = hourly("A-B", [1.0] * 50)
    told = pipeline.apply(bars.lazy()).select(names).collect()
    moments = bars.lazy().with_columns(pl.from_epoch("ts", "ns").dt.cast_time_unit("us"))
    assert pipeline.apply(moments).select(names).collect().equals(told)
