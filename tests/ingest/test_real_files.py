"""Real files of others land as the tidy Parquet of the same source has them."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq.ingest.files import total
from cq.ingest.symbols import normalised

BARS = ["symbol", "ts", "open", "high", "low", "close", "volume"]
TRADES = ["symbol", "ts", "price", "size", "side", "trade_id"]


def tidy(path, *columns):
    """A tidy file with the lake's symbols, in key order."""
    frame = pl.read_parquet(path)
    names = {one: normalised(one) for one in frame["symbol"].unique()}
    frame = frame.with_columns(pl.col("symbol").replace_strict(names))
    if "trade_id" in frame.columns:
        frame = frame.with_columns(pl.col("trade_id").cast(pl.String))
    return frame.select(columns).sort(columns[:2])


class TestRealBars:
    def test_the_hourly_set_lands_whole_and_only_once(self, importing, stored, shared):
        path = shared / "market/ohlcv/hourly_binance_usdt_12.parquet"
        first, again = (importing(path, dataset="ohlcv", interval="1h")[0].report for _ in "12")
        assert (first.read, first.landed, first.rejected) == (407_009, 407_009, 0)
        assert (again.landed, again.already_there, again.rejected) == (0, 407_009, 0)
        assert_frame_equal(stored("ohlcv").select(BARS).sort(BARS[:2]), tidy(path, *BARS))

    @pytest.mark.parametrize(
        ("name", "rows"),
        [
            ("daily_binance_usdt_12", 16_994),
            ("daily_cmc_usd_10", 17_850),
            ("m5_binance_usdt_2024_4", 287_594),
            ("m1_binance_brl_20221108_10", 10_000),
        ],
    )
    def test_tidy_bars_land_as_they_are(self, importing, stored, shared, name, rows):
        path = shared / f"market/ohlcv/{name}.parquet"
        report = importing(path, dataset="ohlcv")[0].report
        assert (report.landed, report.rejected) == (rows, 0)
        assert_frame_equal(stored("ohlcv").select(BARS).sort(BARS[:2]), tidy(path, *BARS))

    def test_a_million_and_a_half_minutes_land(self, importing, stored, shared):
        path = shared / "market/ohlcv/m1_bitfinex_usd_2018.parquet"
        report = importing(path, dataset="ohlcv")[0].report
        assert (report.landed, report.rejected) == (1_454_695, 0)
        assert stored("ohlcv")["interval"].unique().to_list() == ["1m"]

    def test_the_dirty_set_is_accounted_for_row_by_row(self, importing, stored, shared):
        path = shared / "market/ohlcv/daily_dirty_coinbase_poloniex.parquet"
        report = importing(path, dataset="ohlcv")[0].report
        expected = recount(pl.read_parquet(path).rows(named=True))
        assert report.read == 11_473
        assert report.landed == expected["landed"]
        assert report.already_there == expected["again"]
        assert report.rejected == expected["rejected"]
        assert dict(report.by_rule) == expected["by_rule"]
        assert expected["by_rule"]["prices_positive"] == 8
        assert stored("rejected").height == expected["kept apart"]
        again = importing(path, dataset="ohlcv")[0].report
        assert (again.landed, again.rejected) == (0, report.rejected)
        assert stored("rejected").height == expected["kept apart"]

    def test_a_day_of_bitfinex_files_is_the_first_day_of_the_year_set(
        self, importing, stored, shared
    ):
        reports = importing(shared / "market/raw/bitfinex_1m/BTCUSD", dataset="ohlcv")
        assert len(reports) == 12
        assert {one.layout for one in reports} == {"bitfinex"}
        assert total(reports).landed == 1_440
        year = tidy(shared / "market/ohlcv/m1_bitfinex_usd_2018.parquet", *BARS)
        day = year.filter(pl.col("symbol") == "BTC-USD").head(1_440)
        assert_frame_equal(stored("ohlcv").select(BARS).sort(BARS[:2]), day)

    @pytest.mark.parametrize(
        ("raw", "clean", "symbol", "options", "layout"),
        [
            ("cmc/coin_Bitcoin.csv", "daily_cmc_usd_10", "BTC-USD", {}, "coinmarketcap"),
            ("cmc/coin_USDCoin.csv", "daily_cmc_usd_10", "USDC-USD", {}, "coinmarketcap"),
            (
                "freqtrade/BTC_USDT-1d.json",
                "daily_binance_usdt_12",
                "BTC-USDT",
                {"exchange": "binance"},
                "freqtrade",
            ),
        ],
    )
    def test_a_raw_file_lands_as_its_tidy_twin(
        self, importing, stored, shared, raw, clean, symbol, options, layout
    ):
        report = importing(shared / f"market/raw/{raw}", dataset="ohlcv", **options)[0]
        assert report.layout == layout
        expected = tidy(shared / f"market/ohlcv/{clean}.parquet", *BARS)
        assert_frame_equal(
            stored("ohlcv").select(BARS).sort(BARS[:2]), expected.filter(pl.col("symbol") == symbol)
        )

    def test_raw_klines_agree_with_the_tidy_minutes_where_they_overlap(
        self, importing, stored, shared
    ):
        report = importing(
            shared / "market/raw/binance_klines/BTCBRL_1m_20221108.csv", dataset="ohlcv"
        )[0]
        assert (report.layout, report.report.landed) == ("binance-klines", 1_000)
        clean = tidy(shared / "market/ohlcv/m1_binance_brl_20221108_10.parquet", *BARS)
        both = stored("ohlcv").select(BARS).join(clean, on=["symbol", "ts"], suffix="_tidy")
        assert both.height >= 999
        for name in BARS[2:]:
            assert (both[name] == both[f"{name}_tidy"]).all()

    def test_freqtrade_feather_agrees_with_the_five_minute_set(self, importing, stored, shared):
        path = shared / "market/raw/freqtrade/SOL_USDT-1h.feather"
        importing(path, dataset="ohlcv", exchange="binance")
        minutes = tidy(shared / "market/ohlcv/m5_binance_usdt_2024_4.parquet", *BARS)
        hours = (
            minutes.filter(pl.col("symbol") == "SOL-USDT")
            .with_columns(ts=pl.col("ts") // (3600 * 10**9) * (3600 * 10**9))
            .group_by("symbol", "ts")
            .agg(pl.col("open").first(), pl.col("high").max(), pl.col("low").min())
        )
        both = stored("ohlcv").join(hours, on=["symbol", "ts"], suffix="_made")
        assert both.height > 5_900
        for name in ("open", "high", "low"):
            assert (both[name] == both[f"{name}_made"]).all()

    @pytest.mark.parametrize(
        ("raw", "rows", "options"),
        [
            ("binance_klines/BTCBRL_1h_202101_derived.csv", 479, {"exchange": "binance"}),
            ("bitfinex_1m/LTCUSD_2016_merged.csv.gz", 41_250, {}),
            ("cryptodatadownload/Coinbase_BTCUSD_1h.csv", 20_111, {}),
            ("cryptodatadownload/Coinbase_BTCUSD_d.csv", 1_770, {}),
            ("lean/coinbase_daily_btcusd_trade.zip", 1_318, {}),
            ("lean/coinbase_minute_btcusd_20180404_trade.zip", 1_007, {}),
            ("mercadobitcoin/v3_day_summary_202102.json", 1, {"symbol": "BTC-BRL"}),
            ("mercadobitcoin/v3_day_summary_litecoin_202102.json", 1, {"symbol": "LTC-BRL"}),
        ],
    )
    def test_every_raw_file_of_bars_imports(self, importing, shared, raw, rows, options):
        path = shared / f"market/raw/{raw}"
        first = importing(path, dataset="ohlcv", **options)[0]
        assert first.error is None
        assert first.report.read == rows
        assert first.report.landed + first.report.already_there + first.report.rejected == rows
        assert importing(path, dataset="ohlcv", **options)[0].report.landed == 0

    def test_coinbase_days_agree_between_two_publishers(self, importing, stored, shared):
        importing(
            shared / "market/raw/cryptodatadownload/Coinbase_BTCUSD_d.csv",
            dataset="ohlcv",
            exchange="cdd",
        )
        importing(
            shared / "market/raw/lean/coinbase_daily_btcusd_trade.zip",
            dataset="ohlcv",
            exchange="lean",
        )
        bars = stored("ohlcv")
        both = bars.filter(exchange="cdd").join(bars.filter(exchange="lean"), on="ts")
        assert both.height > 1_300
        same_high = both.select((pl.col("high") == pl.col("high_right")).mean()).item()
        volume = both.select((pl.col("volume") / pl.col("volume_right") - 1).abs().median()).item()
        assert same_high > 0.85  # 0.6 % of the days would agree by chance, one day off
        assert volume < 0.02


def recount(rows):
    """The dirty set by a plain loop: rules first, then keys, as the lake promises."""
    by_rule, landed, again, apart, bad = {}, {}, 0, set(), 0
    good = []
    for row in rows:
        prices = [row[name] for name in ("open", "high", "low", "close")]
        broken = []
        if min(prices) <= 0:
            broken.append("prices_positive")
        if row["high"] < max(prices):
            broken.append("high_is_highest")
        if row["low"] > min(prices):
            broken.append("low_is_lowest")
        if not row["volume"] >= 0:
            broken.append("volume_not_negative")
        for name in broken:
            by_rule[name] = by_rule.get(name, 0) + 1
        if broken:
            bad += 1
            apart.add(tuple(row.values()))
        else:
            good.append(row)
    for row in good:
        key = (row["exchange"], row["symbol"], row["ts"])
        values = tuple(row.values())
        if key not in landed:
            landed[key] = values
        elif landed[key] == values:
            again += 1
        else:
            bad += 1
            by_rule["same_key_other_values"] = by_rule.get("same_key_other_values", 0) + 1
            apart.add(values)
    return {
        "landed": len(landed),
        "again": again,
        "rejected": bad,
        "by_rule": by_rule,
        "kept apart": len(apart),
    }


class TestRealTrades:
    @pytest.mark.parametrize(
        ("raw", "clean", "exchange", "options"),
        [
            ("cryptofeed/COINBASE.ws.28.0", "coinbase_20210417", "coinbase", {}),
            ("mercadobitcoin/mrcdBRL.csv", "mercadobitcoin_btcbrl_2011_2013", None, {}),
            (
                "mercadobitcoin/xchange-example-trades-data.json",
                "mercadobitcoin_btcbrl_201411",
                None,
                {"symbol": "BTC-BRL"},
            ),
        ],
    )
    def test_a_raw_file_lands_as_its_tidy_twin(
        self, importing, stored, shared, raw, clean, exchange, options
    ):
        path = shared / f"market/trades/{clean}.parquet"
        report = importing(shared / f"market/raw/{raw}", dataset="trades", **options)[0].report
        twin = importing(path, dataset="trades")[0].report
        assert twin.landed == 0
        assert (twin.read, twin.rejected) == (report.read, report.rejected)
        expected = tidy(path, *TRADES).filter(pl.col("size") > 0)
        names = [name for name in TRADES if name != "trade_id"]
        assert_frame_equal(
            stored("trades").select(names).sort(names), expected.select(names).sort(names)
        )
        if expected["trade_id"].count():
            assert set(stored("trades")["trade_id"]) == set(expected["trade_id"])

    def test_binance_captures_land_as_the_tidy_spot_trades(self, importing, stored, shared):
        reports = importing(shared / "market/raw/binance_ws", dataset="trades")
        assert [one.report.landed for one in reports] == [9_757, 6_106]
        clean = pl.read_parquet(shared / "market/trades/binance_spot_usdm_20240808.parquet")
        spot = clean.filter(exchange="binance").with_columns(
            pl.col("symbol").replace_strict({"BTCUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT"}),
            pl.col("trade_id").cast(pl.String),
        )
        assert_frame_equal(
            stored("trades").select(TRADES).sort("symbol", "trade_id"),
            spot.select(TRADES).sort("symbol", "trade_id"),
        )
        twin = importing(
            shared / "market/trades/binance_spot_usdm_20240808.parquet", dataset="trades"
        )[0].report
        assert (twin.already_there, twin.landed) == (15_863, 35_389)

    def test_trades_that_look_alike_are_all_kept_and_only_size_zero_is_not(
        self, importing, stored, shared
    ):
        path = shared / "market/raw/mercadobitcoin/mrcdBRL.csv"
        report = importing(path, dataset="trades")[0].report
        assert (report.read, report.landed, report.rejected) == (27_074, 27_073, 1)
        assert dict(report.by_rule) == {"size_positive": 1}
        assert stored("trades")["trade_id"].n_unique() == 27_073
        again = importing(path, dataset="trades")[0].report
        assert (again.landed, again.already_there, again.rejected) == (0, 27_073, 1)

    def test_hyperliquid_and_old_replies_import(self, importing, shared):
        raw = shared / "market/raw"
        assert (
            importing(raw / "hyperliquid/btcusd_20250126.gz", dataset="trades")[0].report.landed
            == 64
        )
        assert (
            importing(
                raw / "mercadobitcoin/v3_trades_202102.json", dataset="trades", symbol="BTC-BRL"
            )[0].report.landed
            == 5
        )


class TestBooks:
    @pytest.mark.parametrize(
        ("raw", "clean", "symbols"),
        [
            ("binance_ws", "l2_binance_spot_20240808", {"BTC-USDT", "ETH-USDT"}),
            ("cryptofeed", "l2_coinbase_20210417", None),
        ],
    )
    def test_a_capture_gives_the_books_of_its_tidy_levels(
        self, importing, stored, shared, raw, clean, symbols
    ):
        importing(shared / f"market/raw/{raw}", dataset="orderbook_l2")
        captured = stored("orderbook_l2")
        twin = importing(shared / f"market/book/{clean}.parquet", dataset="orderbook_l2")[0].report
        assert (captured["bids"].list.len() <= 20).all()
        if symbols:
            assert set(captured["symbol"]) == symbols
            assert twin.landed == 0
            assert twin.rejected == 0

    def test_full_books_import_and_one_without_a_stamp_is_kept_apart(
        self, importing, stored, shared
    ):
        path = shared / "market/book/l2_snapshots_hyperliquid_mercadobitcoin.parquet"
        report = importing(path, dataset="orderbook_l2")[0].report
        assert (report.read, report.landed, report.rejected) == (46, 45, 1)
        assert dict(report.by_rule) == {"ts_present": 1}
        capture = shared / "market/raw/hyperliquid/btcusd_20250126.gz"
        assert importing(capture, dataset="orderbook_l2")[0].report.already_there == 45

    def test_a_book_without_a_time_asks_for_one(self, importing, stored, shared):
        path = shared / "market/raw/mercadobitcoin/xchange-example-full-depth-data.json"
        refused = importing(path, dataset="orderbook_l2", symbol="BTC-BRL")[0]
        assert "--at TIME" in str(refused.error)
        taken = importing(
            path, dataset="orderbook_l2", symbol="BTC-BRL", at_ns=10**18 * 14 // 10, depth=500
        )[0]
        assert taken.report.landed == 1
        book = stored("orderbook_l2").row(0, named=True)
        assert book["bids"][0] == {"price": 1004.16826, "size": 0.16614}
        assert len(book["asks"]) == 214

    def test_best_bid_and_ask_are_books_of_one_level(self, importing, stored, shared):
        path = shared / "market/book/bbo_binance_spot_20240808.parquet"
        report = importing(path, dataset="orderbook_l2")[0].report
        assert report.landed == report.read == 52_117
        assert stored("orderbook_l2")["asks"].list.len().unique().to_list() == [1]

    @pytest.mark.parametrize(
        ("name", "books", "symbol"),
        [
            ("raw/mercadobitcoin/ws_frames_20260923_trimmed.jsonl", 2, None),
            ("raw/mercadobitcoin/v3_orderbook_202102.json", 1, "BTC-BRL"),
            ("raw/mercadobitcoin/v3_orderbook_litecoin_202102.json", 1, "LTC-BRL"),
        ],
    )
    def test_mercado_bitcoin_books_import(self, importing, shared, name, books, symbol):
        report = importing(shared / f"market/{name}", dataset="orderbook_l2", symbol=symbol)[0]
        assert report.report.landed == books
