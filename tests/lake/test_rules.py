import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.lake import DATASETS
from cq.lake.rules import BEGIN, END, INTERVAL, NOBODY, PLAIN_NAME, SYMBOL, check
from cq.lake.template import safe
from cq.utils.time import YEAR, bar_end, parse_time

FINE = {
    "ohlcv": {
        "ts": 1, "open": 2.0, "high": 3.0, "low": 1.0, "close": 2.0, "volume": 0.0,
        "symbol": "BTC-BRL", "exchange": "x", "interval": "1h",
    },
    "trades": {
        "ts": 1, "price": 2.0, "size": 1.0, "side": None, "trade_id": "1",
        "symbol": "BTC-BRL", "exchange": "x",
    },
    "orderbook_l2": {
        "ts": 1, "symbol": "BTC-BRL", "exchange": "x",
        "bids": [{"price": 2.0, "size": 1.0}, {"price": 1.0, "size": 1.0}],
        "asks": [{"price": 3.0, "size": 1.0}, {"price": 4.0, "size": 1.0}],
    },
    "orders": {
        "ts": 1, "order_id": None, "client_id": "a", "side": "buy", "type": "limit",
        "price": 1.0, "size": 1.0, "status": "new", "fee": None,
        "symbol": "BTC-BRL", "exchange": "x",
    },
    "fills": {
        "ts": 1, "order_id": None, "client_id": "a", "side": "sell", "type": "market",
        "price": 1.0, "size": 1.0, "status": None, "fee": 0.0, "fill_id": "f",
        "symbol": "BTC-BRL", "exchange": "x",
    },
    "coverage": {
        "dataset": "ohlcv", "symbol": "BTC-BRL", "exchange": "x", "interval": None,
        "start_ts": 1, "end_ts": 2, "rows": 0, "asked_ts": 3, "source": None,
    },
    "rejected": {
        "ts": None, "dataset": "ohlcv", "symbol": None, "exchange": None, "interval": None,
        "broken": ["x"], "row": "{}", "source": None, "seen_ts": 1,
    },
    "lost": {
        "dataset": "ohlcv", "symbol": None, "exchange": None, "interval": None, "start_ts": 1,
        "end_ts": 2, "rows": None, "file": "f", "reason": "r", "lost_ts": 3,
    },
}  # fmt: skip
NAN, INF = float("nan"), float("inf")


def broken(dataset: str, **changes) -> set[str]:
    contract = DATASETS[dataset]
    row = pl.DataFrame([FINE[dataset] | changes], schema=dict(contract.schema))
    valid, rejected = check(row, contract.rules)
    assert valid.height + rejected.height == 1
    return set(rejected["broken"].explode(empty_as_null=False))


def levels(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"price": price, "size": size} for price, size in pairs]


@pytest.mark.parametrize("dataset", FINE)
def test_a_plain_row_breaks_nothing(dataset):
    assert broken(dataset) == set()


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"ts": None}, {"ts_present"}),
        ({"ts": -1}, {"ts_from_1970_to_2199"}),
        ({"ts": parse_time("2200-01-01")}, {"ts_from_1970_to_2199"}),
        ({"ts": 2**63 - 1}, {"ts_from_1970_to_2199"}),
        ({"symbol": "BTCBRL"}, {"symbol_form"}),
        ({"symbol": "btc-brl"}, {"symbol_form"}),
        ({"symbol": None}, {"symbol_form"}),
        ({"symbol": f"{'A' * 41}-B"}, {"symbol_form"}),
        ({"symbol": f"A-{'B' * 24}"}, {"symbol_form"}),
        ({"exchange": "../x"}, {"exchange_form"}),
        ({"exchange": "none"}, {"exchange_form"}),
        ({"interval": "1000w"}, {"interval_form"}),
        ({"interval": "hour"}, {"interval_form"}),
        ({"high": 1.5}, {"high_is_highest"}),
        ({"low": 2.5}, {"low_is_lowest"}),
        ({"low": 1e9}, {"low_is_lowest", "high_is_highest"}),
        ({"volume": -1.0}, {"volume_not_negative"}),
        ({"volume": NAN}, {"volume_not_negative"}),
        ({"volume": None}, {"volume_not_negative"}),
        ({"open": 0.0}, {"prices_positive", "low_is_lowest"}),
        ({"high": INF}, {"prices_finite"}),
        ({"high": NAN}, {"prices_finite"}),
        ({"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}, {"prices_positive"}),
    ],
)
def test_a_bad_bar_breaks_the_rule_that_names_it(changes, rules):
    assert broken("ohlcv", **changes) == rules


