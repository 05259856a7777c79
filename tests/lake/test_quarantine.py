"""A damaged file goes out of the way, the rest is readable, and what it held counts as lost."""

import os

import polars as pl
import pytest

from cq.cli.main import run
from cq.errors import Unreadable
from cq.ingest.backfill import backfill
from cq.ingest.coverage import covered, first_gap
from cq.lake import Lake, parquet
from cq.lake.quarantine import FAR, calendar_range, quarantine
from cq.lake.verify import verify
from cq.utils.time import HOUR, parse_time

SINCE = parse_time("2024-01-01")
ME = ("ohlcv", "mercadobitcoin", "BTC-BRL", "1h")


def files(lake: Lake, dataset: str = "ohlcv") -> list:
    return [part.path for part in lake.layouts[dataset].files(lake.root)]


def flipped(path, at=200):
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def asked(lake: Lake, start, end, now, *, dataset="ohlcv", interval="1h", symbol="BTC-BRL"):
    rows = {
        "dataset": [dataset],
        "exchange": ["mercadobitcoin"],
        "symbol": [symbol],
        "interval": [interval],
        "start_ts": [start],
        "end_ts": [end],
        "rows": [1],
        "asked_ts": [now],
        "source": ["t"],
    }
    lake.write("coverage", pl.DataFrame(rows), source="t", now_ns=now)


def sent_away(lake: Lake, now=100):
    return quarantine(lake, verify(lake).damaged, now_ns=now)


