import pytest

from cq.cli.lake_import import HELP
from cq.errors import UsageError
from cq.ingest.layouts import LAYOUTS, forced, recognised
from cq.ingest.source import Unrecognised, opened

DATASETS = {"ohlcv", "trades", "orderbook_l2"}


def test_names_are_unique_and_every_layout_says_what_it_is():
    names = [layout.name for layout in LAYOUTS]
    assert len(set(names)) == len(names)
    for layout in LAYOUTS:
        assert layout.says
        assert set(layout.datasets) <= DATASETS


def test_the_help_and_the_page_list_every_layout(request):
    page = (request.config.rootpath / "docs/import.md").read_text()
    for layout in LAYOUTS:
        assert layout.name in HELP
        assert f"`{layout.name}`" in page


def test_a_layout_can_be_forced_by_name():
    assert forced("bitfinex", "ohlcv").name == "bitfinex"
    with pytest.raises(UsageError, match="there is binance-stream"):
        forced("nonsense", "ohlcv")
    with pytest.raises(UsageError, match="is of trades"):
        forced("bitcoincharts", "ohlcv")


def test_a_file_of_another_dataset_says_which(shared):
    source = opened(shared / "market/raw/mercadobitcoin/mrcdBRL.csv")
    with pytest.raises(Unrecognised, match="say --dataset trades"):
        recognised(source, "ohlcv")


@pytest.mark.parametrize("name", ["v3_ticker_202102.json", "v4_replies_20260923.jsonl"])
def test_what_is_neither_bars_nor_trades_nor_books_is_in_no_layout(shared, name):
    source = opened(shared / "market/raw/mercadobitcoin" / name)
    for dataset in DATASETS:
        with pytest.raises(Unrecognised, match="in no known layout"):
            recognised(source, dataset)


def test_every_raw_file_is_in_at_most_one_layout_of_its_own(shared):
    """Tables that only look like one come last; anything else must be told apart for certain."""
    fallback = {"named-bars", "named-trades", "six-columns"}
    for path in sorted((shared / "market/raw").rglob("*")):
        if path.is_file():
            source = opened(path)
            found = {layout.name for layout in LAYOUTS if layout.matches(source)} - fallback
            assert len(found) <= 1, (path.name, found)


def test_a_table_that_lacks_a_column_is_told_which(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,open,high,low,close\n2024-01-01,1,2,1,2\n")
    with pytest.raises(Unrecognised, match="lacks volume: found columns time, open") as caught:
        recognised(opened(path), "ohlcv")
    assert "ohlcv needs ts, open, high, low, close, volume" in str(caught.value)
    path.write_text("name,age\nAna,5\n")
    with pytest.raises(Unrecognised, match="in no known layout"):
        recognised(opened(path), "ohlcv")
