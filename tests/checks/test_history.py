import numpy as np
import polars as pl
import pytest
from makers import HOUR, hourly

from cq.checks import at_fault, dependences
from cq.indicators import CLOSE, in_time_order


@pytest.fixture(scope="module")
def bars():
    walk = 100 * np.exp(np.cumsum(np.random.default_rng(4).normal(0, 0.03, 400)))
    return hourly("A-B", walk.tolist())


def with_signal(expr):
    def make(rows):
        above = in_time_order((expr > CLOSE).cast(pl.Int8))
        return rows.with_columns(signal=above, mean=in_time_order(expr))

    return make


def test_a_window_is_settled_by_its_own_length(bars):
    found = dependences(with_signal(CLOSE.rolling_mean(20)), bars, 20)
    assert at_fault(found, 20) == []
    assert {(one.bars, one.column) for one in found} == {
        (n, c) for n in (20, 40, 80) for c in ("signal", "mean")
    }
    assert all(one.compared >= 24 for one in found)


def test_a_window_that_is_longer_than_the_warmup_is_at_fault(bars):
    (one,) = at_fault(dependences(with_signal(CLOSE.rolling_mean(20)), bars, 10), 10)
    assert one.column == "signal"
    assert one.differing >= one.compared - 9  # within the first 19 bars there is none anyway
    assert one.first is not None
    assert one.first.part is None
    assert one.first.ts >= 9 * HOUR


def test_what_forgets_its_start_depends_on_it_less_with_more_history(bars):
    found = dependences(with_signal(CLOSE.ewm_mean(span=30, adjust=False)), bars, 30)
    means = [one.largest for one in found if one.column == "mean"]
    assert means[0] > 10 * means[2] > 0


def test_targets_may_differ_by_float_noise_only(bars):
    def make(scale):
        def make(rows):
            numbered = pl.int_range(pl.len()).cast(pl.Float64) * scale
            return rows.with_columns(target=in_time_order(0.5 + numbered))

        return make

    assert at_fault(dependences(make(1e-12), bars, 10), 10) == []
    assert [one.column for one in at_fault(dependences(make(1e-6), bars, 10), 10)] == ["target"]


def test_bars_that_are_too_few_compare_nothing(bars):
    assert dependences(with_signal(CLOSE), bars.head(5), 10) == []
