"""Answers have the shape of what was recorded, and of the exchange's own OpenAPI document."""

import json
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml
from jsonschema import Draft4Validator
from simulator import START, TAPE, simulation

from cq.sim import frames
from cq.sim.public import ticker
from cq.sim.server import running
from cq.sim.subscriptions import Subscriptions
from cq.utils.time import SECOND

NOW_S = START // SECOND


@pytest.fixture
def fixtures(shared):
    return shared / "mercado_bitcoin" / "fixtures"


@pytest.fixture(scope="module")
def rest():
    with running(simulation()) as address:
        yield address.rest


def ask(rest, path):
    try:
        with urlopen(f"{rest}{path}", timeout=10) as reply:
            return reply.status, json.loads(reply.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def shape(value):
    """Types, keys and how numbers are written; lists by their first element."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str) and value.replace(".", "").isdigit():
        return f"text with {len(value.partition('.')[2])} decimals"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("tickers_BTC-BRL_20260927", "/tickers?symbols=BTC-BRL"),
        ("tickers_unknown_symbol_20260923", "/tickers?symbols=NOPE-BRL"),
        ("orderbook_CLV-BRL_empty_20260923", "/CLV-BRL/orderbook?limit=5"),
        ("trades_BTC-BRL_noparams_first3_20251224_par", "/BTC-BRL/trades"),
        ("trades_BTC-BRL_limit50_first3_20251119", "/BTC-BRL/trades?limit=50"),
        ("candles_BTC-BRL_1h_2bars_20260927", f"/candles?symbol=BTC-BRL&resolution=1h&to={NOW_S}"),
    ],
)
def test_an_answer_is_shaped_like_the_recorded_one(fixtures, rest, name, path):
    recorded = json.loads((fixtures / "rest_v4" / f"{name}.json").read_text())
    status, body = ask(rest, path)
    assert status == 200
    assert shape(body) == shape(recorded)


def test_a_books_levels_are_written_like_the_recorded_ones(fixtures, rest):
    path = fixtures / "rest_v4" / "orderbook_BTC-BRL_asks_head_20251224_par.json"
    body = ask(rest, "/BTC-BRL/orderbook?limit=7")[1]
    assert shape(body["asks"]) == shape(json.loads(path.read_text())["asks"])


def test_symbols_have_every_recorded_column(fixtures, rest):
    path = fixtures / "rest_v4" / "symbols_BTC-BRL_202301.json"
    recorded = json.loads(path.read_text())
    body = ask(rest, "/symbols?symbols=BTC-BRL")[1]
    assert set(recorded) <= set(body)
    for name in set(recorded) - {"withdrawal-fee", "withdraw-minimum", "deposit-minimum"}:
        assert shape(body[name]) == shape(recorded[name]), name


def test_fees_have_the_recorded_keys(fixtures, rest):
    recorded = json.loads((fixtures / "rest_v4" / "asset_fees_BTC_20251119.json").read_text())
    body = ask(rest, "/BTC/fees")[1]
    assert list(body) == list(recorded)
    assert all(isinstance(one, str) for one in body.values())


def test_errors_are_the_recorded_ones_to_the_letter(fixtures, rest):
    checked = 0
    for row in json.loads((fixtures / "rest_v4" / "errors.json").read_text()):
        method, _, rest_of = row["request"].partition(" ")
        path = rest_of.partition(" ")[0]
        if method != "GET" or "{" in path or row["body"] is None:
            continue
        path = path.removeprefix("/api/v4")
        if path == "/candles":
            query = "to=-1&resolution=1h" if "to=-1" in rest_of else "to=9&resolution=nonsense"
            path = f"/candles?symbol=BTC-BRL&{query}"
        status, body = ask(rest, path)
        assert body["message"] == row["body"]["message"]
        if row["status"] is not None:
            assert (status, body) == (row["status"], row["body"])
        checked += 1
    assert checked >= 9


def test_answers_keep_to_the_openapi_document(fixtures, rest):
    document = yaml.safe_load((fixtures / "openapi" / "openapi_v5.33.4.yaml").read_text())
    asked = {
        "/symbols": "/symbols",
        "/tickers": "/tickers?symbols=BTC-BRL,CLV-BRL",
        "/candles": f"/candles?symbol=BTC-BRL&resolution=1h&to={NOW_S}&countback=5",
        "/{symbol}/orderbook": "/BTC-BRL/orderbook?limit=9",
        "/{symbol}/trades": "/BTC-BRL/trades",
        "/{asset}/fees": "/BTC/fees",
        "/{asset}/networks": "/USDT/networks",
    }
    for template, path in asked.items():
        schema = document["paths"][template]["get"]["responses"]["200"]["schema"]
        whole = schema | {"definitions": document["definitions"]}
        said = [error.message for error in Draft4Validator(whole).iter_errors(ask(rest, path)[1])]
        assert said == [], template


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_frames_are_shaped_like_the_recorded_ones(fixtures):
    listing = TAPE.listings["BTC-BRL"]
    trades = TAPE.trades_by_id("BTC-BRL", 1, 1, START)
    book = TAPE.book_arrays("BTC-BRL", START, 10)
    made = {
        "trade": frames.trade_texts(listing, trades, 0)["text"][0],
        "orderbook": frames.book_text(listing, book, 10, START, START),
        "ticker": frames.ticker_text(listing, ticker(simulation(), "BTC-BRL", START), START),
    }
    for name, text in made.items():
        [recorded, *_] = lines(fixtures / "ws" / f"{name}_20251224_par.jsonl")
        assert shape(json.loads(text)) == shape(recorded), name
        assert list(json.loads(text)) == list(recorded), name


def test_every_recorded_reply_to_a_client_is_given_again(fixtures):
    socket = Subscriptions(TAPE, one_book_limit=True)
    for row in json.loads((fixtures / "ws" / "client_frames_and_replies.json").read_text()):
        text = row.get("send_raw") or json.dumps(row["send"])
        if "second time" in row.get("note", ""):
            socket.told(text, START)
        assert socket.told(text, START) == row["receive"], row
