import asyncio
import logging

import pytest
from h2_exchange import H2Exchange

from cq.exchanges.mercado_bitcoin import AsyncRest, Rest, accounts

LIST = accounts.accounts()


@pytest.fixture
def modern(locked, tmp_path, monkeypatch):
    """The exchange behind TLS and HTTP/2."""
    with H2Exchange(locked, tmp_path) as one:
        monkeypatch.setenv("SSL_CERT_FILE", str(one.certificate))
        yield one


def test_http2_is_spoken_where_it_is_offered_all_calls_on_one_connection(locked, modern):
    settings = locked.ingestion(rest_base_url=modern.url)
    with Rest(settings, credentials=locked.key()) as rest:
        first = [rest.ask(LIST) for _ in range(3)]

    async def run():
        async with AsyncRest(settings, credentials=locked.key()) as later:
            await later.ask(LIST)
            return await asyncio.gather(*(later.ask(LIST) for _ in range(20)))

    assert asyncio.run(run()) == first[:1] * 20
    assert len(modern.connections) == 2
    assert len(locked.issued) == 2


def test_the_headers_of_http2_are_in_no_log(locked, modern, caplog):
    caplog.set_level(logging.DEBUG)
    with Rest(locked.ingestion(rest_base_url=modern.url), credentials=locked.key()) as rest:
        rest.ask(LIST)
    assert caplog.records
    assert locked.issued[0] not in caplog.text
    assert "Bearer" not in caplog.text


def test_a_certificate_that_is_not_trusted_is_out_of_reach(locked, modern, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with (
        Rest(locked.ingestion(rest_base_url=modern.url), credentials=locked.key()) as rest,
        pytest.raises(Exception, match="certificate"),
    ):
        rest.ask(LIST)
    assert locked.asked == []
