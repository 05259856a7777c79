"""Axes and the combinations of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.sweeps.space import Axis, axes_of, drawn, grid, refuse_twice


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=5:50:15", (5, 20, 35, 50)),
        ("a=5:9", (5, 6, 7, 8, 9)),
        ("a=5:5", (5,)),
        ("a=0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("a=1:2:0.5", (1.0, 1.5, 2.0)),
        ("a = x, y", ("x", "y")),
        ("a=1,2.5,null,true", (1, 2.5, None, True)),
        ("a.b=-3:-1", (-3, -2, -1)),
        ("a=1e-3,5E-3,.5e1,0.007", (0.001, 0.005, 5.0, 0.007)),
        ("a='1e3',e3,1e", ("1e3", "e3", "1e")),
        ("a=0:1e300:1e300", (0, 10**300)),
    ],
)
def test_a_text_names_its_values(text, values):
    axis = Axis.of(text)
    assert axis.values == values
    assert [type(one) for one in axis.values] == [type(one) for one in values]


def test_decimals_without_a_step_are_any_between():
    assert Axis.of("a=0.1:0.9") == Axis("a", span=(0.1, 0.9))


@pytest.mark.parametrize(
    ("values", "twice"),
    [
        ("5,5,5", "5"),
        ("0,0.0,0e0", "0.0"),
        ("sma,ema,sma", "sma"),
        ([1, 2, 2.0], "2.0"),
        ([[1], [1]], "[1]"),
    ],
)
def test_a_value_that_is_said_twice_is_refused(values, twice):
    with pytest.raises(UsageError) as error:
        axes_of({"a": values})
    assert str(error.value) == f"--grid a: {twice} stands there twice; say it once"


def test_axes_that_set_the_same_thing_are_refused():
    for names in (["a.b", "a.b.c"], ["a.b.c.d", "a.b"]):
        with pytest.raises(UsageError, match="set the same thing; take one of them"):
            axes_of([f"{name}=1,2" for name in names])
    axes_of(["a.b=1,2", "a.bc=1,2"])
    axes_of({"a.b": [{"c": 1}, {"d": 2}], "a.b.e": [1, 2]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a=1e999999:1e9999999", "expected numbers between 1e-300 and 1e300"),
        ("a=0:1e18:1e-999999", "expected numbers between 1e-300 and 1e300"),
        ("a=0:1e300:1e-300", "too many values; 1,000,000 at the most"),
        ("a=0:2000000", "2,000,001 values; 1,000,000 at the most"),
    ],
)
def test_ranges_that_no_float_counts_are_refused_in_a_line(text, said):
    with pytest.raises(UsageError) as error:
        Axis.of(text)
    assert str(error.value) == f"--grid {text}: {said}"


@pytest.mark.parametrize(
    "text", ["a", "=1", "a=", "a=1:", "a=x:y", "a=1:2:3:4", "a=nan:2", "a=1:2:-1"]
)
def test_what_names_none_is_refused(text):
    with pytest.raises(UsageError):
        Axis.of(text)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 60), st.integers())
def test_draws_are_combinations_of_the_grid_and_none_comes_twice(sizes, count, seed):
    axes = [Axis(f"p{i}", tuple(range(size))) for i, size in enumerate(sizes)]
    total, every = grid(axes)
    whole = [tuple(point.values()) for point in every]
    assert total == len(whole) == len(set(whole)) == math.prod(sizes)
    expected, points = drawn(axes, count, seed)
    some = [tuple(point.values()) for point in points]
    assert expected == len(some) == len(set(some)) == min(count, total)
    assert set(some) <= set(whole)


def test_draws_from_a_grid_that_no_range_counts_are_combinations_of_it():
    axes = [Axis(f"p{i}", tuple(range(520))) for i in range(7)]
    count, points = drawn(axes, 50, seed=3)
    some = [tuple(point.values()) for point in points]
    assert count == len(set(some)) == 50
    assert all(0 <= value < 520 for one in some for value in one)
    assert some == [tuple(point.values()) for point in drawn(axes, 50, seed=3)[1]]


@pytest.mark.parametrize(
    ("axis", "said"), [("fast", "fast=7"), ("orders", "orders.stop_loss=1"), ("a.b", " a.b = 1")]
)
def test_what_an_axis_tries_is_not_set_for_all_trials_as_well(axis, said):
    refuse_twice([Axis(axis, (1, 2))], ["slow=3", f"{axis}er=3"])
    with pytest.raises(UsageError, match=f"is set for all trials, and --grid {axis} tries"):
        refuse_twice([Axis(axis, (1, 2))], ["slow=3", said])
