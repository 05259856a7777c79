"""`cq lake status`, `sql` and `quality`, as typed."""

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from cq.cli.lake import COMMANDS
from cq.cli.lake_sql import csv, exact
from cq.cli.lake_status import size, span
from cq.cli.main import run
from cq.lake import Lake
from cq.utils.time import DAY, HOUR, MINUTE, SECOND, parse_time


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lake(project):
    hours = parse_time("2024-01-01") + pl.int_range(48, eager=True) * HOUR
    rows = pl.DataFrame({"ts": hours}).with_columns(
        open=pl.lit(2.0),
        high=pl.lit(3.0),
        low=pl.lit(1.0),
        close=pl.lit(2.5),
        volume=pl.lit(0.000012),
        symbol=pl.lit("BTC-BRL"),
        exchange=pl.lit("mercadobitcoin"),
        interval=pl.lit("1h"),
    )
    lake = Lake(project / "lake")
    lake.write("ohlcv", rows, source="test", now_ns=1)
    return lake


def said(capsys) -> str:
    return capsys.readouterr().out


def test_status_of_an_empty_lake_says_what_to_type_next(project, capsys):
    assert run(["lake", "status"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "cq lake import PATH" in shown.err
    assert (project / "lake.db").exists()


def test_files_say_where_their_rows_come_from(lake, capsys):
    assert run(["lake", "files", "BTC-BRL", "--json"]) == 0
    (one,) = json.loads(said(capsys))["files"]
    assert (one["rows"], one["source"], one["ingested_ts"]) == (48, "test", 1)
    assert (lake.root / one["path"]).stat().st_size == one["bytes"]
    assert run(["lake", "files"]) == 0
    assert "1970-01-01 00:00" in said(capsys)
    assert run(["lake", "files", "BTC-BRL", "--dataset", "trades"]) == 0
    assert "no such file of trades" in capsys.readouterr().err
    assert run(["lake", "files", "ETH-BRL"]) == 3
    assert "no ETH-BRL here; there is BTC-BRL; `cq lake status`" in capsys.readouterr().err


def test_status_shows_each_series(lake, capsys):
    assert run(["lake", "status"]) == 0
    assert re.search(r"ohlcv +mercadobitcoin +BTC-BRL +1h +2024-01-01 00:00", said(capsys))
    assert run(["lake", "status", "--json"]) == 0
    found = json.loads(said(capsys))
    assert found["lake"] == str(lake.root)
    assert found["series"][0]["rows"] == 48


def test_sql_answers_in_a_table_json_and_csv(lake, capsys):
    query = "select symbol, ts, volume, 1.5 as d from bars order by ts limit 1"
    assert run(["lake", "sql", query]) == 0
    assert re.search(r"BTC-BRL +1704067200000000000 +1\.2e-05 +1\.5", said(capsys))
    assert run(["lake", "sql", "--json", query]) == 0
    assert json.loads(said(capsys)) == [
        {"symbol": "BTC-BRL", "ts": 1704067200000000000, "volume": 1.2e-05, "d": 1.5}
    ]
    assert run(["lake", "sql", "--csv", "select symbol, ts from bars order by ts limit 1"]) == 0
    assert said(capsys) == "symbol,ts\nBTC-BRL,1704067200000000000\n"


def test_bytes_are_told_in_hexadecimal(project, capsys):
    assert run(["lake", "sql", "--csv", "select '\\xAB1'::blob as b"]) == 0
    assert said(capsys) == "b\nab31\n"


def test_sql_works_before_the_first_row(project, capsys):
    assert run(["lake", "sql", "--json", "select count(*) as n from bars"]) == 0
    assert json.loads(said(capsys)) == [{"n": 0}]


def test_a_wrong_question_ends_in_one_line_and_exit_2(project, capsys):
    assert run(["lake", "sql", "selec 1"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert shown.err.startswith("cq: sql: ")
    assert run(["lake", "sql", "--json", "--csv", "select 1"]) == 2


def test_quality_finds_nothing_wrong_in_whole_data(lake, capsys):
    assert run(["lake", "quality"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"missing_bars +error +0", shown.out)
    assert "quality_report.json" in shown.err


@pytest.mark.parametrize(
    ("command", "what"),
    [("status", "nothing"), ("quality", "nothing"), ("gaps", "no bars"), ("repair", "no bars"),
     ("repair --dry-run", "no bars")],
)  # fmt: skip
def test_a_lake_without_a_row_is_not_called_whole(project, capsys, command, what):
    Lake(project / "lake").prepare()
    assert run(["lake", *command.split()]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"{what} in {project / 'lake'} yet; fetch some with `cq lake ingest")
    assert "no bar is missing" not in said


def test_quality_says_that_a_report_of_less_is_not_kept(lake, capsys):
    assert run(["lake", "quality"]) == 0
    capsys.readouterr()
    assert run(["lake", "quality", "BTC-BRL", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["report"] is None
    assert "not kept: the day's looked at more; `cq lake quality` renews it" in shown.err


def test_quality_ends_in_exit_1_when_something_is_wrong(lake, capsys):
    late = (
        lake.bars("BTC-BRL", "1h")
        .collect()
        .tail(1)
        .with_columns(pl.col("ts") + 7 * HOUR, interval=pl.lit("1h"))
    )
    lake.write("ohlcv", late, source="test", now_ns=1)
    assert run(["lake", "quality", "--json"]) == 1
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["errors"] == 6
    assert "6 rows at fault: missing_bars" in shown.err
    assert json.loads(Path(report["report"]).read_text())["errors"] == 6
    assert run(["lake", "quality", "BTC-BRL", "--since", "2024-02-01"]) == 0
    assert run(["lake", "quality", "ETH-BRL"]) == 3


def test_a_finding_that_says_nothing_of_itself_is_one_and_not_called_none(lake, project, capsys):
    (project / "sql/checks").mkdir(parents=True)
    nulls = ", ".join(f"null as {one}" for one in ("exchange", "symbol", "interval", "ts", "rows"))
    (project / "sql/checks/odd.sql").write_text(
        f"-- One row per run.\ncreate or replace view odd as select {nulls}, null as detail;"
    )
    assert run(["lake", "quality", "--check", "odd"]) == 1
    shown = capsys.readouterr()
    assert re.search(r"odd +error +1", shown.out)
    assert "None" not in shown.out
    assert "1 rows at fault: odd" in shown.err


def test_the_projects_own_checks_run_too(lake, project, capsys):
    (project / "sql/checks").mkdir(parents=True)
    (project / "sql/checks/cheap.sql").write_text(
        "-- One row per bar below 10.\n-- severity: warn\ncreate or replace view cheap as\n"
        "select exchange, symbol, interval, ts, 1 as rows, 'cheap' as detail from bars;"
    )
    assert run(["lake", "quality"]) == 0
    assert re.search(r"cheap +warn +48 +BTC-BRL", said(capsys))


def test_a_lake_db_that_is_open_elsewhere_is_left_alone_and_said(
    lake, project, capsys, monkeypatch
):
    monkeypatch.setattr("cq.lake.lake.Lake.refresh_catalog", lambda _: False)
    assert run(["lake", "status"]) == 0
    assert "open elsewhere" in capsys.readouterr().err


def test_every_command_of_the_group_has_a_line():
    assert {"ingest", "stream", "record", "replay", "import", "quality", "status", "files"} < set(
        COMMANDS
    )
    assert list(COMMANDS)[-1] == "sql"
    assert all(line.endswith(".") for _, line in COMMANDS.values())


def test_help_of_the_group_imports_nothing_heavy():
    code = (
        "import sys; from cq.cli.main import run; run(['lake', '--help']); "
        "sys.exit(any(m in sys.modules for m in ('polars', 'duckdb', 'pyarrow', 'rich')))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_sizes_and_spans_are_for_people():
    assert [size(one) for one in (0, 999, 1500, 2_340_000, 5 * 10**9)] == [
        *("0 B", "999 B", "1.5 kB", "2.34 MB", "5.0 GB"),
    ]
    assert [span(one) for one in (3 * SECOND, 5 * MINUTE, 47 * HOUR, 49 * HOUR, 3 * DAY)] == [
        *("3 s", "5 min", "47 h", "2 d", "3 d"),
    ]


def test_nothing_is_lost_in_text():
    answer = pl.DataFrame({"n": [1, 10], "x": [1e-7, None], "l": [[1, 2], []], "b": [True, False]})
    assert exact(answer) == [["1", "1e-07", "1, 2", "true"], ["10", "–", "none", "false"]]
    assert csv(answer.drop("b")) == 'n,x,l\n1,1e-7,"[1, 2]"\n10,,[]\n'


def test_no_digit_of_large_numbers_and_nanoseconds_is_lost(lake, capsys):
    stamp = "timestamp_ns '2024-01-01 00:00:00.123456789'"
    query = (
        f"select 12345678901234567.89::decimal(20, 2) as d, sum(ts::hugeint * 1000) as s, "
        f"{stamp} as t, {{'a': [{stamp}], 'b': 0.10}} as n, min(time) as first from bars"
    )
    assert run(["lake", "sql", "--json", query]) == 0
    (row,) = json.loads(said(capsys), parse_float=Decimal)
    total = sum(Lake("lake").sql("select ts from bars")["ts"].to_list()) * 1000
    assert (row["d"], row["s"]) == (Decimal("12345678901234567.89"), total)
    assert row["t"] == "2024-01-01 00:00:00.123456789"
    assert row["n"] == {"a": [row["t"]], "b": Decimal("0.10")}
    assert row["first"] == "2024-01-01 00:00:00"
    for way in ([], ["--csv"]):
        assert run(["lake", "sql", query, *way]) == 0
        shown = said(capsys)
        assert shown.count(".123456789") == 2
        assert "12345678901234567.89" in shown
        assert str(total) in shown


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_a_terminal_never_sees_a_broken_number_symbol_or_date(lake, capsys, monkeypatch, columns):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in (
        ["status"],
        ["quality"],
        ["sql", "select *, [1, 2] as l from bars order by ts limit 3"],
    ):
        assert run(["lake", *arguments]) == 0
        shown = said(capsys)
        assert all(len(line) <= columns and line == line.rstrip() for line in shown.splitlines())
        if arguments[0] == "status":
            assert re.search(r"2024-01-01 00:00\b.*2024-01-02 23:00", shown, re.DOTALL)
            assert shown.startswith("dataset   ohlcv" if columns < 110 else "dataset  exchange")
        elif arguments[0] == "sql":
            assert shown.count("1704067200000000000") == 1
            assert shown.count("BTC-BRL") == 3
            assert "1, 2" in shown


def test_a_report_that_cannot_be_kept_does_not_hide_the_table(lake, project, capsys):
    (lake.root / "quality").write_text("")
    assert run(["lake", "quality"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"missing_bars +error +0", shown.out)
    assert shown.err.startswith("cq: the report was not kept: cannot write to")
    assert shown.err.count("\n") == 1
    assert run(["lake", "quality", "--json"]) == 0
    assert json.loads(said(capsys))["report"] is None


def test_a_damaged_file_is_one_line_and_exit_3(lake, capsys):
    (path,) = lake.files("BTC-BRL", "1h")
    os.truncate(path, 900)
    for arguments in (["status"], ["quality"], ["sql", "select max(close) from bars"]):
        assert run(["lake", *arguments]) == 3, arguments
        error = capsys.readouterr().err
        assert str(path) in error
        assert error.count("\n") == 1


def test_a_lake_db_that_cannot_be_written_fails_no_command(lake, project, capsys):
    (project / "lake.db").mkdir()
    assert run(["lake", "status"]) == 0
    assert "lake.db stays as it is" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["gaps", "quality", "files", "verify", "compact", "vacuum", "repair --dry-run"]
)
def test_what_looks_at_a_lake_that_is_not_there_says_so_and_begins_none(
    tmp_path, monkeypatch, capsys, command
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "default.yaml").write_text("data_root: typo\n")
    assert run(["lake", *command.split()]) == 3
    assert f"no lake at {tmp_path}/typo; correct data_root" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["configs"]