@given(
    symbol=st.from_regex(SYMBOL, fullmatch=True), exchange=st.from_regex(PLAIN_NAME, fullmatch=True)
)
def test_what_keeps_the_rules_has_a_folder_of_its_own_name(symbol, exchange):
    if not broken("ohlcv", symbol=symbol, exchange=exchange):
        assert (safe(symbol), safe(exchange)) == (symbol, exchange)
        assert NOBODY not in (symbol, exchange)


@given(
    ts=st.integers(BEGIN, END - 1),
    interval=st.from_regex(INTERVAL, fullmatch=True),
)
def test_every_bar_that_keeps_the_rules_closes_long_before_time_ends(ts, interval):
    assert broken("ohlcv", ts=ts, interval=interval) == set()
    assert ts < bar_end(ts, interval) < 2**63 - 10 * YEAR


def test_a_range_lies_within_the_same_years():
    far = parse_time("2200-01-01")
    for dataset in ("coverage", "lost"):
        assert broken(dataset, start_ts=-1) == {"range_from_1970_to_2199"}
        assert broken(dataset, end_ts=far) == {"range_from_1970_to_2199"}


def test_an_undecided_rule_counts_as_broken():
    assert broken("ohlcv", close=None) == {"prices_positive", "prices_finite"}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"price": 0.0}, {"price_positive"}),
        ({"size": 0.0}, {"size_positive"}),
        ({"size": NAN}, {"size_positive"}),
        ({"side": "bid"}, {"side_known"}),
        ({"side": "sell"}, set()),
        ({"trade_id": None}, {"trade_id_present"}),
    ],
)
def test_a_bad_trade_breaks_the_rule_that_names_it(changes, rules):
    assert broken("trades", **changes) == rules


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"bids": levels((3, 1))}, {"best_bid_below_best_ask"}),
        ({"bids": levels((1, 1), (2, 1))}, {"bids_descending"}),
        ({"bids": levels((1, 1), (1, 1))}, {"bids_descending"}),
        ({"asks": levels((4, 1), (3, 1))}, {"asks_ascending"}),
        ({"asks": levels((4, 0))}, {"sizes_positive"}),
        ({"asks": levels((4, NAN))}, {"sizes_positive"}),
        ({"bids": levels((0, 1))}, {"prices_positive"}),
        ({"bids": []}, set()),
        ({"asks": [], "bids": []}, set()),
    ],
)
def test_a_bad_book_breaks_the_rule_that_names_it(changes, rules):
    assert broken("orderbook_l2", **changes) == rules


def test_a_book_side_that_is_missing_is_undecided():
    assert "best_bid_below_best_ask" in broken("orderbook_l2", bids=None)


def test_private_rows_are_held_to_their_words():
    assert broken("orders", status="lost", side="hold") == {"status_known", "side_known"}
    assert broken("orders", client_id=None, size=-1.0) == {"client_id_present", "size_positive"}
    assert broken("fills", fill_id=None, price=None) == {"fill_id_present", "price_positive"}
    assert broken("coverage", end_ts=1, rows=-1) == {"range_in_order", "rows_counted"}
    assert broken("rejected", row=None) == {"row_present"}


prices = st.one_of(st.none(), st.floats())


@given(st.tuples(prices, prices, prices, prices, prices))
def test_what_passes_is_a_bar_by_a_plain_reading_of_the_contract(values):
    o, h, low, c, v = values
    try:
        good = 0 < low <= min(o, c) and max(o, c) <= h < INF and 0 <= v < INF
    except TypeError:
        good = False
    assert (broken("ohlcv", open=o, high=h, low=low, close=c, volume=v) == set()) == good
