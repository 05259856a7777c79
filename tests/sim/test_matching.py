from decimal import Decimal

import pytest
from venue import BTC, START, Venue, at, levels

from cq.sim.accounts import Account, Ledger, Purse
from cq.sim.matching import Matching
from cq.sim.orders import Ask, Status
from cq.sim.refusals import Refusal
from cq.sim.trading_switches import TradingSwitches
from cq.utils.time import DAY

FREE = 48


def desk(venue=None, brl=10_000, btc=10, **switches):
    """An engine and an account on it; free of fees unless told otherwise."""
    switches = {"new_account_free_hours": FREE} | switches
    ledger = Ledger()
    balances = {"BRL": Decimal(brl), "BTC": Decimal(btc)}
    account = ledger.open(Account("me", opened_ns=START), balances)
    found = Matching(venue or Venue(), START, TradingSwitches(**switches), 0, ledger)
    return found, account


def ask(side="buy", kind="limit", qty="1", price=None, **more):
    limit = None if price is None else Decimal(price)
    return Ask(side, kind, None if qty is None else Decimal(qty), limit, **more)


def fills(order):
    return [(one.price, one.qty, one.liquidity) for one in order.executions]


def test_a_market_buy_takes_the_book_level_by_level():
    engine, me = desk()
    order = engine.place(me, "BTC-BRL", ask("buy", "market", "2.5"), START)
    assert order.status is Status.FILLED
    assert fills(order) == [(101, 1, "taker"), (102, Decimal("1.5"), "taker")]
    assert me.purse("BRL") == Purse(Decimal(10_000) - 101 - 153)
    assert me.purse("BTC").total == Decimal("12.5")


def test_what_was_taken_is_gone_until_the_book_shows_another_size():
    venue = Venue()
    engine, me = desk(venue)
    engine.place(me, "BTC-BRL", ask("buy", "market", "1"), START)
    assert fills(engine.place(me, "BTC-BRL", ask("buy", "market", "1"), START))[0][0] == 102
    venue.asks = levels((101, "1.5"), (102, 3))
    assert fills(engine.place(me, "BTC-BRL", ask("buy", "market", "1"), START))[0][0] == 101


def test_a_market_buy_by_cost_spends_no_more_than_that():
    engine, me = desk()
    order = engine.place(me, "BTC-BRL", ask(kind="market", qty=None, cost=Decimal(150)), START)
    assert order.status is Status.FILLED
    assert order.qty == order.filled == 1 + Decimal("0.48039215")
    assert Decimal(10_000) - me.purse("BRL").total == Decimal("149.99999930")
    assert me.purse("BRL").on_hold == 0


def test_a_market_order_that_the_book_cannot_fill_is_cancelled_with_what_it_got():
    engine, me = desk(Venue(bids=levels((99, 2))))
    order = engine.place(me, "BTC-BRL", ask("sell", "market", "3"), START)
    assert (order.status, order.filled) == (Status.CANCELLED, 2)
    assert me.purse("BTC") == Purse(Decimal(8))


def test_a_limit_order_takes_what_crosses_and_rests_with_the_rest():
    engine, me = desk()
    order = engine.place(me, "BTC-BRL", ask("buy", "limit", "5", "102"), START)
    assert order.status is Status.WORKING
    assert fills(order) == [(101, 1, "taker"), (102, 3, "taker")]
    assert order.held == me.purse("BRL").on_hold == 102


def test_a_resting_order_waits_its_turn_in_the_queue():
    venue = Venue([(1, 99, "1.5", -1), (2, 99, "1", -1), (3, 99, "9", 1), (4, 99, "9", -1)])
    engine, me = desk(venue)
    order = engine.place(me, "BTC-BRL", ask("buy", "limit", "3", "99"), START)
    assert order.ahead == 2
    engine.advance(at(1))
    assert engine.orders[order.id].filled == 0
    engine.advance(at(3))
    assert engine.orders[order.id].filled == Decimal("0.5")
    engine.advance(at(4))
    assert engine.orders[order.id].status is Status.FILLED
    assert fills(engine.orders[order.id])[0] == (99, Decimal("0.5"), "maker")


@pytest.mark.parametrize(("how", "filled"), [("queue", 0), ("touch", 1), ("through", 0)])
def test_a_trade_at_the_price_fills_as_the_switch_says(how, filled):
    engine, me = desk(Venue([(1, 99, "1", -1)]), resting_fill=how)
    order = engine.place(me, "BTC-BRL", ask("buy", "limit", "3", "99"), START)
    engine.advance(at(2))
    assert engine.orders[order.id].filled == filled


