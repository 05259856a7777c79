"""Importing files that are not as they should be, folders, and imports that are stopped."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import cq
from cq.errors import ConfigError, NoSuchFile, Stumbled, UnknownLayout, UsageError
from cq.ingest.files import Progress, import_files, total
from cq.ingest.layouts import LAYOUTS
from cq.ingest.symbols import normalised

BARS = ["symbol", "ts", "open", "high", "low", "close", "volume"]
SMALL = "ts,open,high,low,close,volume\n"


def rows_of(count, start=1_700_000_000, step=60):
    return "".join(f"{start + n * step},10,12,9,11,{n + 1}\n" for n in range(count))


def tidy(path, *columns):
    """A tidy file with the lake's symbols, in key order."""
    frame = pl.read_parquet(path)
    names = {one: normalised(one) for one in frame["symbol"].unique()}
    frame = frame.with_columns(pl.col("symbol").replace_strict(names))
    if "trade_id" in frame.columns:
        frame = frame.with_columns(pl.col("trade_id").cast(pl.String))
    return frame.select(columns).sort(columns[:2])


class TestBadInput:
    def test_a_missing_file_does_not_stop_the_others(self, importing, tmp_path):
        good = tmp_path / "BTC-USD.csv"
        good.write_text(SMALL + rows_of(3))
        reports = importing(tmp_path / "no.csv", good, dataset="ohlcv", exchange="x")
        assert isinstance(reports[0].error, NoSuchFile)
        assert reports[1].report.landed == 3

    def test_wrong_columns_say_what_was_found_and_expected(self, importing, tmp_path):
        path = tmp_path / "a.csv"
        path.write_text("when,price\n1,2\n")
        error = importing(path, dataset="ohlcv")[0].error
        assert isinstance(error, UnknownLayout)
        for part in ("when, price", "ts, open, high", "--mapping", "--layout"):
            assert part in str(error)
        assert "\n" not in str(error)

    def test_unparsable_stamps_and_numbers_are_kept_as_they_were_written(
        self, importing, stored, tmp_path
    ):
        path = tmp_path / "BTC-USD.csv"
        path.write_text(SMALL + rows_of(3) + "yesterday,1,1,1,1,1\n1700009999,one,2,1,1,1\n")
        report = importing(path, dataset="ohlcv", exchange="x")[0].report
        assert (report.read, report.landed, report.rejected) == (5, 3, 2)
        assert dict(report.by_rule) == {"ts_present": 1, "not_a_number": 1}
        kept = stored("rejected")
        assert any("yesterday" in row for row in kept["row"])
        assert any('"one"' in row for row in kept["row"])

    def test_mixed_symbols_and_an_option_contradict_each_other(self, importing, tmp_path):
        path = tmp_path / "two.csv"
        path.write_text(
            "symbol," + SMALL + "BTCUSD,1700000000,1,1,1,1,1\nETHUSD,1700000000,1,1,1,1,1\n"
        )
        error = importing(path, dataset="ohlcv", symbol="BTC-USD", exchange="x", interval="1h")[
            0
        ].error
        assert "2 symbols (BTC-USD, ETH-USD)" in str(error)
        assert importing(path, dataset="ohlcv", exchange="x", interval="1h")[0].report.landed == 2

    def test_the_first_of_two_values_for_a_key_is_kept(self, importing, stored, tmp_path):
        path = tmp_path / "BTC-USD.csv"
        path.write_text(SMALL + rows_of(3) + "1700000060,10,12,9,11.5,7\n" + rows_of(1))
        report = importing(path, dataset="ohlcv", exchange="x")[0].report
        assert (report.landed, report.already_there, report.rejected) == (3, 1, 1)
        assert report.conflicts == 1
        assert stored("ohlcv").filter(ts=1700000060 * 10**9)["close"].to_list() == [11.0]

    def test_a_bar_that_is_still_open_does_not_land(self, importing, tmp_path, now_ns):
        path = tmp_path / "BTC-USD.csv"
        minute = now_ns // 10**9 // 60 * 60
        path.write_text(SMALL + rows_of(3, start=minute - 120))
        report = importing(path, dataset="ohlcv", exchange="x")[0].report
        assert dict(report.by_rule) == {"bar_closed": 1}

    def test_an_option_that_is_missing_is_named(self, importing, tmp_path):
        path = tmp_path / "bars.csv"
        path.write_text(SMALL + rows_of(3))
        assert "--symbol" in str(importing(path, dataset="ohlcv", exchange="x")[0].error)
        assert "--exchange" in str(importing(path, dataset="ohlcv", symbol="BTC-USD")[0].error)
        path.write_text(SMALL + rows_of(1))
        one = importing(path, dataset="ohlcv", symbol="BTC-USD", exchange="x")[0]
        assert "--interval" in str(one.error)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"symbol": "BITCOIN"}, "--symbol"),
            ({"timezone": "Mars/Base"}, "--tz"),
            ({"interval": "1 hour"}, "interval"),
            ({"layout": "nonsense"}, "six-columns"),
            ({"layout": "bbo"}, "orderbook_l2"),
            ({"depth": 0}, "--depth"),
            ({"exchange": "a b"}, "--exchange"),
            ({"layout": "ohlc", "mapping": Path("x.yaml")}, "contradict"),
        ],
    )
    def test_options_that_make_no_sense_are_refused_at_once(self, importing, options, said):
        with pytest.raises(UsageError, match=said):
            importing(Path("never.csv"), dataset="ohlcv", **options)

    def test_other_datasets_are_not_imported(self, lake, now_ns):
        with pytest.raises(UsageError, match="ohlcv, trades, orderbook_l2"):
            import_files(lake, [], "fills", now_ns=now_ns)

    def test_a_missing_mapping_is_a_missing_file(self, importing):
        with pytest.raises(NoSuchFile):
            importing(Path("x.csv"), dataset="ohlcv", mapping=Path("no.yaml"))

    def test_a_broken_mapping_stops_the_import(self, importing, tmp_path):
        path = tmp_path / "m.yaml"
        path.write_text("colums: {}\n")
        with pytest.raises(ConfigError, match=r"m\.yaml"):
            importing(tmp_path / "x.csv", dataset="ohlcv", mapping=path)


