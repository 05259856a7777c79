from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.report.panels import Chart, Mark, Panel, dates, decades, finite, money, plain, share, steps
from cq.report.svg import NARROW, WIDE, drawing
from cq.utils.time import to_ns


def ns(*when):
    return to_ns(datetime(*when, tzinfo=UTC))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_steps_are_round_within_reach_and_few(low, width, most):
    found = steps(low, low + width, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * width <= one <= low + width * (1 + 1e-6) for one in found)
    if len(found) > 1:
        size = found[1] - found[0]
        mantissa = size / 10 ** math.floor(math.log10(size) + 1e-9)
        assert min(abs(mantissa - one) for one in (1, 2, 5, 10)) < 1e-3


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e9))
def test_decades_are_within_reach_and_few(low, factor):
    found = decades(low, low * factor)
    assert len(found) <= 7
    assert all(low <= one <= low * factor for one in found)
    assert factor < 5 or found


@given(
    st.integers(ns(1990, 1, 1), ns(2040, 1, 1)),
    st.integers(3_600 * 10**9, 40 * 365 * 86_400 * 10**9),
    st.integers(4, 10),
)
def test_dates_are_within_reach_few_and_rising(start, length, most):
    found = dates(start, start + length, most)
    moments = [at for at, _ in found]
    assert len(found) <= most + 1
    assert all(start - 1e3 <= at <= start + length + 1e3 for at in moments)
    assert all(a < b for a, b in itertools.pairwise(moments))


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (ns(2020, 1, 1), ns(2024, 1, 1), ["2020", "2021", "2022", "2023", "2024"]),
        (ns(2020, 11, 5), ns(2021, 3, 5), ["Dec 2020", "2021", "Feb", "Mar"]),
        (ns(2020, 1, 30), ns(2020, 2, 2), ["30 Jan", "31 Jan", "1 Feb", "2 Feb"]),
        (ns(2020, 1, 30, 20), ns(2020, 1, 31, 14), ["31 Jan", "06:00", "12:00"]),
    ],
)
def test_the_year_or_day_is_said_where_it_changes(first, last, said):
    assert [label for _, label in dates(first, last, 5)] == said


def test_amounts_are_short_on_an_axis():
    assert [money(one) for one in (950, 12_000, 3.5e6, 2e9, 0.25)] == [
        "950", "12k", "3.5M", "2G", "0.25",
    ]  # fmt: skip
    assert [share(one) for one in (0.05, -0.2, 1.0, -0.0)] == ["5 %", "-20 %", "100 %", "0 %"]
    assert plain(0.5) == "0.5"


def test_ticks_that_lie_close_have_digits_that_tell_them_apart():
    line = Mark("line", np.arange(2), np.array([100_000.0, 100_002.0]), "#000")
    labels = Panel("x", [line], money).labels
    assert len(set(labels)) == len(labels) >= 3
    assert "100k" in labels
    assert "100.001k" in labels


def test_what_has_no_height_is_left_out():
    x, y = finite(np.arange(3), np.array([1.0, np.nan, 2.0]))
    assert (x.tolist(), y.tolist()) == ([0, 2], [1.0, 2.0])


def test_one_mad_wick_leaves_room_for_the_candles():
    close = np.array([10.0, 11.0, 12.0])
    low = np.array([9.0, 0.0001, 11.0])
    mark = Mark("candles", np.arange(3), close, "#000", more=(close - 1, close + 1, low, close))
    panel = Panel("x", [mark], plain)
    assert panel.reach[0] > 6
    assert panel.reach[1] == pytest.approx(13, abs=0.5)
    chart = Chart("x", "x", [panel], plain, span=(0.0, 2.0))
    for shape in (WIDE, NARROW):
        assert "nan" not in drawing(chart, shape)


def test_what_is_flat_or_empty_can_be_drawn():
    nothing = np.array([])
    for marks in (
        [],
        [Mark("line", nothing, nothing, "#000"), Mark("area", nothing, nothing, "#000")],
        [Mark("line", np.array([0.0]), np.array([5.0]), "#000", "one")],
        [
            Mark("bars", nothing, nothing, "#000", more=(nothing,)),
            Mark("up", nothing, nothing, "#0"),
        ],
    ):
        chart = Chart("x", "x", [Panel("<&", marks, plain)], plain, span=(0.0, 0.0))
        text = drawing(chart, WIDE)
        assert "nan" not in text
        assert "&lt;&amp;" in text


def test_a_logarithmic_axis_ends_where_floats_do():
    mark = Mark("line", np.arange(2.0), np.array([1e-300, 1e300]), "#000")
    panel = Panel("x", [mark], money, log=True)
    low, high = panel.reach
    assert 0 < low < 1e-300 < 1e300 < high < math.inf
    assert all(low <= one <= high for one in panel.ticks)
