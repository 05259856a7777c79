"""The report is one file that needs nothing else, says what it shows, and stays small."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import makers
import polars as pl
import pytest

from cq import backtest
from cq.backtest import DEFINITIONS
from cq.backtest.definitions import BY_NAME
from cq.lake import Lake
from cq.report import write_report
from cq.report.figures import NARROW, WIDE, figure, money
from cq.strategies import load
from cq.utils.config import defaults

PROJECT = Path(__file__).parents[2]
SETTINGS = defaults(PROJECT).backtest
VOID = {"meta", "link", "br", "img", "path", "use", "rect"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("report") / "lake")
    for symbol, shift in (("BTC-BRL", 0), ("ETH-BRL", 40)):
        closes = [100 * math.exp(i / 3_000 + math.sin((i + shift) / 60) / 5) for i in range(3_000)]
        bars = makers.hourly(symbol, closes).with_columns(interval=pl.lit("1h"))
        made.write("ohlcv", bars, source="test", now_ns=10**18)
    return made


def run(lake, *overrides):
    path = PROJECT / "configs/strategies/crossover_majors.yaml"
    wanted = ["fast=5", "slow=30", "symbols=BTC,ETH", *overrides]
    return backtest.run(lake, load(path, wanted), SETTINGS)


@pytest.fixture(scope="module")
def page(lake, tmp_path_factory):
    return write_report(run(lake), tmp_path_factory.mktemp("out") / "deep").read_text()


class Balance(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_asks_the_network_for_nothing(page):
    assert not re.search(r"(https?:)?//|<script|<link|<img|@import", page)
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "url(" not in page.replace("url(#", "")


def test_the_page_is_well_formed_and_fits_a_phone(page):
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    for shape in ("wide", "narrow"):
        assert re.search(rf'<svg class="{shape}" viewBox="[^"]+" version', page)


def test_a_phone_gets_a_picture_of_its_own_whose_text_can_be_read(page):
    small = page.partition("@media (max-width: 600px)")[2]
    assert "svg.wide { display: none; }" in small
    assert "svg.narrow { display: block; }" in small
    drawing = page.partition('<svg class="narrow"')[2].partition("</svg>")[0]
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', drawing)[1])
    sizes = [float(one) for one in re.findall(r"font-size: ([\d.]+)px", drawing)]
    assert min(sizes) * 340 / width > 9


def test_no_name_is_given_twice(page):
    names = re.findall(r' id="([^"]*)"', page)
    assert len(names) == len(set(names)) > 0


def test_wide_tables_say_that_they_scroll_and_tiles_fill_their_rows(page):
    assert page.count('class="hint"') == page.count('<div class="scroll">') - 1 == 2
    assert len(re.findall(r"<div><b>", page)) % 4 == 0
    assert "<th>qty</th>" in page


def test_the_lowest_label_keeps_off_the_dates(lake):
    for shape in (WIDE, NARROW):
        made = figure(run(lake), shape)
        axes = made.axes[-1]
        low = axes.get_yticklabels()[0].get_window_extent()
        assert not any(low.overlaps(one.get_window_extent()) for one in axes.get_xticklabels())


def test_every_metric_stands_there_with_its_definition(page):
    for key, said in DEFINITIONS.items():
        assert BY_NAME[key].label in page
        assert said.replace("'", "&#x27;") in page


def test_the_page_says_its_conventions_and_where_the_data_came_from(page, lake):
    assert "filled at the next bar&#x27;s open" in page
    assert "a fee of 0.70 %" in page
    assert run(lake).config["data"]["digest"] in page


def test_long_runs_make_no_large_page(page):
    assert len(page) < 500_000


def test_the_same_result_makes_the_same_page_and_picture(lake, tmp_path):
    for name in ("one", "two"):
        write_report(run(lake), tmp_path / name)
    for file in ("report.html", "equity.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_picture_lies_beside_the_page(lake, tmp_path):
    write_report(run(lake), tmp_path)
    assert (tmp_path / "equity.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_a_trade_has_a_report_too(lake, tmp_path):
    text = write_report(run(lake, "backtest.cash=0.5"), tmp_path).read_text()
    assert "Nothing was traded." in text


def test_few_trades_are_all_there_and_many_are_cut(lake, tmp_path, page):
    assert "more in trades.csv" in page
    few = write_report(run(lake, "fast=200", "slow=900"), tmp_path).read_text()
    assert "more in trades.csv" not in few


def test_names_cannot_break_the_page(lake, tmp_path):
    text = write_report(run(lake, "name=<b>&co"), tmp_path).read_text()
    assert "<b>&co" not in text
    assert "&lt;b&gt;&amp;co" in text


def test_amounts_are_short_on_an_axis():
    assert [money(one) for one in (950, 12_000, 3.5e6, 2e9, 0.25)] == [
        "950",
        "12k",
        "3.5M",
        "2G",
        "0.25",
    ]