class TestFolders:
    def test_a_folder_gives_what_is_recognised_and_lists_the_rest(self, importing, tmp_path):
        folder = tmp_path / "in"
        (folder / "deep").mkdir(parents=True)
        (folder / "BTC-USD.csv").write_text(SMALL + rows_of(3))
        (folder / "deep" / "ETH-USD.csv").write_text(SMALL + rows_of(2))
        (folder / "notes.txt").write_text("remember the milk\n")
        (folder / "empty.csv").write_text("")
        (folder / "image.bin").write_bytes(b"\x89PNG\x00\x00")
        reports = importing(folder, dataset="ohlcv", exchange="x")
        assert [one.path.name for one in reports if one.skipped] == [
            "empty.csv",
            "image.bin",
            "notes.txt",
        ]
        assert total(reports).landed == 5

    def test_a_recognised_file_that_lacks_something_is_an_error_also_in_a_folder(
        self, importing, tmp_path
    ):
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "bars.csv").write_text(SMALL + rows_of(3))
        (report,) = importing(folder, dataset="ohlcv")
        assert "--symbol" in str(report.error)

    def test_a_lakes_own_files_and_hidden_ones_are_not_taken(self, importing, lake, tmp_path):
        (tmp_path / "BTC-USD.csv").write_text(SMALL + rows_of(3))
        (tmp_path / ".cache").mkdir()
        (tmp_path / ".cache" / "ETH-USD.csv").write_text(SMALL + rows_of(3))
        for _ in "12":
            reports = importing(tmp_path, dataset="ohlcv", exchange="x")
            assert [one.path.name for one in reports] == ["BTC-USD.csv"]

    def test_a_file_without_rows_says_so(self, importing, tmp_path):
        path = tmp_path / "BTC-USD.csv"
        path.write_text(SMALL)
        (report,) = importing(path, dataset="ohlcv", exchange="x")
        assert (report.error, report.report.read) == (None, 0)
        assert "no rows were found in it" in report.notes

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_line_ends_and_encodings_of_others_lose_no_row(self, importing, tmp_path, encoding):
        path = tmp_path / "BTC-USD.csv"
        path.write_bytes((SMALL + rows_of(3)).replace("\n", "\r").encode(encoding))
        (report,) = importing(path, dataset="ohlcv", exchange="x")
        assert report.report.landed == 3
        assert ("text in utf-16" in report.notes) == (encoding == "utf-16")

    @pytest.mark.parametrize("mapped", [False, True])
    def test_a_json_row_unlike_the_others_is_rejected_alone(
        self, importing, stored, tmp_path, mapped
    ):
        path = tmp_path / "bars.json"
        path.write_text('[[1700000000,10,12,9,11,1],{"a":1},[1700000060,10,12,9,11,1]]')
        options = {"layout": "ohlc"}
        if mapped:
            names = enumerate(BARS[1:], 1)
            text = "columns:\n" + "".join(f"  {name}: {place}\n" for place, name in names)
            (tmp_path / "m.yaml").write_text(text)
            options = {"mapping": tmp_path / "m.yaml"}
        (report,) = importing(path, dataset="ohlcv", exchange="x", symbol="BTC-USD", **options)
        assert (report.report.landed, dict(report.report.by_rule)) == (2, {"field_count": 1})
        assert stored("rejected")["row"].to_list() == ['{"a": 1}']

    def test_a_file_named_twice_is_read_once(self, importing, tmp_path):
        path = tmp_path / "BTC-USD.csv"
        path.write_text(SMALL + rows_of(3))
        assert len(importing(path, tmp_path, path, dataset="ohlcv", exchange="x")) == 1

    def test_an_empty_folder_is_said(self, importing, tmp_path):
        (tmp_path / "in").mkdir()
        with pytest.raises(UnknownLayout, match="without files"):
            importing(tmp_path / "in", dataset="ohlcv")

    def test_progress_tells_each_stage_of_each_file(self, importing, tmp_path):
        for name in ("BTC-USD.csv", "ETH-USD.csv"):
            (tmp_path / name).write_text(SMALL + rows_of(2))
        told: list[Progress] = []
        importing(tmp_path, dataset="ohlcv", exchange="x", on_progress=told.append)
        assert [(one.number, one.stage) for one in told] == [
            (1, "reading"),
            (1, "landing"),
            (1, "done"),
            (2, "reading"),
            (2, "landing"),
            (2, "done"),
        ]
        assert told[-1].done is not None


