import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import HOUR, hourly

from cq.errors import UsageError
from cq.features import with_label


def labels(bars, use, **parameters):
    return with_label(bars.lazy(), "1h", use, **parameters).collect()


def test_a_direction_is_where_the_price_stands_later():
    found = labels(hourly("A-B", [10.0, 11.0, 9.0, 12.0]), "direction", horizon=2)
    assert found["label"].to_list() == [0, 1, None, None]
    assert found["label_end_ts"].to_list() == [3 * HOUR, 4 * HOUR, None, None]


def by_hand(rows, horizon, up, down):
    found = []
    for i, row in enumerate(rows):
        later = rows[i + 1 : i + 1 + horizon]
        if len(later) < horizon:
            found.append(None)
            continue
        won = 0
        for one in later:
            if one["low"] <= row["close"] * (1 - down):
                break
            if one["high"] >= row["close"] * (1 + up):
                won = 1
                break
        found.append(won)
    return found


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([90.0, 97.0, 99.0, 100.0, 101.0, 103.0, 110.0]), max_size=20),
    st.integers(1, 5),
)
def test_a_triple_barrier_is_the_one_that_is_touched_first(closes, horizon):
    bars = hourly("A-B", closes)
    found = labels(bars, "triple_barrier", horizon=horizon, up=0.02, down=0.03)
    assert found["label"].to_list() == by_hand(bars.to_dicts(), horizon, 0.02, 0.03)


def test_a_far_horizon_takes_no_more_memory_than_a_near_one():
    closes = [100.0 + n % 7 * 0.1 for n in range(3000)]
    found = labels(hourly("A-B", closes), "triple_barrier", horizon=2999, up=0.5, down=0.5)
    assert found["label"].to_list() == [0, *[None] * 2999]


def test_labels_of_two_symbols_do_not_meet():
    bars = pl.concat([hourly("A-B", [1.0, 2.0]), hourly("C-D", [2.0, 1.0])])
    found = labels(bars.reverse(), "direction", horizon=1).sort("symbol", "ts")
    assert found["label"].to_list() == [1, None, 0, None]


@pytest.mark.parametrize(
    ("use", "parameters", "said"),
    [
        ("directon", {}, "no label 'directon'; there is direction, triple_barrier"),
        ("direction", {"horizon": 0}, "horizon is 0"),
        ("direction", {"hours": 3}, "label direction: no parameter 'hours'; .*horizon"),
        ("direction", {"horizon": 2.5}, r"horizon is 2\.5; expected a whole number"),
        ("direction", {"above": "x"}, "above is 'x'; expected a number"),
        ("triple_barrier", {"above": 0.1}, "no parameter 'above'; .*down"),
        ("triple_barrier", {"up": -1.0}, r"up is -1\.0; expected a fraction above 0"),
        ("triple_barrier", {"down": 2.0}, r"down is 2\.0; expected a fraction between 0 and 1"),
    ],
)
def test_a_mistake_is_said(use, parameters, said):
    with pytest.raises(UsageError, match=said):
        labels(hourly("A-B", [1.0]), use, **parameters)
