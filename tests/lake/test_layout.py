import os
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.errors import ConfigError
from cq.lake.datasets import DATASETS
from cq.lake.layout import DEFAULT_PARTITIONS, Layout
from cq.lake.rules import INTERVAL, PLAIN_NAME, SYMBOL
from cq.lake.template import calendar, safe
from cq.utils.resources import resource_root
from cq.utils.time import DAY, HOUR, parse_time

SPEC = "{dataset}/{symbol}/{YYYY}/{MM}/{DD}/file-{HHmmss}.parquet"
WHO = {"exchange": "x", "symbol": "BTC-BRL", "interval": "1h"}
TEMPLATES = [*DEFAULT_PARTITIONS.values(), SPEC]


def layout(template: str) -> Layout:
    return Layout(template.split("/")[0].replace("{dataset}", "ohlcv"), template)


def touch(root: Path, one: Layout, *moments: str, **who: str) -> None:
    for moment in moments:
        ts = parse_time(moment)
        path = root / one.folder(WHO | who, ts) / one.file_name(ts, "0123456789ab")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_defaults_are_those_of_the_settings():
    shipped = yaml.safe_load((resource_root() / "configs/default.yaml").read_text())["partitions"]
    assert {name: one["path"] for name, one in shipped.items()} == DEFAULT_PARTITIONS
    assert {name: one["keys"] for name, one in shipped.items()} == {
        name: Layout(name, template).fields for name, template in DEFAULT_PARTITIONS.items()
    }
    assert set(DEFAULT_PARTITIONS) == set(DATASETS)


def test_a_template_becomes_a_folder_and_a_file_name():
    one = layout(DEFAULT_PARTITIONS["ohlcv"])
    ts = parse_time("2024-03-05T07:08:09")
    assert one.folder(WHO, ts) == Path("ohlcv/exchange=x/symbol=BTC-BRL/interval=1h/year=2024")
    assert one.file_name(ts, "abc") == "file-070809-abc.parquet"
    assert layout(SPEC).folder(WHO, ts) == Path("ohlcv/BTC-BRL/2024/03/05")


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("ohlcv/{coin}/x.parquet", "unknown {coin}"),
        ("bars/{symbol}/x.parquet", "start with the folder ohlcv/"),
        ("ohlcv/{symbol}/x.csv", "ending in .parquet"),
        ("ohlcv/../{symbol}/x.parquet", "relative path"),
        ("ohlcv/{HHmmss}/x.parquet", "belongs into the file's name"),
        ("ohlcv/{MM}/{YYYY}/x.parquet", "out of order"),
        ("ohlcv/{DD}/x.parquet", "out of order"),
        ("x.parquet", "start with the folder"),
        ("ohlcv/{symbol}/{symbol}/x.parquet", "{symbol} twice"),
        ("ohlcv/a={symbol}/A={exchange}/x.parquet", "two folders that are named A="),
        ("ohlcv/symbol={exchange}/exchange={symbol}/x.parquet", "but the column symbol of ohlcv"),
        ("ohlcv/{symbol}/date={YYYY}/ts={MM}/x.parquet", "but the column ts of ohlcv holds some"),
        ("ohlcv/open={symbol}/x.parquet", "but the column open of ohlcv holds something else"),
        ("ohlcv/Symbol={symbol}/x.parquet", "but the column Symbol of ohlcv holds something else"),
    ],
)
def test_a_template_that_cannot_work_is_refused_by_name(template, problem):
    with pytest.raises(ConfigError, match=r"partitions\.ohlcv\.path: .*" + problem):
        Layout("ohlcv", template)


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("{exchange}{symbol}", "exchange x and symbol BTC-BRL make xBTC-BRL"),
        ("{symbol}{interval}", "symbol BTC-BRL and interval 15m make BTC-BRL15m"),
        ("{exchange}{interval}", "exchange x and interval 15m make x15m"),
        ("{symbol}{exchange}", "make BTC-BRLA_b.2"),
        ("{exchange}Z{symbol}", "exchange x and symbol AZZB-CZZD make xZAZZB-CZZD"),
    ],
)
def test_fields_that_cannot_be_told_apart_in_one_folder_are_refused(level, said):
    with pytest.raises(ConfigError, match=f"does not read back: .*{said}") as refused:
        Layout("ohlcv", f"ohlcv/{level}/{{YYYY}}/x.parquet")
    assert str(refused.value).endswith("give each a folder of its own")