IMPORT = """
import os, sys
from dataclasses import replace
from pathlib import Path
from cq.ingest.files import import_files
from cq.lake import Lake

root, path, stop, after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
seen = 0

def watch(event, arguments):
    global seen
    path = str(arguments[1]) if event in ("os.rename", "os.link") else ""
    if "symbol=" in path and "symbol=none" not in path:
        seen += 1
        if seen == after:
            os.kill(os.getpid(), stop)

sys.addaudithook(watch)
import_files(Lake(root), [path], "ohlcv", now_ns=1795000000000000000)
"""


class TestInterruption:
    def test_killed_imports_followed_by_a_whole_one_give_exactly_the_full_set(
        self, importing, stored, lake, shared, tmp_path
    ):
        path = tmp_path / "four.parquet"
        hours = pl.read_parquet(shared / "market/ohlcv/hourly_binance_usdt_12.parquet")
        hours = hours.filter(pl.col("symbol").is_in(["BTCUSDT", "ETHUSDT", "SOLUSDT", "AVAXUSDT"]))
        hours.write_parquet(path)
        environment = os.environ | {"PYTHONPATH": str(Path(cq.__file__).parents[1])}
        for stop, after in ((signal.SIGKILL, 1), (signal.SIGKILL, 6), (signal.SIGINT, 3)):
            arguments = (lake.root, path, int(stop), after)
            child = subprocess.run(
                [sys.executable, "-c", IMPORT, *(str(one) for one in arguments)],
                env=environment,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            assert child.returncode in (-stop, 130)
            if stop == signal.SIGKILL:
                assert stored("ohlcv").height < hours.height
        assert stored("ohlcv").height > 0
        report = importing(path, dataset="ohlcv")[0].report
        assert report.landed + report.already_there == hours.height
        assert_frame_equal(stored("ohlcv").select(BARS).sort(BARS[:2]), tidy(path, *BARS))
        assert importing(path, dataset="ohlcv")[0].report.landed == 0


@pytest.mark.parametrize("stage", ["matches", "read"])
def test_a_fault_of_cq_is_an_error_of_its_file_and_the_others_land(
    lake, tmp_path, monkeypatch, now_ns, stage
):
    def strange(source, *_):
        if source.name == "a.csv":
            raise AssertionError("nobody thought of this")
        return stage == "read"

    first = replace(LAYOUTS[0], datasets=("ohlcv",), **{stage: strange})
    others = LAYOUTS
    if stage == "read":
        first = replace(first, matches=lambda source: source.name == "a.csv")
    monkeypatch.setattr("cq.ingest.layouts.LAYOUTS", (first, *others))
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(SMALL + rows_of(3))
    bad, good = import_files(
        lake, [tmp_path], "ohlcv", now_ns=now_ns, symbol="BTC-BRL", exchange="x"
    )
    assert isinstance(bad.error, Stumbled)
    assert "a.csv: cq stumbles over it (AssertionError: nobody thought of this)" in str(bad.error)
    assert good.report.landed == 3
