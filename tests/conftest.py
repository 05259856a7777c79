"""Fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from exchange import Exchange
from hypothesis import settings

from cq.lake import swap
from cq.lake.catalog import Catalog

settings.register_profile("cq", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("cq")
"""The same cases for the same code; `make explore` looks for others."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real market data and exchange facts that lies beside the project.

    Tests without it are left out; the project's own recordings (below) do for what matters most.
    """
    for folder in Path(__file__).resolve().parents:
        if (folder / "shared" / "market").is_dir():
            return folder / "shared"
    pytest.skip("needs ../shared (real market data and recorded replies), which is not there")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Replies of the exchange that are part of the project."""
    return Path(__file__).resolve().parent / "recordings" / "mercado_bitcoin"


@pytest.fixture
def nothing_lingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced folders go at once: nobody is about to list them in a test of one process."""
    monkeypatch.setattr(swap, "LINGER_S", 0)


@pytest.fixture
def lake_db_stays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands leave `lake.db` alone, unless a test is of it: to write it takes a second.

    tests/lake/test_catalog.py and tests/cli/test_lake_open_elsewhere.py are of nothing else.
    """
    if "lake_db" not in request.node.name:
        monkeypatch.setattr(Catalog, "refresh", lambda _: True)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """A loopback exchange, listening; see tests/exchange.py."""
    with Exchange() as one:
        yield one
