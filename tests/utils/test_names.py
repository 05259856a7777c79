from cq.utils.names import counted, in_full, is_text, markets_of


def test_one_is_singular():
    assert counted(1, "book", "books") == "1 book"
    assert counted(2000, "book", "books") == "2,000 books"


def test_bytes_that_are_no_text_are_told_from_names():
    assert is_text("pröjekt 💰")
    assert not is_text("o\udcff")


def test_a_base_alone_gets_the_quote_and_all_else_stays():
    assert in_full("BTC", "BRL") == "BTC-BRL"
    for name in ("BTC-USDT", "BTC/BRL", "", "-"):
        assert in_full(name, "BRL") == name


def test_a_base_alone_is_the_market_in_the_quote_then_what_is_called_so_then_any_other():
    known = ["BTC-USDT", "BTC-BRL", "BTC", "ETH-USDT", "ETH-EUR", "SOL", "SOL-USDT"]
    assert markets_of("BTC", "BRL", known) == ["BTC-BRL"]
    assert markets_of("BTC", "EUR", known) == ["BTC"]
    assert markets_of("ETH", "BRL", known) == ["ETH-EUR", "ETH-USDT"]
    assert markets_of("SOL", "BRL", known) == ["SOL"]
    assert markets_of("ETH-BRL", "BRL", known) == markets_of("DOGE", "BRL", known) == []
