from collections import defaultdict

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cq.ingest.books import messages_from_levels
from cq.ingest.pieces import Request
from cq.ingest.replay import MESSAGE, Side, books_of, replay

NOW = 1_795_000_000_000_000_000


def message(ts, *, bids=(), asks=(), full=False, first=None, last=None, symbol="BTC-USD"):
    return {
        "ts": ts,
        "symbol": symbol,
        "exchange": "x",
        "is_snapshot": full,
        "first_id": first,
        "last_id": last,
        "bid_prices": [float(price) for price, _ in bids],
        "bid_sizes": [float(size) for _, size in bids],
        "ask_prices": [float(price) for price, _ in asks],
        "ask_sizes": [float(size) for _, size in asks],
    }


def frame(*messages):
    return pl.DataFrame(list(messages), schema=MESSAGE)


def levels(book, side):
    return [(one["price"], one["size"]) for one in book[side]]


FULL = message(1, bids=[(10, 1), (9, 2)], asks=[(11, 1), (12, 2)], full=True, last=5)


def test_a_difference_sets_deletes_and_adds_levels():
    change = message(2, bids=[(10, 0), (9.5, 3)], asks=[(11, 4)], first=6, last=7)
    books, told = replay(frame(FULL, change), 20)
    first, second = books.to_dicts()
    assert levels(first, "bids") == [(10, 1), (9, 2)]
    assert levels(second, "bids") == [(9.5, 3), (9, 2)]
    assert levels(second, "asks") == [(11, 4), (12, 2)]
    assert books["last_id"].to_list() == [5, 7]
    assert told.notes() == ()


def test_only_the_best_levels_are_kept_but_deeper_ones_come_up_again():
    change = message(2, bids=[(10, 0)], first=6, last=6)
    books, _ = replay(frame(FULL, change), 1)
    assert [levels(book, "bids") for book in books.to_dicts()] == [[(10, 1)], [(9, 2)]]


def test_what_a_full_book_holds_already_is_dropped():
    old = message(2, bids=[(10, 7)], first=3, last=5)
    books, told = replay(frame(FULL, old), 20)
    assert books.height == 1
    assert told.old == 1


def test_differences_that_came_early_but_reach_beyond_the_full_book_follow_it():
    early = message(2, bids=[(10, 7)], first=4, last=6)
    stale = message(1, bids=[(8, 7)], first=1, last=3)
    books, told = replay(frame(stale, early, FULL), 20)
    assert books["ts"].to_list() == [1, 2]
    assert levels(books.to_dicts()[1], "bids") == [(10, 7), (9, 2)]
    assert told.before == 1


def test_after_a_gap_there_is_no_book_until_the_next_full_one():
    gap = message(2, bids=[(10, 7)], first=8, last=9)
    lost = message(3, bids=[(10, 8)], first=10, last=10)
    again = message(4, bids=[(10, 9)], asks=[(11, 9)], full=True, last=10)
    follow = message(5, bids=[(10, 1)], first=11, last=11)
    books, told = replay(frame(FULL, gap, lost, again, follow), 20)
    assert books["ts"].to_list() == [1, 4, 5]
    assert (told.gaps, told.lost) == (1, 2)
    assert told.notes()[0].startswith("1 gap in the update ids")
    assert told.notes()[1] == "2 differences lost to such gaps"


def test_without_ids_nothing_is_dropped():
    change = message(2, bids=[(10, 7)])
    books, _ = replay(frame(message(1, bids=[(10, 1)], full=True), change), 20)
    assert levels(books.to_dicts()[1], "bids") == [(10, 7)]


def test_differences_without_any_full_book_give_no_book():
    books, told = replay(frame(message(1, bids=[(10, 1)], first=1, last=1)), 20)
    assert books.is_empty()
    assert told.before == 1


def test_full_books_alone_are_sorted_and_cut_and_may_have_an_empty_side():
    first = message(1, bids=[(9, 2), (10, 1)], asks=[], full=True)
    second = message(2, bids=[], asks=[(12, 2), (11, 1), (13, 3)], full=True)
    books, _ = replay(frame(first, second), 2)
    one, two = books.to_dicts()
    assert (levels(one, "bids"), levels(one, "asks")) == ([(10, 1), (9, 2)], [])
    assert (levels(two, "bids"), levels(two, "asks")) == ([], [(11, 1), (12, 2)])


def asked(**options):
    return Request(**({"dataset": "orderbook_l2", "now_ns": NOW} | options))


