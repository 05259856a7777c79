"""Fills as columns are the fills that they were made of; round trips are those of a plain loop."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest import compiled, rounds
from cq.backtest.account import Fill
from cq.backtest.rounds import Trips, round_trips
from cq.backtest.tape import TRADES, Tape

FILLS = st.lists(
    st.builds(
        Fill,
        ts=st.integers(0, 10**18),
        symbol=st.sampled_from(["A-B", "C-B", "é-B"]),
        side=st.sampled_from(["buy", "sell"]),
        qty=st.sampled_from([1.0, 2.0, 0.1, 0.2, 0.3, 7.25]),
        price=st.floats(0.01, 1e6),
        fee=st.floats(0, 10),
        slippage=st.floats(0, 10),
        reason=st.sampled_from(["signal", "stop_loss", "as it was said on paper"]),
    ),
    max_size=30,
)


@given(FILLS)
def test_columns_give_the_fills_back(fills):
    tape = Tape.of(fills)
    assert tape == fills
    assert len(tape) == len(fills)
    assert [tape[at] for at in range(-len(fills), len(fills))] == fills + fills
    assert tape[1:-1] == fills[1:-1]
    assert Tape.of(tape) is tape
    with pytest.raises(IndexError):
        tape[len(fills)]


@given(FILLS)
def test_a_row_a_fill(fills):
    columns = {name: [getattr(one, name) for one in fills] for name in TRADES}
    assert Tape.of(fills).frame().equals(pl.DataFrame(columns, schema=TRADES))


@given(FILLS)
def test_rows_of_a_symbol_are_in_the_order_of_the_fills(fills):
    tape = Tape.of(fills)
    for symbol in ("A-B", "C-B", "never traded"):
        rows = [at for at, one in enumerate(fills) if one.symbol == symbol]
        assert tape.rows_of(symbol).tolist() == rows


@given(FILLS, FILLS)
def test_a_tape_goes_on_where_another_ended(one, other):
    assert Tape.of(one) + Tape.of(other) == one + other
    whole = Tape.of(one + other)
    assert whole[: len(one)] + whole[len(one) :] == whole


def at_zero(fills):
    """Quantities and fees of one symbol's fills, those that turn it cut in two where it is zero."""
    held = 0.0
    for place, one in fills:
        sign = 1 if one.side == "buy" else -1
        before, held = held, held + sign * one.qty
        if abs(held) <= 1e-9 * one.qty:
            held = 0.0
        if before * held < 0:
            out = one.fee * (abs(before) / one.qty)
            yield place, one, sign, abs(before), out, True
            yield place, one, sign, abs(held), one.fee - out, False
        else:
            yield place, one, sign, one.qty, one.fee, held == 0


def plainly(fills):
    """Round trips, symbol by symbol."""
    found = []
    for symbol in {one.symbol for one in fills}:
        flow = paid = 0.0
        side = since = None
        mine = [(place, one) for place, one in enumerate(fills) if one.symbol == symbol]
        for place, one, sign, qty, fee, ends in at_zero(mine):
            if side is None:
                side, since = one.side, one.ts
            if one.side == side:
                paid += qty * one.price
            flow = flow - sign * qty * one.price - fee
            if ends:
                found.append((place, symbol, since, one.ts, flow, paid))
                flow = paid = 0.0
                side = None
    return [row[1:] for row in sorted(found)]


@given(FILLS)
def test_round_trips_are_those_of_a_plain_loop(fills):
    trips = round_trips(fills)
    found = [(one.symbol, one.opened_ts, one.closed_ts, one.profit, one.paid) for one in trips]
    assert found == plainly(fills)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_machine_code_pairs_fills_as_python_does(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    fills = [
        Fill(
            int(at), f"{'ABC'[rng.integers(3)]}-B", ("buy", "sell")[rng.integers(2)],
            float(rng.integers(1, 3)), rng.uniform(1, 9), rng.uniform(), 0.0,
        )
        for at in range(2_000)
    ]  # fmt: skip
    tape = Tape.of(fills)
    both = []
    for code in (None, compiled.compiled()):
        monkeypatch.setattr(rounds, "loaded", lambda code=code: code)
        both.append(Trips.of(tape))
    for name in ("closed", "opened", "profit", "paid"):
        one, other = (getattr(trips, name) for trips in both)
        assert one.tobytes() == other.tobytes(), name
    assert both[0].closed.size > 9
