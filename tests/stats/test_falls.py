import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.stats import drawdowns, max_drawdown


def curve(values):
    return pl.DataFrame(
        {"ts": range(len(values)), "equity": values}, schema={"ts": pl.Int64, "equity": pl.Float64}
    )


def test_each_fall_is_told_with_its_depth_and_length():
    found = drawdowns(curve([100.0, 90.0, 95.0, 100.0, 110.0, 55.0, 66.0]))
    assert found.rows() == [
        (4, 5, None, -0.5, 2, 1),
        (0, 1, 3, pytest.approx(-0.1), 3, 1),
    ]


def by_hand(values):
    falls, peak = [], 0
    for i, value in enumerate(values):
        if value >= values[peak]:
            if i - peak > 1:
                falls.append((peak, i))
            peak = i
    if peak < len(values) - 1:
        falls.append((peak, None))
    return sorted(
        (min(values[a:b]) / values[a] - 1, a, b, (len(values) - 1 if b is None else b) - a)
        for a, b in falls
    )


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=40))
def test_falls_are_those_that_a_loop_finds(values):
    found = drawdowns(curve(values)).select("depth", "peak_ts", "recovered_ts", "bars").rows()
    expected = by_hand(values)
    assert [one[1:] for one in sorted(found, key=lambda r: r[1])] == [
        one[1:] for one in sorted(expected, key=lambda r: r[1])
    ]
    assert [one[0] for one in found] == pytest.approx([one[0] for one in expected])
    assert max_drawdown(curve(values)) == pytest.approx(min([0.0, *(one[0] for one in found)]))


def test_a_curve_of_nothing_has_no_fall():
    assert drawdowns(curve([])).is_empty()
    assert max_drawdown(curve([])) == 0


SENSELESS = [[1.0, 0.0], [1.0, None], [1.0, math.nan, 0.5], [1.0, math.inf, 0.5], [1.0, -5.0]]


@pytest.mark.parametrize("told", [drawdowns, max_drawdown])
@pytest.mark.parametrize("values", SENSELESS)
def test_a_curve_that_makes_no_sense_is_refused(told, values):
    with pytest.raises(UsageError, match="equity above zero"):
        told(curve(values))


@pytest.mark.parametrize("told", [drawdowns, max_drawdown])
def test_a_curve_that_goes_back_in_time_is_refused(told):
    with pytest.raises(UsageError, match="a curve needs rising ts"):
        told(curve([1.0, 2.0, 3.0]).reverse())
