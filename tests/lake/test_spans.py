"""What columns lie between, and that no damage to a footer ends the process that asks."""

import shutil

import numpy as np
import polars as pl
import pytest

from cq.lake import DATASETS, Lake, parquet
from cq.lake.footer import misplaced
from cq.lake.spans import opened, spans
from cq.lake.verified import facts_of

OHLCV = DATASETS["ohlcv"]
COLUMNS = ("symbol", "ts", "close", "nothing", "absent")


@pytest.fixture
def path(tmp_path, bars, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 30)
    rows = (
        bars(100).with_columns(nothing=pl.lit(None, pl.Float64)).sample(100, shuffle=True, seed=1)
    )
    return parquet.place(parquet.encoded(rows), tmp_path, "x.parquet")


@pytest.mark.parametrize("words", [(), ("symbol", "absent")])
def test_spans_are_the_least_and_the_greatest_of_all_row_groups_or_some(path, words):
    rows = pl.read_parquet(path)
    with opened(path, words) as file:
        assert file.num_row_groups == 4
        for groups, some in ((None, rows), ([1, 3], pl.concat([rows[30:60], rows[90:]]))):
            assert spans(file, COLUMNS, groups) == {
                name: (some[name].min(), some[name].max()) for name in ("symbol", "ts", "close")
            }
        assert spans(file, ["absent"]) == {}


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_footer_is_said_and_never_ends_the_process(tmp_path, bars, seed):
    """Statistics of a footer whose types do not fit end it, in Arrow, without an error."""
    chance = np.random.default_rng(seed)
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", bars(300), source="test", now_ns=10**19)
    (path,) = lake.files("BTC-BRL", "1h")
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    layout = lake.layouts["ohlcv"]
    assert misplaced(lake.root, layout, OHLCV, path) == ""
    for at in chance.integers(len(whole) - footer, len(whole) - 8, 400):
        spoilt = bytearray(whole)
        spoilt[at] = chance.integers(0, 256)
        path.write_bytes(spoilt)
        facts = facts_of(path, "ts")
        assert facts is None or facts.size == len(whole)
        assert isinstance(misplaced(lake.root, layout, OHLCV, path), str)
    shutil.rmtree(lake.root)
