import os
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from doors import counted

from cq.errors import LakeUnwritable
from cq.lake import DATASETS, Lake, parquet


def encodings(path, group=0):
    one = pq.read_metadata(path).row_group(group)
    return {one.column(i).path_in_schema: one.column(i) for i in range(one.num_columns)}


def test_times_are_delta_coded_and_text_has_dictionaries(bars, tmp_path):
    path = parquet.place(parquet.encoded(bars(1000)), tmp_path, "x.parquet")
    columns = encodings(path)
    assert "DELTA_BINARY_PACKED" in columns["ts"].encodings
    assert not columns["close"].has_dictionary_page
    assert columns["symbol"].has_dictionary_page
    assert {one.compression for one in columns.values()} == {"ZSTD"}
    assert columns["ts"].statistics.min == bars(1000)["ts"][0]


def test_numbers_that_repeat_themselves_have_a_dictionary_which_makes_them_smaller(tmp_path):
    random = np.random.default_rng(3)
    rows = pl.DataFrame({
        "ts": np.arange(200_000),
        "cheap": (5 + random.normal(0, 0.01, 200_000).cumsum() / 10).round(2),
        "dear": (500_000 + random.normal(0, 400, 200_000).cumsum()).round(2),
        "missing": pl.Series([None] * 200_000, dtype=pl.Float64),
    })  # fmt: skip
    content = parquet.encoded(rows)
    path = parquet.place(content, tmp_path, "x.parquet")
    columns = encodings(path)
    found = [name for name, one in columns.items() if one.has_dictionary_page]
    assert found == ["cheap"]
    assert pl.read_parquet(path).equals(rows)
    plain = tmp_path / "plain"
    pq.write_table(rows.to_arrow(), plain, 65_536, compression="zstd", use_dictionary=False)
    assert columns["cheap"].total_compressed_size < encodings(plain)["cheap"].total_compressed_size


def test_files_say_which_numbers_are_never_missing(bars, tmp_path):
    lake = Lake(tmp_path)
    for count in (1, 1000):  # few rows are written in another way
        lake.write("ohlcv", bars(count), source="test", now_ns=10**19)
    for path in lake.files("BTC-BRL", "1h"):
        optional = {one.name for one in pq.read_schema(path) if one.nullable}
        assert optional == {"symbol", "exchange", "interval"}


def test_a_dictionary_that_grows_too_large_is_given_up(tmp_path):
    calm, wild = np.arange(65_536) % 100, np.arange(65_536)
    rows = pl.DataFrame({"price": np.concatenate([calm, wild]).astype(float)})
    path = parquet.place(parquet.encoded(rows), tmp_path, "x.parquet")
    first, then = (encodings(path, group)["price"] for group in (0, 1))
    assert first.has_dictionary_page
    assert then.total_uncompressed_size < wild.size * 10
    assert "PLAIN" in then.encodings
    assert pl.read_parquet(path).equals(rows)


def test_row_groups_are_small_enough_to_skip(bars, tmp_path):
    path = parquet.place(parquet.encoded(bars(300_000, interval="1m")), tmp_path, "x.parquet")
    assert pq.read_metadata(path).num_row_groups == 5


def test_what_goes_in_comes_out_for_every_dataset(tmp_path):
    for name, one in DATASETS.items():
        path = parquet.place(parquet.encoded(one.empty()), tmp_path, f"{name}.parquet")
        assert pl.read_parquet(path).schema == one.schema


def test_equal_rows_have_equal_digests(bars):
    first, second, other = (parquet.digest(parquet.encoded(bars(n))) for n in (9, 9, 8))
    assert first == second != other
    assert len(first) == 12


def test_a_file_that_cannot_be_renamed_leaves_nothing(bars, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.replace", refused)
    with pytest.raises(LakeUnwritable, match="Read-only file system"):
        parquet.place(parquet.encoded(bars(1)), tmp_path, "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_where_there_is_none(bars, tmp_path):
    content, folder = parquet.encoded(bars(1)), tmp_path / "a" / "b"
    first, then = (counted(lambda n=n: parquet.place(content, folder, n)) for n in ("1", "2"))
    assert first == ["make_folder", *then]
    assert {one.name for one in folder.iterdir()} == {"1", "2"}


def test_only_what_the_dead_left_is_swept(tmp_path):
    mine, theirs, strange = (
        tmp_path / f"file-{pid}.parquet.tmp" for pid in (f"1.{os.getpid()}", "2.999999999", "3")
    )
    for path in (mine, theirs, strange):
        path.touch()
    parquet.sweep(tmp_path)
    assert mine.exists()
    assert strange.exists()
    assert not theirs.exists()


def test_a_process_of_somebody_else_is_alive(monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert parquet.alive(1)


def test_a_few_rows_are_left_plain(bars, tmp_path):
    path = parquet.place(parquet.encoded(bars(parquet.FEW)), tmp_path, "x.parquet")
    columns = encodings(path)
    assert {one.compression for one in columns.values()} == {"UNCOMPRESSED"}
    assert not any(one.has_dictionary_page for one in columns.values())
    assert columns["symbol"].statistics.min == "BTC-BRL"
    assert pl.read_parquet(path).equals(bars(parquet.FEW))


@pytest.mark.parametrize("name", ["ohlcv", "orderbook_l2"])
def test_frames_converted_together_are_each_what_it_would_be_alone(bars, name):
    rows = bars(40).with_columns(pl.when(pl.col("ts") % 3 > 0).then("symbol").alias("symbol"))
    if name == "orderbook_l2":
        rows = DATASETS[name].empty().clear(n=40)
    cuts = (0, 1, 1, 17, 40)
    frames = [rows.slice(a, b - a) for a, b in pairwise(cuts)]
    alone = [one.to_arrow(compat_level=pl.CompatLevel.oldest()) for one in frames]
    together = parquet.tables(frames)
    assert all(one.equals(other) for one, other in zip(together, alone, strict=True))
    assert parquet.tables([]) == []