@pytest.mark.parametrize("how", ["queue", "touch", "through"])
def test_a_trade_through_the_price_fills_at_the_price_as_far_as_it_goes(how):
    engine, me = desk(Venue([(1, 97, "1", 1), (2, 97, "9", -1)]), resting_fill=how)
    order = engine.place(me, "BTC-BRL", ask("buy", "limit", "3", "99"), START)
    engine.advance(at(1))
    assert fills(engine.orders[order.id]) == [(99, 1, "maker")]
    engine.advance(at(2))
    assert engine.orders[order.id].status is Status.FILLED


def test_two_orders_share_one_trade_the_better_price_first():
    engine, me = desk(Venue([(1, 95, "4", -1)]))
    low = engine.place(me, "BTC-BRL", ask("buy", "limit", "3", "97"), START)
    high = engine.place(me, "BTC-BRL", ask("buy", "limit", "3", "98"), START)
    engine.advance(at(1))
    assert [engine.orders[one.id].filled for one in (high, low)] == [3, 1]


def test_a_sell_stop_waits_for_the_last_trade_and_becomes_a_limit_order():
    engine, me = desk(Venue([(1, 98, "1", -1), (2, 97, "1", -1), (3, 95, "9", -1)]))
    order = engine.place(
        me, "BTC-BRL", ask("sell", "stoplimit", "3", "96", stop_price=Decimal(97)), START
    )
    engine.advance(at(1))
    assert engine.orders[order.id].waits
    assert engine.orders[order.id].filled == 0
    engine.advance(at(2))
    assert fills(engine.orders[order.id]) == [(99, 2, "taker"), (98, 1, "taker")]


def test_a_stop_that_finds_no_buyer_rests_at_its_limit():
    venue = Venue([(1, 97, "1", -1), (2, 120, "2", 1)], bids=levels((90, 5)))
    engine, me = desk(venue)
    order = engine.place(
        me, "BTC-BRL", ask("sell", "stoplimit", "3", "96", stop_price=Decimal(97)), START
    )
    engine.advance(at(2))
    assert fills(engine.orders[order.id]) == [(96, 2, "maker")]
    assert me.purse("BTC").on_hold == 1


def test_a_post_only_order_that_would_cross_is_cancelled_or_refused():
    engine, me = desk()
    order = engine.place(me, "BTC-BRL", ask("buy", "post-only", "1", "101"), START)
    assert (order.status, order.filled) == (Status.CANCELLED, 0)
    assert me.purse("BRL").on_hold == 0
    engine, me = desk(post_only_crossing="rejected")
    with pytest.raises(Refusal, match="INVALID_LIMIT_PRICE"):
        engine.place(me, "BTC-BRL", ask("buy", "post-only", "1", "101"), START)
    assert engine.place(me, "BTC-BRL", ask("buy", "post-only", "1", "100"), START).is_open


def test_fees_are_base_of_a_buy_and_quote_of_a_sale():
    engine, me = desk(new_account_free_hours=0)
    bought = engine.place(me, "BTC-BRL", ask("buy", "market", "1"), START)
    assert bought.fee == Decimal("0.007")
    assert me.purse("BTC").total == Decimal("10.993")
    sold = engine.place(me, "BTC-BRL", ask("sell", "market", "1"), START)
    assert sold.fee == Decimal("0.693")
    assert sold.executions[0].fee_rate == Decimal("0.0070")


def test_a_resting_order_pays_as_a_maker():
    engine, me = desk(Venue([(1, 90, "1", -1)]), new_account_free_hours=0)
    order = engine.place(me, "BTC-BRL", ask("buy", "limit", "1", "95"), START)
    engine.advance(at(1))
    assert engine.orders[order.id].fee == Decimal("0.003")


def test_volume_lowers_fees_from_the_next_morning_on():
    engine, me = desk(brl=10**6, new_account_free_hours=0)
    for _ in range(2):
        engine.place(me, "BTC-BRL", ask("buy", "market", "90"), START)
        engine.market.asks = levels((110, 101))
    assert engine.rates(me, BTC).maker == Decimal("0.0030")
    engine.advance(START + DAY)
    assert engine.rates(me, BTC).maker == Decimal("0.0027")


