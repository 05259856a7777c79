"""Calls into libraries that have to be told to break off: an exception alone does not end them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, TypeVar
from weakref import ref

T = TypeVar("T")

_OPEN: Final[set[ref[Any]]] = set()


def interruptible(connection: T) -> T:
    """The connection itself; `interrupt_all` breaks off what it does as long as somebody holds it.

    DuckDB waits for its other threads when an exception comes up in the one that asked, and they
    go on to the end of the query unless the connection is interrupted.
    """
    _OPEN.add(ref(connection, _OPEN.discard))
    return connection


def interrupt_all() -> None:
    """Break off what every connection is at; what is asked of it afterwards is answered."""
    for one in tuple(_OPEN):
        if (connection := one()) is not None:
            with suppress(Exception):  # it is closed
                connection.interrupt()
