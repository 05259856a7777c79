"""What settings say of costs, as the engine has it."""

from __future__ import annotations

import makers
import pytest

import cq
from cq.backtest.costs import Costs
from cq.backtest.door import settings_of
from cq.utils.time import parse_time


def test_a_least_fee_stays_where_dated_fees_say_none():
    later = [
        {"since": "2024-01-02", "taker": 0.002, "maker": 0.001},
        {"since": "2024-01-03", "taker": 0.002, "maker": 0.001, "minimum": 0},
    ]
    fees = {"taker": 0.004, "maker": 0.003, "minimum": 7, "dated": later}
    costs = Costs.of(settings_of({"fees": fees}))
    days = ("2024-01-01", "2024-01-02", "2024-01-03")
    assert [costs.at(parse_time(day)).minimum_fee for day in days] == [7, 7, 0]


def test_a_fill_of_dated_fees_pays_the_least_fee():
    bars = makers.hourly("A-B", [100.0] * 4, start=0)
    target = bars.with_columns(target=1.0)
    fees = {"taker": 0, "maker": 0, "minimum": 5}
    fees["dated"] = [{"since": "1969-01-01", "taker": 0, "maker": 0}]
    found = cq.backtest(target, interval="1h", fees=fees)
    assert found.trades["fee"].to_list() == [pytest.approx(5)]
