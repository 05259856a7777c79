"""What each exchange that cq knows offers, held against the protocols."""

import inspect

import pytest

from cq.errors import UsageError
from cq.exchanges import Account, Feed, Market, Missing, exchange
from cq.exchanges.doors import KNOWN
from cq.exchanges.mercado_bitcoin import MercadoBitcoinAccount
from cq.utils.config import defaults


def asked(protocol):
    """The names that a protocol asks for."""
    return [name for name in dir(protocol) if not name.startswith("_")]


@pytest.mark.parametrize("name", KNOWN)
def test_an_exchange_offers_all_that_the_protocols_ask(name, tmp_path):
    one, ingestion = exchange(name), defaults(tmp_path).ingestion
    assert one.name == name
    with one.market(ingestion) as market:
        pairs = [(Market, market), (Missing, market), (Feed, one.feed(ingestion))]
        for protocol, offered in [*pairs, (Account, MercadoBitcoinAccount)]:
            for wanted in asked(protocol):
                mine, theirs = getattr(offered, wanted), getattr(protocol, wanted)
                if inspect.isfunction(theirs):
                    names = list(inspect.signature(theirs).parameters)
                    assert set(names) - {"self"} <= set(inspect.signature(mine).parameters), wanted


def test_an_exchange_that_nobody_knows_is_one_line():
    with pytest.raises(UsageError, match="there is mercadobitcoin"):
        exchange("kraken")
