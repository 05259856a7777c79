"""Arrivals as JSON lines, and back; what a line may hold is checked, for people edit recordings."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cq.exchanges.feed import Arrival, Closed, Fill, Frame, Opened, Seed
from cq.lake.datasets import ORDERBOOK_L2, TRADES, Dataset

DAMAGE: Final = (
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    RecursionError,
    pl.exceptions.PolarsError,
)
"""What a line that is none ends in."""

_MOST: Final = 2**63 - 1
_COUNT: Final = "a whole number from 0 to 2^63 - 1"


def lines_of(arrivals: Sequence[Arrival]) -> bytes:
    """Arrivals as JSON lines; runs of frames in one go."""
    out: list[bytes] = []
    frames: list[Frame] = []
    for one in arrivals:
        if isinstance(one, Frame):
            frames.append(one)
            continue
        if frames:
            out.append(_frames(frames))
            frames = []
        out.append(json.dumps(_said(one), separators=(",", ":")).encode() + b"\n")
    if frames:
        out.append(_frames(frames))
    return b"".join(out)


def _frames(frames: Sequence[Frame]) -> bytes:
    try:
        texts = [one.data.decode() for one in frames]
    except UnicodeDecodeError:
        return b"".join(_frame(one) for one in frames)
    lines = pl.DataFrame(
        {
            "at": [one.received_ns for one in frames],
            "session": [one.session for one in frames],
            "frame": texts,
        },
        schema={"at": pl.Int64, "session": pl.String, "frame": pl.String},
    ).select(pl.struct(pl.all()).struct.json_encode())
    return "\n".join(lines.to_series()).encode() + b"\n"


def _frame(frame: Frame) -> bytes:
    try:
        said = {"frame": frame.data.decode()}
    except UnicodeDecodeError:
        said = {"bytes": base64.b64encode(frame.data).decode()}
    line = {"at": frame.received_ns, "session": frame.session, **said}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _said(one: Opened | Closed | Fill | Seed) -> dict[str, Any]:
    if isinstance(one, Seed):
        (book,) = one.book.select(*ORDERBOOK_L2.schema).rows(named=True)
        return {"at": one.at_ns, "symbol": one.symbol, "seed": book}
    if isinstance(one, Opened):
        return {"at": one.at_ns, "session": one.session, "opened": one.channel}
    if isinstance(one, Closed):
        said = {"closed": one.channel, "reason": one.reason}
        return {"at": one.at_ns, "session": one.session, **said}
    return {
        "at": one.at_ns,
        "symbol": one.symbol,
        "fill": [one.first_id, one.last_id],
        "lost": one.lost,
        "seen": one.seen_ns,
        "newest": one.newest,
        "trades": one.trades.select(*TRADES.schema).rows(),
    }


def arrival_of(said: dict[str, Any]) -> Arrival:
    """The arrival of one line; one of DAMAGE where it is none."""
    at = _count(said["at"])
    if "seed" in said:
        return Seed(at, _text(said["symbol"]), _rows([said["seed"]], ORDERBOOK_L2))
    if "fill" in said:
        return _fill(at, said)
    session = _text(said["session"])
    if "frame" in said:
        return Frame(at, _text(said["frame"]).encode(), session)
    if "bytes" in said:
        return Frame(at, base64.b64decode(_text(said["bytes"]), validate=True), session)
    if "opened" in said:
        return Opened(at, session, _text(said["opened"]))
    return Closed(at, session, _text(said["closed"]), _text(said["reason"]))


def _fill(at: int, said: dict[str, Any]) -> Fill:
    first, last = said["fill"]
    rows = _rows(said["trades"], TRADES)
    rows["trade_id"].cast(pl.Int64)  # which the order of trades goes by
    _of(rows["side"].is_in(["buy", "sell"]).all(), said["trades"], "buy or sell as each side")
    lost, newest = said["lost"], said["newest"]
    _of(isinstance(lost, bool), lost, "true or false")
    return Fill(
        at,
        _text(said["symbol"]),
        _count(first),
        _count(last),
        rows,
        lost=lost,
        seen_ns=_count(said["seen"]),
        newest=None if newest is None else _count(newest),
    )


def _rows(rows: list[Any], of: Dataset) -> pl.DataFrame:
    """Rows of a dataset, none of which lacks anything."""
    found = pl.DataFrame(rows, schema=dict(of.schema), orient="row")
    _of(not sum(found.null_count().row(0)), rows, f"{of.name} that lack nothing")
    return found


def _of(fits: bool, value: object, expected: str) -> None:
    if not fits:
        raise ValueError(f"found {json.dumps(value)[:60]}, expected {expected}")


def _count(value: Any) -> int:
    _of(_is_count(value), value, _COUNT)
    return int(value)


def _text(value: Any) -> str:
    _of(isinstance(value, str), value, "text")
    return str(value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_ids(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


HEADER: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "symbols": ("a list of names", _are_names),
    "after": ("an id for each symbol", _are_ids),
    "began": (_COUNT, _is_count),
    "part": (_COUNT, _is_count),
}
"""What is read of a recording's first line: what is expected there, and whether it is."""
