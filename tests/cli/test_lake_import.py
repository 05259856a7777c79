import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import cq
from cq.cli.app import App
from cq.cli.lake_import import DATASETS, import_
from cq.cli.main import run
from cq.ingest import files

DEFAULTS = Path(cq.__file__).parents[1] / "configs" / "default.yaml"
BARS = "ts,open,high,low,close,volume\n" + "".join(
    f"{1_700_000_000 + 60 * n},10,12,9,11,{n}\n" for n in range(3)
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    (folder / "configs").mkdir(parents=True)
    shutil.copy(DEFAULTS, folder / "configs")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def bars(project):
    path = project / "BTC-USD.csv"
    path.write_text(BARS)
    return path


def lake_import(*arguments):
    return run(["lake", "import", *(str(one) for one in arguments)])


def test_the_summary_is_a_table_with_what_was_concluded_below(bars, capsys):
    assert lake_import(bars, "--dataset", "ohlcv", "--exchange", "x") == 0
    shown = capsys.readouterr().out
    for part in (
        "BTC-USD.csv",
        "named-bars",
        "imported into ohlcv",
        "ts epoch s",
        "symbol BTC-USD",
    ):
        assert part in shown
    assert "the most common step" in shown


def test_json_is_one_object_with_files_and_total(bars, capsys):
    bars.write_text(BARS + "soon,1,1,1,1,1\n")
    other = bars.with_name("ETH-USD.csv")
    other.write_text(BARS)
    assert lake_import(bars, other, "--dataset", "ohlcv", "--exchange", "x", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["total"] == {
        "read": 7, "landed": 6, "already_there": 0, "rejected": 1, "by_rule": {"ts_present": 1},
    }  # fmt: skip
    assert [one["layout"] for one in said["files"]] == ["named-bars", "named-bars"]
    assert said["skipped"] == []


def test_the_second_time_nothing_lands(bars, capsys):
    for landed in (3, 0):
        assert lake_import(bars, "--dataset", "ohlcv", "--exchange", "x", "--json") == 0
        assert json.loads(capsys.readouterr().out)["total"]["landed"] == landed


def test_rejected_rows_are_listed_by_rule(bars, capsys):
    bars.write_text(BARS + "1700009000,-1,1,1,1,1\n")
    assert lake_import(bars, "--dataset", "ohlcv", "--exchange", "x") == 0
    shown = capsys.readouterr().out
    assert "rejected by rule" in shown
    assert "prices_positive" in shown


def test_the_view_shows_what_landed(bars, project):
    lake_import(bars, "--dataset", "ohlcv", "--exchange", "x")
    lake = App(project).lake
    assert lake.scan("bars").collect().height == 3
    assert lake.catalog.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["no.csv", "--dataset", "ohlcv"], 3, "no such file: no.csv"),
        (["BTC-USD.csv", "--dataset", "ohlcv"], 3, "add --exchange NAME"),
        (["BTC-USD.csv", "--dataset", "trades"], 3, "say --dataset ohlcv"),
        (
            ["BTC-USD.csv", "--dataset", "fills"],
            2,
            "--dataset fills cannot be imported; there is ohlcv",
        ),
        (["BTC-USD.csv"], 2, "Missing option '--dataset'. Say ohlcv, trades or orderbook_l2"),
        (["--dataset", "ohlcv"], 2, "Missing argument"),
        (["BTC-USD.csv", "--dataset", "ohlcv", "--tz", "Mars"], 2, "--tz Mars is no time zone"),
        (["BTC-USD.csv", "--dataset", "ohlcv", "--at", "noon"], 2, "'noon' is not a date"),
        (["BTC-USD.csv", "--dataset", "ohlcv", "--at", ""], 2, "'' is not a date"),
        (["BTC-USD.csv", "--dataset", "ohlcv", "--layout", "x"], 2, "no layout 'x'; there is"),
        (["BTC-USD.csv", "--dataset", "ohlcv", "--mapping", "m.yaml"], 3, "no such file: m.yaml"),
    ],
)
def test_a_mistake_is_one_clear_line_and_the_documented_code(bars, capsys, arguments, code, said):
    assert lake_import(*arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.strip().count("\n") == 0


def test_one_bad_file_among_good_ones_ends_in_three_and_the_good_ones_land(bars, capsys):
    assert lake_import(bars, "no.csv", "--dataset", "ohlcv", "--exchange", "x") == 3
    out, error = capsys.readouterr()
    assert "BTC-USD.csv" in out
    assert "1 of 2 files could not be read" in error
    assert error.count("no such file") == 1


def test_a_folder_without_anything_for_the_dataset_says_so(project, capsys):
    (project / "in").mkdir()
    (project / "in" / "notes.txt").write_text("remember the milk\n")
    assert lake_import("in", "--dataset", "ohlcv") == 3
    assert "none of 1 files holds ohlcv" in capsys.readouterr().err


def test_skipped_files_of_a_folder_are_listed_apart_from_the_answer(bars, project, capsys):
    (project / "notes.txt").write_text("remember the milk\n")
    assert lake_import(project, "--dataset", "ohlcv", "--exchange", "x") == 0
    out, error = capsys.readouterr()
    assert "notes.txt" not in out
    assert "notes.txt: is in no known layout" in error


def test_many_files_show_plain_lines_of_progress_where_there_is_no_terminal(bars, capsys):
    other = bars.with_name("ETH-USD.csv")
    other.write_text(BARS)
    lake_import(bars, other, "--dataset", "ohlcv", "--exchange", "x")
    assert "2 of 2: ETH-USD.csv, 3 rows landed" in capsys.readouterr().err


def test_the_setting_timezone_holds_where_nothing_else_is_said(project, capsys):
    path = project / "BTC-USD.csv"
    path.write_text("date,open,high,low,close,volume\n2021-02-01,1,1,1,1,1\n2021-02-02,1,1,1,1,1\n")
    (project / "configs" / "local.yaml").write_text("timezone: America/Sao_Paulo\n")
    lake_import(path, "--dataset", "ohlcv", "--exchange", "x")
    opened = App(project).lake.bars("BTC-USD", "1d").collect()["ts"]
    assert pl.from_epoch(opened, "ns").dt.hour().to_list() == [3, 3]


def test_a_book_is_dated_by_hand(project, capsys):
    path = project / "book.json"
    path.write_text('{"asks": [[11, 1]], "bids": [[10, 1]]}')
    arguments = (path, "--dataset", "orderbook_l2", "--symbol", "BTC-BRL")
    assert lake_import(*arguments) == 3
    assert "--at TIME" in capsys.readouterr().err
    assert lake_import(*arguments, "--at", "2026-01-31T12:00:00Z") == 0


def test_help_and_library_know_the_same_datasets():
    assert DATASETS.strip("[]").split("|") == list(files.DATASETS)
    shown = CliRunner().invoke(import_, ["--help"]).output
    for option in ("--symbol", "--mapping", "--layout", "--at", "--depth", "six-columns"):
        assert option in shown


def test_a_row_that_breaks_several_rules_is_explained(bars, capsys):
    bars.write_text(BARS + "1700009000,-1,1,1,1,-1\n")
    lake_import(bars, "--dataset", "ohlcv", "--exchange", "x")
    assert "a row may break several rules" in capsys.readouterr().out
    bars.write_text(BARS + "1700009000,1,1,1,1,-1\n")
    lake_import(bars, "--dataset", "ohlcv", "--exchange", "x")
    assert "several rules" not in capsys.readouterr().out


def test_repeats_of_the_file_and_what_came_before_are_told_apart(bars, capsys):
    bars.write_text(BARS + BARS.splitlines()[1] + "\n")
    lake_import(bars, "--dataset", "ohlcv", "--exchange", "x")
    assert "1 row repeats another of the file" in capsys.readouterr().out
    bars.write_text(BARS.replace(",10,", ",11,"))
    lake_import(bars, "--dataset", "ohlcv", "--exchange", "x")
    shown = capsys.readouterr().out
    assert "3 rows differ from what an earlier import landed" in shown
    assert "repeat" not in shown


def test_long_lists_are_cut_and_what_is_alike_is_one_line(project, capsys):
    (project / "in").mkdir()
    for number in range(21):
        (project / "in" / f"a{number:02}.csv").write_text(f"x{number},y\n1,2\n")
        (project / "in" / f"b{number:02}.csv").write_text(BARS)
    assert lake_import("in", "--dataset", "ohlcv", "--exchange", "x") == 3
    error = capsys.readouterr().err
    assert error.count("skipped in/a") == 10
    assert "… and 11 more" in error
    assert error.count("add --symbol") == 1
    assert "not read: in/b00.csv and 20 more: does not say which symbol" in error


def test_a_lone_unreadable_stamp_ends_in_three(bars, capsys):
    bars.write_text("ts,open,high,low,close,volume\nfoo,1,1,1,1,1\n")
    arguments = (bars, "--dataset", "ohlcv", "--exchange", "x", "--interval", "1d")
    assert lake_import(*arguments) == 3
    assert "column ts holds no times" in capsys.readouterr().err


def test_an_import_beside_a_damaged_file_or_view_tells_what_landed(bars, project, capsys):
    arguments = (bars, "--dataset", "ohlcv", "--exchange")
    assert lake_import(*arguments, "x") == 0
    first = next((project / "lake").rglob("exchange=x/**/*.parquet"))
    first.write_bytes(b"no Parquet")
    capsys.readouterr()
    assert lake_import(*arguments, "a") == 0
    shown = capsys.readouterr()
    assert "imported into ohlcv" in shown.out
    first.unlink()
    (project / "sql" / "marts").mkdir(parents=True)
    (project / "sql" / "marts" / "mine.sql").write_text("-- One row.\nselec 1")
    assert lake_import(*arguments, "y") == 0
    shown = capsys.readouterr()
    assert "imported into ohlcv" in shown.out
    assert "lake.db stays as it is" in shown.err
    assert "mine.sql" in shown.err
