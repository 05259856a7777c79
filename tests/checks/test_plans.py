import polars as pl
import pytest
from makers import BAR_SCHEMA
from planted_leaks import HONEST, LEAKS, UNREADABLE, python_that_peeks

from cq.checks import Suspicion, is_opaque, suspicions
from cq.indicators import REGISTRY, in_time_order

BARS = pl.LazyFrame(schema=BAR_SCHEMA)
C = pl.col("close")


@pytest.mark.parametrize("name", sorted(LEAKS.keys() - UNREADABLE))
def test_every_leak_that_a_plan_can_tell_is_told(name):
    assert suspicions(LEAKS[name](BARS))


@pytest.mark.parametrize("name", HONEST)
def test_what_looks_back_or_sideways_is_left_in_peace(name):
    assert suspicions(HONEST[name](BARS)) == []


def test_a_python_function_is_said_to_be_unreadable():
    for name in UNREADABLE:
        assert suspicions(LEAKS[name](BARS)) == []
        assert is_opaque(LEAKS[name](BARS))
    assert is_opaque(BARS.map_batches(lambda rows: rows.reverse()))
    assert not is_opaque(HONEST["an exponential mean"](BARS))


def test_indicators_are_known_to_look_back_only():
    for one in REGISTRY.values():
        inputs = (name if name in BAR_SCHEMA else "close" for name in one.inputs)
        made = one(*inputs)
        for expr in made.values() if isinstance(made, dict) else [made]:
            plan = BARS.with_columns(feature=in_time_order(expr))
            assert not is_opaque(plan), one.name
            assert suspicions(plan) == [], one.name
            assert is_opaque(python_that_peeks(plan)), one.name


def test_a_suspicion_names_the_column_and_what_reaches_ahead():
    plan = BARS.with_columns(z=C - C.mean(), y=C.shift(-3))
    assert suspicions(plan) == [
        Suspicion("y", "shift(-3) takes later rows"),
        Suspicion("z", "the mean of a whole column is given to each row"),
    ]


def test_a_shift_by_a_computed_number_cannot_be_vouched_for():
    (found,) = suspicions(BARS.with_columns(a=C.shift(pl.col("volume").first().cast(int))))
    assert found.what == "shift by a number that is not known beforehand"
