"""Every question of docs/sql.md has an answer, in both DuckDBs, and the right one."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sysconfig
from pathlib import Path
from random import Random

import makers
import polars as pl
import pytest

from cq.lake import Lake
from cq.utils.clock import now_ns
from cq.utils.time import DAY, HOUR, MINUTE, parse_time

TEXT = (Path(__file__).parents[1] / "docs" / "sql.md").read_text()
SHELL = Path(sysconfig.get_path("scripts")) / "duckdb"
SINCE = parse_time("2024-01-01")
WHO = {"symbol": pl.lit("BTC-BRL"), "exchange": pl.lit("mercadobitcoin")}
QUESTIONS = {
    int(number): (title, body)
    for number, title, body in re.findall(
        r"^### (\d+)\. (.+?)$(.*?)(?=^##|\Z)", TEXT, flags=re.MULTILINE | re.DOTALL
    )
}


def query(number: int) -> str:
    (found,) = re.findall(r"^```sql\n(.*?)^```$", QUESTIONS[number][1], re.MULTILINE | re.DOTALL)
    return str(found).rstrip().removesuffix(";")


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Two months of hours of three symbols with a hole, trades, books, fills, a run."""
    folder, chance = tmp_path_factory.mktemp("asked"), Random(1)
    lake, yesterday = Lake(folder / "lake"), now_ns() - DAY
    for number, symbol in enumerate(("BTC-BRL", "ETH-BRL", "SOL-BRL")):
        walk = pl.Series([chance.gauss(0, 0.01) for _ in range(1464)]).cum_sum().exp() * 100
        hours = makers.hourly(symbol, walk.to_list(), start=SINCE).with_columns(
            high=pl.col("high") * 1.01, exchange=WHO["exchange"], interval=pl.lit("1h")
        )
        kept = hours.filter(pl.col("ts") // HOUR % 97 > number)
        asked = (SINCE, SINCE + 1464 * HOUR)
        lake.write("ohlcv", kept, source="exchange", now_ns=yesterday, asked=asked)
        said = {
            "dataset": "ohlcv", "symbol": symbol, "exchange": "mercadobitcoin", "interval": "1h",
            "start_ts": asked[0], "end_ts": asked[1], "rows": kept.height, "asked_ts": yesterday,
            "source": "exchange",
        }  # fmt: skip
        lake.write("coverage", pl.DataFrame([said]), source="exchange", now_ns=yesterday)
    times = [SINCE + i * 7 * MINUTE for i in range(400)]
    trades = {
        "ts": times, "price": [100 + chance.random() for _ in times],
        "size": [chance.random() for _ in times],
        "side": [chance.choice(("buy", "sell")) for _ in times],
        "trade_id": [f"{i:04}" for i in range(400)],
    }  # fmt: skip
    lake.write("trades", pl.DataFrame(trades).with_columns(**WHO), source="t", now_ns=yesterday)
    books = [
        {
            "ts": SINCE + i * 30 * MINUTE,
            "bids": [{"price": 99.9 - i / 1000, "size": 1.0}, {"price": 99.0, "size": 2.0}],
            "asks": [{"price": 100.1 + i / 1000, "size": 3.0}],
        }
        for i in range(96)
    ]
    lake.write(
        "orderbook_l2", pl.DataFrame(books).with_columns(**WHO), source="t", now_ns=yesterday
    )
    fills = pl.DataFrame({
        "ts": [SINCE + HOUR + 5, SINCE + 9 * HOUR], "fill_id": ["1", "2"], "side": ["buy", "sell"],
        "price": [101.0, 99.0], "size": [2.0, 0.5], "fee": [1.0, 0.2], "symbol": ["BTC-BRL"] * 2,
        "exchange": ["paper-1"] * 2,
    })  # fmt: skip
    lake.write("fills", fills, source="t", now_ns=yesterday)
    makers.run_folder(folder / "runs", "tried", sharpe=1.5, total_return=0.1, max_dd=-0.2)
    makers.run_folder(folder / "runs", "better", sharpe=2.5)
    config = folder / "runs/better/config.json"
    read = sorted(p.relative_to(lake.root).as_posix() for p in lake.files("BTC-BRL", "1h"))
    config.write_text(json.dumps(json.loads(config.read_text()) | {"data": {"files": read}}))
    assert lake.refresh_catalog()
    return lake


@pytest.fixture(scope="module")
def answers(lake) -> dict[int, pl.DataFrame]:
    return {number: lake.sql(query(number)) for number in QUESTIONS}


def test_there_are_twenty_questions_each_with_its_sentence_and_what_it_shows():
    assert list(QUESTIONS) == list(range(1, 21))
    for title, body in QUESTIONS.values():
        before, after = re.split(r"^```sql\n.*?^```$", body, flags=re.MULTILINE | re.DOTALL)
        assert title.endswith("?")
        assert before.strip().endswith(".")
        assert after.strip().startswith("Shows ")


@pytest.mark.parametrize("number", QUESTIONS)
def test_each_question_has_an_answer(answers, number):
    assert answers[number].height > 0
    assert all(
        answers[number][name].null_count() < answers[number].height
        for name in answers[number].columns
    )


def test_an_older_command_line_gives_the_same_answers_out_of_lake_db(lake, answers):
    if not SHELL.exists():
        pytest.skip("no duckdb command line (duckdb-cli) here")
    asked = [word for number in QUESTIONS for word in ("-c", query(number) + ";")]
    done = subprocess.run(
        [SHELL, "-readonly", "-json", lake.catalog, *asked],
        capture_output=True, text=True, cwd="/", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    decoder, text, found = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        rows, end = decoder.raw_decode(text)
        found.append(rows)
        text = text[end:].strip()
    assert len(found) == len(QUESTIONS)
    for rows, (number, answer) in zip(found, answers.items(), strict=True):
        assert list(rows[0]) == answer.columns, number
        assert len(rows) == answer.height, number
        for name in answer.columns:
            if answer[name].dtype.is_float():
                theirs = [float("nan") if one[name] is None else one[name] for one in rows]
                ours = [float("nan") if one is None else one for one in answer[name].to_list()]
                assert sorted(map(str, map(rounded, theirs))) == sorted(
                    map(str, map(rounded, ours))
                )


def rounded(value: float) -> float:
    return value if math.isnan(value) else float(f"{value:.9g}")


def closes(lake: Lake, symbol: str, interval: str) -> pl.DataFrame:
    return lake.bars(symbol, interval).collect()


def test_the_answers_are_those_of_polars(lake, answers):
    daily = closes(lake, "BTC-BRL", "1d")["close"]
    percent = (100 * (daily / daily.shift() - 1)).round(2)
    assert answers[1]["percent"].to_list() == pytest.approx(percent.reverse().head(10).to_list())
    moves = [
        closes(lake, s, "1h").select("ts", pl.col("close").log().diff().alias(s))
        for s in ("BTC-BRL", "ETH-BRL")
    ]
    both = moves[0].join(moves[1], on="ts").drop_nulls()
    row = answers[3].filter(pl.col("symbol") == "BTC-BRL", pl.col("with_symbol") == "ETH-BRL")
    assert row["correlation"].item() == pytest.approx(
        both.select(pl.corr("BTC-BRL", "ETH-BRL")).item()
    )
    eth = closes(lake, "ETH-BRL", "1h")["close"]
    worst = answers[8].filter(pl.col("symbol") == "ETH-BRL")["max_drawdown"].item()
    assert worst == pytest.approx((eth / eth.cum_max() - 1).min())
    trades = lake.sql("from trades order by ts")
    hours = trades.group_by(pl.col("ts") // HOUR, maintain_order=True).agg(
        vwap=pl.col("price").dot("size") / pl.col("size").sum()
    )
    assert answers[11]["vwap"].to_list() == pytest.approx(hours["vwap"].to_list())
    mids = lake.sql("select ts, mid from book_top order by ts").with_columns(age=pl.col("ts"))
    met = trades.join_asof(mids, on="ts").with_columns(
        bps=10_000 * (pl.col("price") / pl.col("mid") - 1).abs(), hour=pl.col("ts") // HOUR % 24
    )
    by_hour = met.group_by("hour", "side").agg(
        n=pl.len(), bps=pl.col("bps").mean(), age=(pl.col("ts") - pl.col("age")).max() / 1e9
    ).sort("hour", "side")  # fmt: skip
    assert answers[14]["trades"].to_list() == by_hour["n"].to_list()
    assert answers[14]["from_mid_bps"].to_list() == pytest.approx(by_hour["bps"].to_list())
    assert answers[14]["oldest_book_s"].to_list() == pytest.approx(by_hour["age"].to_list())
    assert answers[15]["cost_bps"].to_list() == pytest.approx([100.0, 100.0], rel=0.02)
    assert answers[16].select("size", "average_cost", "fees").row(0) == (1.5, 101.0, 1.2)
    assert answers[17]["run"].to_list() == ["better", "tried"]
    assert answers[17]["tried"].to_list() == [2, 2]
    behind = answers[18].filter(pl.col("run") == "better")
    assert behind["rows"].sum() == closes(lake, "BTC-BRL", "1h").height
    assert set(behind["source"]) == {"exchange"}
    assert answers[19]["was_asked_for"].all()
    assert answers[19].filter(pl.col("symbol") == "SOL-BRL")["hours"].to_list() == [3] * 15
    assert answers[20]["rows"].sum() == lake.sql("select count(*) from bars").item()
