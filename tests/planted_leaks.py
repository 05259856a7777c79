"""Strategies that cheat, each in its own way, and honest ones that look a little like them."""

from __future__ import annotations

import polars as pl

from cq.indicators import in_time_order, sma

C = pl.col("close")
HOUR = 3_600_000_000_000


def signal(expr):
    return lambda bars: bars.with_columns(signal=in_time_order(expr.cast(pl.Int8)))


def hidden_in_a_feature(bars):
    feature = in_time_order(C.rolling_mean(3).shift(-1))
    return bars.with_columns(momentum=feature).with_columns(
        signal=in_time_order((pl.col("momentum") > C).cast(pl.Int8))
    )


def whole_sample_z_score(bars):
    z = ((C - C.mean()) / C.std()).over("symbol")
    return bars.with_columns(signal=(z < -0.5).cast(pl.Int8))


def asof(strategy):
    def make(bars):
        every_fourth = bars.filter(pl.col("ts") // HOUR % 4 == 0)
        coarse = every_fourth.select("ts", "symbol", later="close").sort("ts")
        joined = bars.sort("ts").join_asof(
            coarse, on="ts", by="symbol", strategy=strategy, check_sortedness=False
        )
        return joined.with_columns(signal=(pl.col("later") > C).cast(pl.Int8))

    return make


def label_at_the_wrong_end(bars):
    coarse = (
        bars.sort("symbol", "ts")
        .with_columns(bucket=pl.col("ts") // (4 * HOUR) * 4 * HOUR)
        .group_by("symbol", "bucket")
        .agg(end=C.sort_by("ts").last())
    )
    joined = bars.with_columns(bucket=pl.col("ts") // (4 * HOUR) * 4 * HOUR).join(
        coarse, on=["symbol", "bucket"], how="left", maintain_order="left"
    )
    return joined.with_columns(signal=(pl.col("end") > C).cast(pl.Int8))


def statistics_joined_back(bars):
    means = bars.group_by("symbol").agg(average=C.mean())
    joined = bars.join(means, on="symbol", how="left", maintain_order="left")
    return joined.with_columns(signal=(pl.col("average") > C).cast(pl.Int8))


def python_that_peeks(bars):
    peek = C.map_batches(lambda s: s.shift(-2), return_dtype=pl.Float64)
    return bars.with_columns(signal=in_time_order((peek > C).cast(pl.Int8)))


def window_ahead(bars):
    ahead = C.max().rolling("ts", period=f"{3 * HOUR}i", offset=f"{-1 * HOUR}i").over("symbol")
    return bars.sort("symbol", "ts").with_columns(signal=(ahead > C).cast(pl.Int8))


LEAKS = {
    "shift(-1) hidden in a feature": hidden_in_a_feature,
    "whole-sample z-score": whole_sample_z_score,
    "forward as-of join": asof("forward"),
    "nearest as-of join": asof("nearest"),
    "resample label at the wrong end": label_at_the_wrong_end,
    "centred window": signal(C.rolling_mean(5, center=True) > C),
    "backward fill": signal(pl.when(C.shift(1) < C).then(C).backward_fill() > C * 1.01),
    "maximum of all": lambda bars: bars.with_columns(
        signal=(C.max().over("symbol") * 0.9 < C).cast(pl.Int8)
    ),
    "reverse cumulative sum": signal(C.cum_max(reverse=True) > C),
    "rank in the sample": lambda bars: bars.with_columns(
        signal=(C.rank().over("symbol") < 10).cast(pl.Int8)
    ),
    "quantile of the sample": lambda bars: bars.with_columns(
        signal=(C.quantile(0.3).over("symbol") > C).cast(pl.Int8)
    ),
    "interpolation": signal(pl.when(C.shift(1) < C).then(C).interpolate() > C),
    "statistics joined back": statistics_joined_back,
    "difference to the next": signal(C.diff(-1) < 0),
    "last of all": lambda bars: bars.with_columns(
        signal=(C.last().over("symbol", order_by="ts") > C).cast(pl.Int8)
    ),
    "reversed": signal(C.reverse() > C),
    "a window that ends ahead": window_ahead,
    "python that peeks": python_that_peeks,
}
UNREADABLE = {"python that peeks"}
"""What no plan can tell, only a run."""

HONEST = {
    "a mean": signal(sma(C, 3) > C),
    "two differences": signal(C.diff() - C.diff().shift(1) > 0),
    "the highest so far": signal(C.cum_max() > C * 1.02),
    "the first bar of all": signal(C.first() > C),
    "row numbers": signal(pl.int_range(pl.len()) > 5),
    "a rank among the symbols of one moment": lambda bars: bars.with_columns(
        signal=(C.rank().over("ts") > 1).cast(pl.Int8)
    ),
    "a mean of the symbols of one moment": lambda bars: bars.with_columns(
        signal=(C.mean().over("ts") > C).cast(pl.Int8)
    ),
    "backward as-of join": asof("backward"),
    "forward fill": signal(pl.when(C.shift(1) < C).then(C).forward_fill() > C * 1.01),
    "an exponential mean": signal(C.ewm_mean(span=5, adjust=False) > C),
}