def test_an_asynchronous_order_is_created_first_and_cannot_be_cancelled_yet():
    engine, me = desk()
    order = engine.place(me, "BTC-BRL", ask(qty="1", price="101", asynchronous=True), START)
    assert order.status is Status.CREATED
    assert me.purse("BRL").on_hold == 101
    with pytest.raises(Refusal, match="INVALID_STATUS"):
        engine.cancel(order, START)
    engine.advance(at(1))
    assert engine.orders[order.id].status is Status.FILLED


def test_an_order_can_be_filled_while_its_cancel_is_on_the_way():
    engine, me = desk(Venue([(0.2, 90, "9", -1)]))
    order = engine.place(me, "BTC-BRL", ask(qty="1", price="95"), START)
    assert engine.cancel(order, START).status is Status.WORKING
    engine.advance(at(1))
    assert engine.orders[order.id].status is Status.FILLED


def test_a_cancel_releases_exactly_what_is_held_and_may_be_repeated():
    engine, me = desk(Venue([(1, 90, "0.3", -1)]))
    order = engine.place(me, "BTC-BRL", ask(qty="1", price="95"), START)
    engine.cancel(order, at(2), asynchronous=False)
    order = engine.cancel(order, at(2), asynchronous=False)
    assert (order.status, order.filled) == (Status.CANCELLED, Decimal("0.3"))
    assert me.purse("BRL") == Purse(Decimal("9971.5"))
    engine.advance(at(9))
    assert engine.orders[order.id] == order


def test_a_filled_order_cannot_be_cancelled():
    engine, me = desk()
    order = engine.place(me, "BTC-BRL", ask("buy", "market", "1"), START)
    with pytest.raises(Refusal, match="INVALID_STATUS"):
        engine.cancel(order, START)


def test_orders_are_found_by_id_and_number_in_their_own_market():
    engine, me = desk()
    order = engine.place(me, "BTC-BRL", ask(qty="1", price="95"), START)
    assert engine.find(me, "BTC-BRL", order.id) == order
    assert engine.find(me, "BTC-BRL", str(order.number)) == order
    assert engine.find(me, "BTC-USDT", order.id) is None
    assert engine.find(Account("other"), "BTC-BRL", order.id) is None


def test_a_new_order_may_be_unknown_for_a_moment():
    engine, me = desk(new_order_hidden_ms=300)
    order = engine.place(me, "BTC-BRL", ask(qty="1", price="95"), START)
    assert engine.find(me, "BTC-BRL", order.id) is None
    assert list(engine.newest_first(me)) == []
    engine.advance(at(0.3))
    assert engine.find(me, "BTC-BRL", order.id) == order


