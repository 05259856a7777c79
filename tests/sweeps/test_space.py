"""Axes and the combinations of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.sweeps.space import Axis, drawn, grid


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
    ],
)
def test_a_text_names_its_values(text, values):
    axis = Axis.of(text)
    assert axis.values == values
    assert [type(one) for one in axis.values] == [type(one) for one in values]


def test_decimals_without_a_step_are_any_between():
    assert Axis.of("a=0.1:0.9") == Axis("a", span=(0.1, 0.9))


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