@pytest.fixture
def full(lake, bars):
    """Two symbols in two years each."""
    for symbol in ("BTC-BRL", "ETH-BRL"):
        for since in ("2023-01-01", "2024-01-01"):
            lake.write("ohlcv", bars(300, symbol, since=since), source="t", now_ns=1)
    return lake


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "footer", "other", "foreign"])
def test_the_rest_is_readable_once_the_damaged_file_is_away(full, damage):
    first, second = files(full)[:2]
    size = first.stat().st_size
    {
        "cut": lambda: os.truncate(first, size // 2),
        "empty": lambda: os.truncate(first, 0),
        "flipped": lambda: flipped(first),
        "footer": lambda: flipped(first, size - 40),
        "other": lambda: first.write_bytes(second.read_bytes()),
        "foreign": lambda: (first.parent / "mine.parquet").write_text("no Parquet"),
    }[damage]()
    (one,) = sent_away(full)
    assert (full.root / one.file).exists()
    assert one.file.startswith("quarantine/ohlcv/exchange=mercadobitcoin/symbol=BTC-BRL/")
    assert verify(full).damaged == ()
    wanted = 900 + one.saved + 300 * (damage == "foreign")
    assert one.saved == (300 if damage == "footer" else 0)
    assert full.sql("select count(*) from bars").item() == wanted
    both = full.bars(["BTC-BRL", "ETH-BRL"], "1h").collect()
    assert both.height == wanted
    view = full.sql("from quarantine")
    assert view.height == 1
    assert view["file"].item() == one.file
    assert view["asked_again"].item() == "no"


def test_what_was_known_of_a_file_when_it_was_whole_says_what_is_lost(full):
    verify(full)
    path = files(full)[2]
    os.truncate(path, 30)
    (one,) = sent_away(full)
    assert (one.rows, one.start_ts, one.end_ts) == (300, SINCE, SINCE + 300 * HOUR)


def test_a_broken_page_leaves_the_footer_to_say_what_is_lost(full):
    flipped(files(full)[2])
    (one,) = sent_away(full)
    assert (one.rows, one.start_ts, one.end_ts) == (300, SINCE, SINCE + 300 * HOUR)


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_where_nothing_tells_all_that_the_folder_may_hold_is_lost(full, damage):
    path = files(full)[2]
    if damage == "cut":
        os.truncate(path, 900)
    else:
        path.write_bytes(files(full)[3].read_bytes())
    (one,) = sent_away(full)
    assert (one.rows, one.start_ts, one.end_ts) == (None, SINCE, parse_time("2025-01-01"))


@pytest.mark.parametrize(
    ("levels", "start", "end"),
    [
        ({"YYYY": "2024"}, "2024-01-01", "2025-01-01"),
        ({"YYYY": "2024", "MM": "12"}, "2024-12-01", "2025-01-01"),
        ({"YYYY": "2024", "MM": "02", "DD": "28"}, "2024-02-28", "2024-02-29"),
        (
            {"YYYY": "2024", "MM": "02", "DD": "28", "HH": "23"},
            "2024-02-28T23:00:00",
            "2024-02-29T00:00:00",
        ),
    ],
)
def test_calendar_folders_span_what_they_say(levels, start, end):
    assert calendar_range(levels) == (parse_time(start), parse_time(end))
    assert calendar_range({}) == (0, FAR)


def test_row_groups_that_are_whole_are_saved_from_a_damaged_file(lake, bars, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 100)
    rows = bars(1000)
    lake.write("ohlcv", rows, source="t", now_ns=1)
    flipped(files(lake)[0])
    (one,) = sent_away(lake)
    assert (one.rows, one.saved) == (1000, 900)
    left = lake.bars("BTC-BRL", "1h").collect()
    assert left.height == 900
    assert left["ts"].to_list() == rows["ts"].to_list()[100:]
    assert lake.write("ohlcv", rows, source="t", now_ns=1).landed == 100
    assert lake.write("ohlcv", rows, source="t", now_ns=1).already_there == 1000


def test_nothing_is_saved_of_pages_that_have_no_checksum(lake, bars):
    lake.write("ohlcv", bars(10), source="t", now_ns=1)
    (path,) = files(lake)
    pl.read_parquet(path, hive_partitioning=False).write_parquet(path)
    (one,) = sent_away(lake)
    assert one.saved == 0


def test_rows_of_another_folder_are_not_saved_there(full):
    first, last = files(full)[0], files(full)[-1]
    first.write_bytes(last.read_bytes())
    (one,) = sent_away(full)
    assert one.saved == 0


def test_what_a_damaged_file_held_is_not_known_until_it_is_asked_for_again(full):
    asked(full, SINCE, SINCE + 1000 * HOUR, 10)
    assert covered(full, *ME) == [(SINCE, SINCE + 1000 * HOUR)]
    assert first_gap(full, *ME) == SINCE + 1000 * HOUR
    verify(full)
    os.truncate(files(full)[2], 30)
    sent_away(full, now=20)
    assert covered(full, *ME) == [(SINCE + 300 * HOUR, SINCE + 1000 * HOUR)]
    assert first_gap(full, *ME) == SINCE
    assert covered(full, "ohlcv", "mercadobitcoin", "ETH-BRL", "1h") == []
    asked(full, SINCE, SINCE + 100 * HOUR, 20)
    assert first_gap(full, *ME) == SINCE
    asked(full, SINCE, SINCE + 100 * HOUR, 21)
    assert first_gap(full, *ME) == SINCE + 100 * HOUR
    assert full.sql("select asked_again from quarantine").item() == "in part"
    asked(full, SINCE + 50 * HOUR, SINCE + 300 * HOUR, 22)
    assert covered(full, *ME) == [(SINCE, SINCE + 1000 * HOUR)]
    assert first_gap(full, *ME) == SINCE + 1000 * HOUR
    assert full.sql("select asked_again from quarantine").item() == "yes"


def test_a_loss_is_later_than_every_answer_before_it_whatever_the_clock_says(full):
    asked(full, SINCE, SINCE + 10 * HOUR, 10**18)
    flipped(files(full)[2])
    sent_away(full, now=5)
    assert covered(full, *ME) == []


def test_a_file_that_is_damaged_again_goes_beside_the_first(full, bars):
    for _ in range(2):
        flipped(files(full)[0])
        sent_away(full)
        full.write("ohlcv", bars(300, since="2023-01-01"), source="t", now_ns=1)
    names = sorted(path.name for path in (full.root / "quarantine").rglob("*.parquet"))
    assert len(names) == 2
    assert names[0].endswith(".2.parquet")
    assert full.sql("select count(*) from quarantine").item() == 2


def test_a_damaged_record_of_losses_leaves_nothing_known_of_its_owner(full):
    asked(full, SINCE, SINCE + 1000 * HOUR, 10)
    asked(full, SINCE, SINCE + 1000 * HOUR, 10, symbol="ETH-BRL")
    flipped(files(full)[2])
    sent_away(full, now=20)
    (record,) = files(full, "lost")
    os.truncate(record, 40)
    sent_away(full, now=30)
    assert covered(full, *ME) == []
    assert covered(full, *ME[:2], "ETH-BRL", "1h") == [(SINCE, SINCE + 1000 * HOUR)]


def test_damaged_coverage_is_asked_again(full):
    asked(full, SINCE, SINCE + 1000 * HOUR, 10)
    os.truncate(files(full, "coverage")[0], 40)
    with pytest.raises(Unreadable, match="cq lake verify --quarantine"):
        covered(full, *ME)
    sent_away(full)
    assert covered(full, *ME) == []


def test_a_file_that_became_whole_meanwhile_stays(full):
    path = files(full)[0]
    flipped(path)
    damaged = verify(full).damaged
    flipped(path)
    assert quarantine(full, damaged, now_ns=1) == []
    path.unlink()
    assert quarantine(full, damaged, now_ns=1) == []
    assert not (full.root / "quarantine").exists()


def test_a_damaged_anchor_is_made_anew(full):
    anchor = full.root / full.layouts["trades"].anchor()
    os.truncate(anchor, 20)
    assert sent_away(full) == []
    assert verify(full).damaged == ()
    assert full.sql("select count(*) from trades").item() == 0


def test_a_damaged_file_in_the_quarantine_is_not_blamed_for_others(full, bars):
    flipped(files(full)[0])
    sent_away(full)
    os.truncate(files(full)[0], 900)
    with pytest.raises(Unreadable) as caught:
        full.sql("from bars")
    assert "quarantine" not in str(caught.value.path)


def test_ingest_brings_the_rows_of_a_damaged_file_back(lake, exchange):
    import exchange as market

    end = parse_time("2026-02-01")
    exchange.clock = lambda: end + 5 * HOUR
    numbers = [n for n in range(900) if n % 7]
    exchange.markets["BTC-BRL", "1h"] = market.bars(end - 900 * HOUR, HOUR, numbers)

    def fetched(now):
        client = exchange.market()
        (report,) = backfill(
            lake, client, ["BTC-BRL"], "1h", end - 900 * HOUR, end, now_ns=now, page_bars=200
        )
        return report

    fetched(end + HOUR)
    right = lake.bars("BTC-BRL", "1h").collect()
    assert right.height == len(numbers)
    assert fetched(end + 2 * HOUR).requests == 0
    os.truncate(files(lake)[0], 900)
    with pytest.raises(Unreadable):
        lake.sql("from bars")
    sent_away(lake, now=end + 3 * HOUR)
    assert lake.bars("BTC-BRL", "1h").collect().height < right.height
    assert fetched(end + 4 * HOUR).landed
    assert lake.bars("BTC-BRL", "1h").collect().equals(right)
    assert fetched(end + 5 * HOUR).requests == 0


@pytest.fixture
def project(tmp_path, bars, monkeypatch):
    assert run(["init", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", bars(300), source="t", now_ns=1)
    return lake


def test_the_command_names_damage_moves_it_away_and_says_what_to_do(project, capsys):
    assert run(["lake", "verify"]) == 0
    assert "files looked at" in capsys.readouterr().err
    path = files(project)[0]
    flipped(path)
    assert run(["lake", "verify"]) == 1
    said = capsys.readouterr()
    assert path.name in said.out
    assert "cq lake verify --quarantine" in said.err
    assert run(["lake", "verify", "--quarantine"]) == 0
    said = capsys.readouterr()
    assert "quarantine/ohlcv" in said.out
    assert "cq lake ingest" in said.err
    assert run(["lake", "verify"]) == 0
    assert run(["lake", "sql", "select file from quarantine"]) == 0


def test_the_command_as_json(project, capsys):
    import json

    flipped(files(project)[0])
    assert run(["lake", "verify", "BTC-BRL", "--dataset", "ohlcv", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["files"], len(found["damaged"]), found["quarantined"]) == (1, 1, [])
    assert run(["lake", "verify", "--quarantine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (len(found["damaged"]), found["quarantined"][0]["rows"]) == (0, 300)


def test_an_empty_lake_has_no_damage(tmp_path, monkeypatch, capsys):
    assert run(["init", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    assert run(["lake", "verify"]) == 0
    assert run(["lake", "verify", "--quarantine"]) == 0
