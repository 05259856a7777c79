"""Reports of quality: which one is kept for a day, and which one speaks of a symbol."""

from __future__ import annotations

import json

import pytest

from cq.lake.quality import QualityReport
from cq.lake.quality_reports import reports_on, write_report
from cq.utils.time import DAY, iso, parse_time

MONDAY = parse_time("2024-01-01")


@pytest.fixture
def keep(tmp_path):
    """Keeps a report of some symbols (none are all) over what came `since`, on a day from 0 on."""

    def kept(symbols=(), since=None, day=0, hour=1):
        now = MONDAY + day * DAY + hour
        began = None if since is None else iso(since)
        report = QualityReport(tmp_path, iso(now), tuple(symbols), began, (), (), {})
        return write_report(report, now)

    return kept


def scope(path):
    said = json.loads(path.read_text())
    return said["symbols"], said["since"]


def test_a_report_that_looked_at_less_does_not_take_the_place_of_the_day_s(keep):
    path = keep()
    assert keep(["A-B"]) is None
    assert keep(since=MONDAY) is None
    assert scope(path) == ([], None)
    assert keep() == path


def test_one_that_looked_at_more_or_at_something_else_does(keep):
    path = keep(["A-B"], since=MONDAY)
    assert keep(["C-D"]) == path
    assert scope(path) == (["C-D"], None)
    assert keep(["A-B", "C-D"]) == path
    assert keep(["A-B"]) is None
    assert keep(since=MONDAY - DAY) == path
    assert keep(["C-D"], since=MONDAY) is None
    assert scope(path) == ([], iso(MONDAY - DAY))


def test_each_symbol_is_spoken_of_by_the_newest_report_that_looked_at_it(keep, tmp_path):
    keep(day=0)
    keep(["A-B"], day=1)
    keep(["A-B", "C-D"], since=MONDAY, day=2)
    found = {day: names for day, _, names in reports_on(tmp_path, ["A-B", "C-D", "E-F"], None)}
    assert found == {"2024-01-02": {"A-B"}, "2024-01-01": {"C-D", "E-F"}}
    found = reports_on(tmp_path, ["A-B", "C-D"], MONDAY + DAY)
    assert [(day, names) for day, _, names in found] == [("2024-01-03", {"A-B", "C-D"})]


def test_where_none_reaches_back_far_enough_the_newest_is_taken(keep, tmp_path):
    keep(["A-B"], since=MONDAY, day=0)
    keep(["A-B"], since=MONDAY + DAY, day=1)
    found = reports_on(tmp_path, ["A-B", "C-D"], None)
    assert [(day, names) for day, _, names in found] == [("2024-01-02", {"A-B"})]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"symbols": 3, "since": null, "checks": []}'])
def test_a_report_that_makes_no_sense_says_nothing(keep, tmp_path, text):
    path = keep()
    path.write_text(text)
    assert reports_on(tmp_path, ["A-B"], None) == []
    assert keep(["A-B"]) == path