def test_of_several_books_with_one_stamp_the_last_is_kept_and_it_is_said():
    change = message(1, bids=[(10, 7)], first=6, last=6)
    piece = books_of(frame(FULL, change), asked())
    assert piece.rows.height == 1
    assert levels(piece.rows.to_dicts()[0], "bids")[0] == (10, 7)
    assert piece.notes == (
        "2 messages → 1 book",
        "BTC-USD: 1 book shares a stamp with a later one, which is kept",
    )


def test_markets_are_replayed_apart():
    other = FULL | {"symbol": "ETH-USD", "last_id": 50}
    change = message(2, bids=[(10, 7)], first=6, last=6)
    piece = books_of(frame(FULL, other, change), asked())
    assert piece.rows.group_by("symbol").len().sort("symbol").rows() == [
        ("BTC-USD", 2),
        ("ETH-USD", 1),
    ]


def test_a_book_without_a_time_is_kept_apart_unless_a_time_is_given():
    piece = books_of(frame(FULL | {"ts": None}), asked())
    assert piece.broken["broken"].to_list() == [["ts_present"]]
    assert books_of(frame(FULL | {"ts": None}), asked(at_ns=9)).rows["ts"].to_list() == [9]


def test_a_stamp_that_stands_for_none_among_later_ones_is_kept_apart():
    late = FULL | {"ts": 1_700_000_000 * 10**9}
    piece = books_of(frame(late, FULL | {"ts": 0}, FULL | {"ts": -1}), asked())
    assert piece.rows["ts"].to_list() == [late["ts"]]
    assert piece.broken["broken"].to_list() == [["ts_not_before_2009"]] * 2


def test_a_level_that_is_no_number_breaks_its_message():
    piece = books_of(frame(FULL, FULL | {"ts": 2, "bid_sizes": [1.0, None]}), asked())
    assert piece.rows.height == 1
    assert piece.broken["broken"].to_list() == [["not_a_number"]]


changes = st.lists(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=4), max_size=12
)


@given(changes, st.integers(1, 5))
def test_a_side_is_what_a_plain_dict_says(steps, depth):
    for sign in (-1, 1):
        side, plain = Side(sign), {}
        for step in steps:
            side.apply([float(price) for price, _ in step], [float(size) for _, size in step])
            for price, size in step:
                plain.pop(price, None)
                if size:
                    plain[price] = size
            best = sorted(plain, reverse=sign < 0)[:depth]
            assert side.best(depth) == (best, [plain[price] for price in best])


class TestRealBooks:
    def replayed(self, path, symbol):
        rows = pl.read_parquet(path).filter(symbol=symbol)
        return replay(messages_from_levels(rows), 20)

    def test_the_replay_agrees_with_the_best_prices_at_every_common_update(self, shared):
        quotes = pl.read_parquet(shared / "market/book/bbo_binance_spot_20240808.parquet")
        for symbol, common in (("BTCUSDT", 564), ("ETHUSDT", 577)):
            books, told = self.replayed(
                shared / "market/book/l2_binance_spot_20240808.parquet", symbol
            )
            assert (told.gaps, told.lost) == (0, 0)
            best = books.select(
                update_id="last_id",
                **{
                    f"{side}_{what}": pl.col(f"{side}s").list.first().struct.field(what)
                    for side in ("bid", "ask")
                    for what in ("price", "size")
                },
            )
            both = quotes.filter(symbol=symbol).join(best, on="update_id")
            assert both.height == common
            for ours, theirs in (
                ("bid_price", "bid"),
                ("bid_size", "bid_size_right"),
                ("ask_price", "ask"),
                ("ask_size", "ask_size_right"),
            ):
                assert (both[ours] == both[theirs]).all()
            assert (best["bid_price"] < best["ask_price"]).all()

    def test_the_replay_agrees_with_a_plain_dict_all_the_way(self, shared):
        path = shared / "market/book/l2_coinbase_20210417.parquet"
        rows = pl.read_parquet(path).filter(symbol="SKL-BTC").sort("seq")
        books, _ = self.replayed(path, "SKL-BTC")
        plain = defaultdict(dict)
        last = {}
        for row in rows.iter_rows(named=True):
            plain[row["side"]].pop(row["price"], None)
            if row["size"]:
                plain[row["side"]][row["price"]] = row["size"]
            last[row["ts"], row["recv_ts"]] = (
                sorted(plain["bid"].items(), reverse=True)[:20],
                sorted(plain["ask"].items())[:20],
            )
        assert books.height == len(last)
        for book, (bids, asks) in zip(books.iter_rows(named=True), last.values(), strict=True):
            assert levels(book, "bids") == bids
            assert levels(book, "asks") == asks