def test_a_dataset_is_filed_only_by_what_its_own_rows_tell():
    with pytest.raises(ConfigError, match="by which coverage cannot be told apart; there is"):
        Layout("coverage", "coverage/{symbol}/interval={interval}/x.parquet")
    with pytest.raises(ConfigError, match="has the folder dataset=lost, but the column dataset"):
        Layout("lost", "lost/dataset={dataset}/{symbol}/x.parquet")
    with pytest.raises(ConfigError, match="does not read back"):
        Layout("rejected", "rejected/{exchange}-{symbol}/x.parquet")  # its symbols may be any text


@pytest.mark.parametrize(
    "levels",
    [
        "day={YYYY}{MM}{DD}",
        "{symbol}{YYYY}{MM}{DD}{HH}",
        "{symbol}-{YYYY}-{MM}",
        "{symbol}/{YYYY}0{MM}",
        "{exchange}-{symbol}-{interval}/{YYYY}",
        "{interval}-{YYYY}{MM}/{symbol}_{exchange}",
        "{dataset}-{symbol}/{YYYY}",
    ],
)
def test_several_fields_of_one_folder_read_back(levels):
    one = Layout("ohlcv", f"ohlcv/{levels}/x.parquet")

    @given(
        exchange=st.from_regex(PLAIN_NAME, fullmatch=True),
        symbol=st.from_regex(SYMBOL, fullmatch=True),
        interval=st.from_regex(INTERVAL, fullmatch=True),
        ts=st.integers(0, 2**62),
    )
    def holds(exchange, symbol, interval, ts):
        values = {**calendar(ts), "exchange": exchange, "symbol": symbol, "interval": interval}
        assert one.told(one.folder(values, ts)) == {name: values[name] for name in one.fields}

    holds()


def test_folders_that_are_all_named_give_columns_to_a_query():
    assert layout(DEFAULT_PARTITIONS["trades"]).hive == {
        "exchange": "exchange",
        "symbol": "symbol",
        "year": "YYYY",
        "month": "MM",
    }
    assert layout(SPEC).hive == {}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_range_names_the_files_that_can_hold_it(tmp_path, template):
    one = layout(template)
    touch(tmp_path, one, "2023-12-31T23:00", "2024-01-01T00:00", "2024-01-02", "2025-06-01")
    everything = one.files(tmp_path, WHO)
    assert len(everything) == len(one.files(tmp_path)) > 0
    assert [part.when for part in everything] == sorted(part.when for part in everything)
    some = one.files(tmp_path, WHO, parse_time("2024-01-02"), parse_time("2024-01-03"))
    assert {part.when for part in some} == {(2024, 1, 2)[: one.depth]}


def test_the_end_of_a_range_is_not_part_of_it(tmp_path):
    one = layout(DEFAULT_PARTITIONS["ohlcv"])
    touch(tmp_path, one, "2024-05-05", "2025-05-05")
    until = one.files(tmp_path, WHO, 0, parse_time("2025-01-01"))
    assert [part.when for part in until] == [(2024,)]


@pytest.mark.parametrize("template", TEMPLATES)
def test_only_the_owners_own_files_are_named(tmp_path, template):
    one = layout(template)
    touch(tmp_path, one, "2024-05-05")
    touch(tmp_path, one, "2024-05-05", symbol="ETH-BRL")
    assert len(one.files(tmp_path)) == 2
    assert len(one.files(tmp_path, WHO)) == 1
    assert one.files(tmp_path, WHO | {"symbol": "SOL-BRL"}) == []


def test_owners_come_from_folder_names(tmp_path):
    one = layout(DEFAULT_PARTITIONS["ohlcv"])
    touch(tmp_path, one, "2024-05-05", "2025-05-05")
    touch(tmp_path, one, "2024-05-05", symbol="ETH-BRL", interval="1m")
    assert one.owners(tmp_path) == [WHO, WHO | {"symbol": "ETH-BRL", "interval": "1m"}]
    touch(tmp_path, layout(SPEC), "2024-05-05")


