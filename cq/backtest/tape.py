"""Fills as columns, as an execution writes them down; one of them is an object when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.backtest.account import Fill, Side
from cq.backtest.intents import Floats, Ints
from cq.backtest.world import FILL

REASONS: Final = ("signal", "stop_loss", "take_profit", "trailing_stop", "max_bars", "other_leg")
"""What makes a fill, by the loop's number for it."""
TRADES: Final = {
    "ts": pl.Int64,
    "symbol": pl.String,
    "side": pl.String,
    "qty": pl.Float64,
    "price": pl.Float64,
    "fee": pl.Float64,
    "slippage": pl.Float64,
    "reason": pl.String,
}
COLUMNS: Final = ("ts", "who", "why", "signed", "price", "fee", "slippage", "at_close")


@dataclass(frozen=True, eq=False)
class Tape(Sequence[Fill]):
    """Fills in the order in which they happened.

    `who` and `why` are places in `symbols` and `reasons`; `signed` is the quantity, a sale's below
    zero.
    """

    symbols: tuple[str, ...]
    reasons: tuple[str, ...]
    ts: Ints
    who: Ints
    why: Ints
    signed: Floats
    price: Floats
    fee: Floats
    slippage: Floats
    at_close: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, fills: Sequence[Fill]) -> Tape:
        """The columns of some fills; those of a tape as they are."""
        if isinstance(fills, Tape):
            return fills
        symbols, reasons = (
            {name: place for place, name in enumerate(dict.fromkeys(names))}
            for names in ((one.symbol for one in fills), (one.reason for one in fills))
        )
        rows = [
            (
                one.ts, symbols[one.symbol], reasons[one.reason],
                one.qty if one.side == "buy" else -one.qty, one.price, one.fee, one.slippage,
            )
            for one in fills
        ]  # fmt: skip
        at_close = np.array([one.at_close for one in fills], dtype=bool)
        return cls.of_rows(np.array(rows, dtype=FILL), at_close, tuple(symbols), tuple(reasons))

    @classmethod
    def of_rows(
        cls,
        rows: Any,
        at_close: npt.NDArray[np.bool_],
        symbols: tuple[str, ...],
        reasons: tuple[str, ...] = REASONS,
    ) -> Tape:
        """The columns of records, as the loop over bars writes them, with moments for `when`."""
        columns = [np.ascontiguousarray(rows[name]) for name, _ in FILL]
        return cls(symbols, reasons, *columns, at_close)  # type: ignore[call-arg]

    @classmethod
    def joined(cls, tapes: Sequence[Tape]) -> Tape:
        """The fills of one tape after those of another."""
        symbols, who = _together([(one.symbols, one.who) for one in tapes])
        reasons, why = _together([(one.reasons, one.why) for one in tapes])
        ts, *rest = (
            np.concatenate([getattr(one, name) for one in tapes])
            for name in COLUMNS
            if name not in ("who", "why")
        )
        return cls(symbols, reasons, ts, who, why, *rest)

    @property
    def qty(self) -> Floats:
        """Quantities, buys and sales alike."""
        return np.abs(self.signed)

    def rows_of(self, symbol: str) -> Ints:
        """Which of the fills are of a symbol."""
        return self._rows.get(symbol, np.zeros(0, dtype=np.int64))

    @cached_property
    def _rows(self) -> dict[str, Ints]:
        if not self.symbols:
            return {}
        few = self.who.astype(np.min_scalar_type(len(self.symbols)))  # sorted by their digits
        order = np.argsort(few, kind="stable")
        ends = np.cumsum(np.bincount(self.who, minlength=len(self.symbols)))[:-1]
        return dict(zip(self.symbols, np.split(order, ends), strict=True))

    def frame(self) -> pl.DataFrame:
        """A row a fill."""
        columns = {
            "ts": self.ts,
            "symbol": _named(self.symbols, self.who),
            "side": _named(("sell", "buy"), (self.signed > 0).astype(np.int64)),
            "qty": self.qty,
            "price": self.price,
            "fee": self.fee,
            "slippage": self.slippage,
            "reason": _named(self.reasons, self.why),
        }
        return pl.DataFrame(columns, schema=TRADES)

    def __len__(self) -> int:
        return int(self.ts.size)

    def __iter__(self) -> Iterator[Fill]:
        columns = (getattr(self, name).tolist() for name in COLUMNS)
        for ts, who, why, signed, price, fee, slippage, at_close in zip(*columns, strict=True):
            side: Side = "buy" if signed > 0 else "sell"
            symbol, reason = self.symbols[who], self.reasons[why]
            yield Fill(ts, symbol, side, abs(signed), price, fee, slippage, reason, at_close)

    @overload
    def __getitem__(self, at: int) -> Fill: ...
    @overload
    def __getitem__(self, at: slice) -> Tape: ...
    def __getitem__(self, at: int | slice) -> Fill | Tape:
        rows = at if isinstance(at, slice) else slice(at, at + 1 or None)
        columns = (getattr(self, name)[rows] for name in COLUMNS)
        part = Tape(self.symbols, self.reasons, *columns)
        if isinstance(at, slice):
            return part
        if not part:
            raise IndexError(at)
        return next(iter(part))

    def __add__(self, later: Tape) -> Tape:
        return Tape.joined([self, later])

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, (Tape, list)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _together(named: Sequence[tuple[tuple[str, ...], Ints]]) -> tuple[tuple[str, ...], Ints]:
    """Names of several tapes as those of one, and the places among them."""
    all_of_them = tuple(dict.fromkeys(name for names, _ in named for name in names))
    places = [
        np.array([all_of_them.index(name) for name in names], dtype=np.int64)[at]
        for names, at in named
    ]
    return all_of_them, np.concatenate(places) if places else np.zeros(0, dtype=np.int64)


def _named(names: tuple[str, ...], places: Ints) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(pl.Series(places, dtype=pl.UInt32))
