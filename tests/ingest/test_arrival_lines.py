import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trade_market import trades

from cq.exchanges.feed import Closed, Fill, Frame, Opened, Seed
from cq.ingest.arrival_lines import DAMAGE, arrival_of, lines_of

BOOK = {"ts": 5, "bids": [], "asks": [], "symbol": "BTC-BRL", "exchange": "test"}
(FILL,) = (
    json.loads(line)
    for line in lines_of([Fill(7, "BTC-BRL", 1, 2, trades([5, 6]), newest=4)]).splitlines()
)
LINES: dict[str, dict[str, Any]] = {
    "frame": {"at": 1, "session": "a", "frame": "{}"},
    "bytes": {"at": 1, "session": "a", "bytes": "/w=="},
    "opened": {"at": 1, "session": "a", "opened": "trades"},
    "closed": {"at": 1, "session": "a", "closed": "trades", "reason": "1006"},
    "seed": {"at": 1, "symbol": "BTC-BRL", "seed": BOOK},
    "fill": FILL,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def test_lines_keep_the_order_of_all_kinds():
    lines = lines_of([Opened(1, "a", "trades"), Frame(2, b"x", "a"), Closed(3, "a", "b", "c")])
    assert [json.loads(one)["at"] for one in lines.decode().splitlines()] == [1, 2, 3]


@pytest.mark.parametrize("kind", LINES)
def test_each_kind_of_line_is_read(kind):
    kinds = {"seed": Seed, "fill": Fill, "opened": Opened, "closed": Closed}
    assert type(arrival_of(LINES[kind])) is kinds.get(kind, Frame)


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("frame", {"frame": 5}, "found 5, expected text"),
        ("frame", {"at": 2**63}, "expected a whole number from 0"),
        ("frame", {"at": "5"}, 'found "5", expected a whole number'),
        ("frame", {"session": None}, "found null, expected text"),
        ("opened", {"opened": ["trades"]}, "expected text"),
        ("fill", {"fill": ["1", "2"]}, 'found "1", expected a whole number'),
        ("fill", {"seen": None}, "found null, expected a whole number"),
        ("fill", {"lost": 1}, "found 1, expected true or false"),
        ("fill", {"trades": [[*FILL["trades"][0][:4], "x7", *FILL["trades"][0][5:]]]}, "x7"),
        ("fill", {"trades": [[None, *FILL["trades"][0][1:]]]}, "trades that lack nothing"),
        ("fill", {"trades": [[*FILL["trades"][0][:3], "bye", *FILL["trades"][0][4:]]]}, "buy or"),
        ("seed", {"seed": BOOK | {"bids": None}}, "orderbook_l2 that lack nothing"),
    ],
)
def test_a_line_that_was_changed_is_refused_with_what_was_found(kind, changed, said):
    with pytest.raises(DAMAGE) as refused:
        arrival_of(LINES[kind] | changed)
    assert said in str(refused.value)


@given(data=st.data(), kind=st.sampled_from(sorted(LINES)), value=JSON)
def test_whatever_stands_in_a_line_it_is_an_arrival_or_damage(data, kind, value):
    key = data.draw(st.sampled_from(sorted(LINES[kind])))
    with suppress(DAMAGE):
        arrival_of(LINES[kind] | {key: value})