@pytest.mark.parametrize("template", TEMPLATES)
def test_anchors_temporaries_and_strange_folders_are_nobodys_files(tmp_path, template):
    one = layout(template)
    anchor = tmp_path / one.anchor()
    anchor.parent.mkdir(parents=True)
    anchor.touch()
    folder = tmp_path / one.folder(WHO, 0)
    folder.mkdir(parents=True)
    (folder / "file-000000-0123456789ab.77.parquet.tmp").touch()
    (tmp_path / one.dataset / "notes").mkdir(exist_ok=True)
    (tmp_path / one.dataset / "stray.txt").touch()
    assert one.files(tmp_path) == []
    assert one.owners(tmp_path) == []


def test_a_lake_that_is_not_there_has_no_files(tmp_path):
    assert layout(SPEC).files(tmp_path / "nowhere") == []


@settings(deadline=None)
@given(
    first=st.integers(0, 4 * 365 * DAY),
    length=st.integers(0, 400 * DAY),
    template=st.sampled_from(["{YYYY}", "{YYYY}/{MM}", "{YYYY}/{MM}/{DD}", "all"]),
)
def test_between_two_cuts_all_rows_share_a_folder(first, length, template):
    one = Layout("ohlcv", f"ohlcv/{template}/x-{{HHmmss}}.parquet")
    cuts = one.cuts(first, first + length)
    edges = [first, *cuts, first + length + 1]
    assert edges == sorted(set(edges))
    for start, end in pairwise(edges):
        assert one.folder(WHO, start) == one.folder(WHO, end - 1)
    for cut in cuts:
        assert one.folder(WHO, cut) != one.folder(WHO, cut - 1)


def test_hours_may_be_folders_too():
    one = Layout("trades", "trades/{symbol}/{YYYY}/{MM}/{DD}/{HH}/x.parquet")
    assert one.cuts(0, 2 * HOUR) == [HOUR, 2 * HOUR]
    assert one.folder(WHO, 2 * HOUR) == Path("trades/BTC-BRL/1970/01/01/02")


@given(st.text())
def test_any_text_becomes_a_harmless_folder_name(text):
    name = safe(text)
    assert "/" not in name
    assert not name.startswith(".")
    assert 0 < len(name) <= 64


def test_nothing_and_nonsense_are_called_unknown():
    assert [safe(None), safe(".."), safe("a/b"), safe("BTC-BRL")] == ["unknown"] * 3 + ["BTC-BRL"]


def test_only_names_with_a_digest_are_trusted_to_be_in_order(tmp_path):
    one = layout(DEFAULT_PARTITIONS["ohlcv"])
    touch(tmp_path, one, "2024-05-05")
    (tmp_path / one.folder(WHO, parse_time("2024-05-05")) / "mine.parquet").touch()
    assert [part.is_ours for part in one.files(tmp_path)] == [True, False]


def test_owners_of_one_symbol_need_no_look_at_others(tmp_path):
    one = layout(DEFAULT_PARTITIONS["ohlcv"])
    touch(tmp_path, one, "2024-05-05")
    touch(tmp_path, one, "2024-05-05", symbol="ETH-BRL")
    assert one.owners(tmp_path, {"symbol": "BTC-BRL"}) == [WHO]
    assert one.owners(tmp_path, {"symbol": "SOL-BRL"}) == []


@pytest.mark.parametrize("template", [one for one in TEMPLATES if "{YYYY}" in one])
def test_the_folder_of_one_year_is_named_and_not_looked_for(tmp_path, template, monkeypatch):
    one = layout(template)
    touch(tmp_path, one, "2023-05-05", "2024-05-05", "2024-06-05", "2025-05-05")
    asked = WHO, parse_time("2024-02-01"), parse_time("2024-12-31")
    wanted = [part for part in one.files(tmp_path, WHO) if part.when[0] == 2024]
    looked: list[str] = []
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: looked.append(str(path)) or listed(path))
    assert one.files(tmp_path, *asked) == wanted
    assert all("2024" in path for path in looked)
    assert one.files(tmp_path, WHO, parse_time("2022-02-01"), parse_time("2022-12-31")) == []


def test_a_month_that_another_program_wrote_without_its_zero_is_found(tmp_path):
    one = layout(DEFAULT_PARTITIONS["trades"])
    folder = tmp_path / "trades/exchange=x/symbol=BTC-BRL/year=2024/month=5"
    folder.mkdir(parents=True)
    (folder / "theirs.parquet").touch()
    start, end = parse_time("2024-05-05"), parse_time("2024-05-06")
    assert [part.when for part in one.files(tmp_path, WHO, start, end)] == [(2024, 5)]