REFUSALS = [
    ({"side": "hold"}, "INVALID_SIDE", "The params {side} needs to be buy or sell"),
    ({"kind": "foo"}, "INVALID_ORDER_TYPE", "Invalid order type"),
    ({"qty": "0"}, "INVALID_MIN_QUANTITY", "The param {qty} is lower than {0.00000001}"),
    ({"qty": "2e9"}, "INVALID_MAX_QUANTITY", "The param {qty} is higher than {1000000000}"),
    ({"qty": "0.000000011"}, "INVALID_DECIMAL_PLACES", "Invalid number of decimal places entered"),
    ({"qty": "1000"}, "INSUFFICIENT_BALANCE", "Insufficient balance to carry out the operation"),
    ({"price": "47"}, "INVALID_MIN_LIMIT_PRICE", "The param {limitPrice} is lower than {47.1}"),
    ({"price": "321"}, "INVALID_MAX_LIMIT_PRICE", "The param {limitPrice} is higher than {320}"),
    ({"price": "99.5"}, "INVALID_LIMIT_PRICE",
     "Price (99.50000000) must be a multiple of <1.00000000>"),
    ({"qty": "0.00001"}, "EXCEEDED_COST_LIMIT", "The minimum or maximum cost has been exceeded."),
    ({"kind": "market", "qty": "0.00001"}, "API_GENERIC_ERROR", "An unexpected error has occurred"),
    ({"kind": "stoplimit", "side": "sell"}, "MISSING_FIELD",
     "Param stopPrice cannot be empty in stoplimit orders"),
    ({"kind": "stoplimit", "stop_price": Decimal(1)}, "INVALID_SIDE",
     "Side must be sell on stoplimit orders"),
    ({"kind": "stoplimit", "side": "sell", "stop_price": Decimal(90)}, "INVALID_STOP_PRICE",
     "The param limitPrice cannot be higher than stopPrice"),
    ({"price": None}, "MISSING_FIELD", "Param limitPrice cannot be empty"),
    ({"qty": None}, "MISSING_FIELD", "Param qty cannot be empty"),
    ({"price": "1e99"}, "PARAMETER_SIZE_LARGE", "Parameter size larger than allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "message"), REFUSALS)
def test_a_wrong_order_is_refused_in_the_exchanges_words(change, code, message):
    engine, me = desk()
    with pytest.raises(Refusal) as refused:
        engine.place(me, "BTC-BRL", ask(**{"qty": "1", "price": "95"} | change), START)
    assert refused.value.status == 400
    assert refused.value.body == {"code": f"TRADING|PLACE_ORDER|{code}", "message": message}
    assert me.purse("BRL") == Purse(Decimal(10_000))


def test_checks_are_made_in_the_documented_order():
    engine, me = desk(brl=10)
    wrong = {"side": "x", "kind": "y", "qty": "0", "price": "1"}
    mended = [
        ("ETH-BRL", {}, "INVALID_PAIR"),
        ("BTC-BRL", {}, "INVALID_SIDE"),
        ("BTC-BRL", {"side": "buy"}, "INVALID_ORDER_TYPE"),
        ("BTC-BRL", {"kind": "limit"}, "INVALID_MIN_QUANTITY"),
        ("BTC-BRL", {"qty": "100"}, "INSUFFICIENT_BALANCE"),
        ("BTC-BRL", {"qty": "0.001"}, "INVALID_MIN_LIMIT_PRICE"),
        ("BTC-BRL", {"price": "95"}, "EXCEEDED_COST_LIMIT"),
    ]
    for symbol, change, code in mended:
        wrong |= change
        with pytest.raises(Refusal, match=code):
            engine.place(me, symbol, ask(**wrong), START)


def test_switches_open_what_is_shut_and_shut_what_is_open():
    engine, me = desk(buy_stop="accepted", market_cost="rejected", duplicate_external_id="refused")
    stop = ask("buy", "stoplimit", "1", "105", stop_price=Decimal(104), external_id="a")
    assert engine.place(me, "BTC-BRL", stop, START).waits
    with pytest.raises(Refusal, match="ORDER_DUPLICATE"):
        engine.place(me, "BTC-BRL", ask(price="95", external_id="a"), START)
    with pytest.raises(Refusal, match="INVALID_PARAMETER"):
        engine.place(me, "BTC-BRL", ask(kind="market", qty=None, cost=Decimal(50)), START)


def test_a_duplicate_external_id_is_allowed_by_default():
    engine, me = desk()
    for _ in range(2):
        assert engine.place(me, "BTC-BRL", ask(price="95", external_id="a"), START).is_open


def test_time_that_runs_backwards_changes_nothing():
    engine, me = desk(Venue([(1, 90, "9", -1)]))
    order = engine.place(me, "BTC-BRL", ask(price="95"), at(5))
    engine.advance(at(0))
    assert engine.now_ns == at(5)
    assert engine.orders[order.id] == order


def test_an_order_goes_as_deep_into_the_book_as_it_has_to():
    venue = Venue(asks=levels(*((101 + step, "0.01") for step in range(120))))
    engine, me = desk(venue)
    order = engine.place(me, "BTC-BRL", ask("buy", "limit", "1", "200"), START)
    assert (order.filled, len(order.executions)) == (Decimal("1"), 100)
    order = engine.place(me, "BTC-BRL", ask("buy", "market", "0.05"), START)
    assert [price for price, _, _ in fills(order)] == [201, 202, 203, 204, 205]
    by_cost = ask(kind="market", qty=None, cost=Decimal("10.3"))
    assert fills(engine.place(me, "BTC-BRL", by_cost, START))[-1][0] == 210


def test_the_size_ahead_is_seen_however_deep_it_rests():
    venue = Venue(bids=levels(*((199 - step, 1 + step) for step in range(100))))
    venue.asks = levels((250, 1))
    engine, me = desk(venue)
    order = engine.place(me, "BTC-BRL", ask("buy", "limit", "0.1", "120"), START)
    assert order.ahead == 80
