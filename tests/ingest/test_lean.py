import zipfile

import pytest

from cq.errors import UnknownLayout
from cq.ingest.layouts import recognised
from cq.ingest.lean import LAYOUTS
from cq.ingest.source import opened
from cq.utils.time import MINUTE, parse_time

(LEAN,) = LAYOUTS
MINUTES = "0,10,12,9,11,5\n60000,11,11,11,11,1\n"


def packed(folder, name, inner, text):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(inner, text)
    return folder / name


def test_minutes_count_from_midnight_of_the_day_in_the_name(tmp_path, reading):
    path = packed(
        tmp_path / "crypto" / "coinbase" / "minute" / "btcusd",
        "20180404_trade.zip",
        "20180404_btcusd_minute_trade.csv",
        MINUTES,
    )
    assert recognised(opened(path), "ohlcv").name == "lean"
    piece = reading(path, LEAN)
    day = parse_time("2018-04-04")
    assert piece.rows["ts"].to_list() == [day, day + MINUTE]
    assert piece.rows.select("symbol", "exchange", "interval").row(0) == (
        "BTC-USD", "coinbase", "1m",
    )  # fmt: skip


def test_days_say_their_date(shared, reading):
    piece = reading(shared / "market/raw/lean/coinbase_daily_btcusd_trade.zip", LEAN)
    assert piece.rows["ts"].to_list()[0] == parse_time("2014-12-01")
    assert piece.rows.select("symbol", "exchange", "interval").row(0) == (
        "BTC-USD", "coinbase", "1d",
    )  # fmt: skip


def test_minutes_without_a_day_in_any_name_are_refused(tmp_path, reading):
    path = packed(tmp_path, "btcusd_trade.zip", "btcusd.csv", MINUTES)
    with pytest.raises(UnknownLayout, match="no name holds its day"):
        reading(path, LEAN)


def test_the_real_minutes_are_one_day(shared, reading):
    piece = reading(shared / "market/raw/lean/coinbase_minute_btcusd_20180404_trade.zip", LEAN)
    day = parse_time("2018-04-04")
    assert piece.rows["ts"].is_between(day, day + 1439 * MINUTE).all()
    assert piece.rows["ts"].n_unique() == 1007
