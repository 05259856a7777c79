"""The report is one file that needs nothing else, says what it shows, and stays small."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import makers
import polars as pl
import pytest

from cq import backtest
from cq.backtest import DEFINITIONS
from cq.backtest.definitions import BY_NAME
from cq.backtest.result import remove_report
from cq.lake import Lake
from cq.report import write_report
from cq.report.charts import account
from cq.report.svg import NARROW, WIDE, drawing
from cq.strategies import load
from cq.utils.config import defaults

PROJECT = Path(__file__).parents[2]
SETTINGS = defaults(PROJECT).backtest
VOID = {"meta", "link", "br", "img", "path"}


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
        assert re.search(rf'<svg class="{shape}" viewBox="0 0 \d+ \d+"', page)


def test_a_phone_gets_a_picture_of_its_own_whose_text_can_be_read(page):
    small = page.partition("@media (max-width: 600px)")[2]
    assert "svg.wide { display: none; }" in small
    assert "svg.narrow { display: block; }" in small
    drawing = page.partition('<svg class="narrow"')[2].partition("</svg>")[0]
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', drawing)[1])
    size = float(re.search(r'<svg class="narrow"[^>]* font-size="([\d.]+)"', page)[1])
    assert size * 340 / width > 9
    assert "<text" in drawing


def test_wide_tables_say_that_they_scroll_and_tiles_fill_their_rows(page):
    assert page.count('class="hint"') == page.count('<div class="scroll">') - 1 == 3
    assert len(re.findall(r"<div><b>", page)) % 4 == 0
    assert "<th>qty</th>" in page


def test_all_that_a_report_is_asked_for_is_there(page):
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads == [
        "Returns by month", "Trades among candles", "Symbols", "How returns are spread", "Metrics",
        "First and last trades", "Conventions", "Where it comes from",
    ]  # fmt: skip
    for title in (
        "Equity",
        "buy and hold",
        "equal weight",
        "Drawdown",
        "Sharpe ratio of",
        "Invested",
    ):
        assert title in page
    assert re.search(r"bought \d+×", page)
    assert re.search(r"Returns of \d+ round trips", page)
    assert re.search(r"Returns of \d+ days that moved", page)


def test_warnings_come_first_and_many_unfold(lake, tmp_path):
    result = run(lake)
    result.config["warnings"] = [f"doubt {i}" for i in range(9)]
    text = write_report(result, tmp_path).read_text()
    assert text.index("<h2>Warnings</h2>") < text.index("<svg")
    assert "<summary>5 more</summary>" in text
    assert all(f"doubt {i}" in text for i in range(9))


def test_labels_lie_within_the_drawing_and_apart(lake):
    chart = account(run(lake))
    for shape in (WIDE, NARROW):
        text = drawing(chart, shape)
        below = re.findall(r'<text x="(\d+)" y="([\d.]+)" text-anchor="middle"[^>]*>([^<]*)<', text)
        assert len(below) >= 2
        edges = [(int(x) - 3.2 * len(said), int(x) + 3.2 * len(said)) for x, _, said in below]
        assert edges[0][0] >= 0
        assert edges[-1][1] <= shape.width
        assert all(one[1] < other[0] for one, other in itertools.pairwise(edges))
        for y in re.findall(r'<text x="[^"]*" y="([\d.]+)"', text):
            assert 0 < float(y) <= int(re.search(r'viewBox="0 0 \d+ (\d+)"', text)[1])


def test_every_metric_stands_there_with_its_definition(page):
    for key, said in DEFINITIONS.items():
        assert BY_NAME[key].label in page
        assert said.replace("'", "&#x27;") in page


def test_the_page_says_its_conventions_and_where_the_data_came_from(page, lake):
    assert "filled at the next bar&#x27;s open" in page
    assert "a fee of 0.70 %" in page
    assert run(lake).config["data"]["digest"] in page


def test_long_runs_make_no_large_page(page):
    assert len(page) < 300_000


def test_the_same_result_makes_the_same_page(lake, tmp_path):
    for name in ("one", "two"):
        write_report(run(lake), tmp_path / name, lake=lake)
    one, two = ((tmp_path / name / "report.html").read_bytes() for name in ("one", "two"))
    assert one == two


def test_pictures_lie_beside_the_page_where_they_are_asked_for(lake, tmp_path):
    write_report(run(lake), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    write_report(run(lake), tmp_path, plots=True)
    names = sorted(one.name for one in tmp_path.glob("*.png"))
    assert names == [
        "candles_1.png", "candles_2.png", "candles_3.png", "days.png", "equity.png",
        "round_trips.png",
    ]  # fmt: skip
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    remove_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_made_without_matplotlib():
    code = "import sys, cq.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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
