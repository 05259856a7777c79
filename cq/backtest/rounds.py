"""Closed round trips: positions of one symbol from the fill that opens them to the one that ends
them, which may be the one that turns them to the other side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cq.backtest.account import Fill
from cq.backtest.intents import Floats, Ints
from cq.backtest.pairing import pair
from cq.backtest.stepping import loaded
from cq.backtest.tape import Tape


class Trip(NamedTuple):
    """A closed round trip of one symbol: what it made after fees, in the quote currency.

    `paid` is the value of the fills on the side that opened it.
    """

    symbol: str
    opened_ts: int
    closed_ts: int
    profit: float
    paid: float = 0.0


class Trips(NamedTuple):
    """Round trips as columns, in the order in which they closed, by the fills that opened and
    closed each."""

    tape: Tape
    closed: Ints
    opened: Ints
    profit: Floats
    paid: Floats

    @classmethod
    def of(cls, fills: Sequence[Fill]) -> Trips:
        """Those of some fills."""
        tape = Tape.of(fills)
        columns = (tape.who, tape.signed, tape.price, tape.fee)
        state = (*np.zeros((4, len(tape.symbols))), np.zeros(len(tape.symbols), np.int64))
        made = (*np.zeros((2, len(tape)), np.int64), *np.zeros((2, len(tape))))
        code = loaded()
        if code is not None:
            count = code.pair(*columns, *state, *made)
            return cls(tape, *(one[:count] for one in made))
        listed = [one.tolist() for one in (*columns, *state, *made)]
        count = pair(*listed)
        trips: list[Any] = [
            np.array(one[:count], dtype=old.dtype)
            for one, old in zip(listed[-len(made) :], made, strict=True)
        ]
        return cls(tape, *trips)

    @property
    def opened_ts(self) -> Ints:
        """When each of them began."""
        return self.tape.ts[self.opened]

    @property
    def closed_ts(self) -> Ints:
        """When each of them closed."""
        return self.tape.ts[self.closed]


def round_trips(fills: Sequence[Fill]) -> list[Trip]:
    """Closed round trips in the order in which they closed."""
    found = Trips.of(fills)
    names = [found.tape.symbols[at] for at in found.tape.who[found.closed].tolist()]
    columns = (found.opened_ts, found.closed_ts, found.profit, found.paid)
    rows = zip(names, *(one.tolist() for one in columns), strict=True)
    return [Trip(*row) for row in rows]
