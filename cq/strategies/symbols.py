"""Which markets a strategy means, given what the lake holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cq.errors import UnknownSymbol, UsageError
from cq.utils.names import in_full, markets_of


def with_quote(symbols: Sequence[str], quote: str) -> tuple[str, ...]:
    """Symbols in full: a base alone is traded against `quote`."""
    return tuple(in_full(one, quote) for one in symbols)


def once_each(symbols: Sequence[str], found: Sequence[str]) -> tuple[str, ...]:
    """The markets that `symbols` were `found` to mean; UsageError where two are the same one."""
    for place, full in enumerate(found):
        if (before := found.index(full)) < place:
            raise UsageError(
                f"symbols: {symbols[before]} and {symbols[place]} are one market, {full}; "
                "name it once"
            )
    return tuple(found)


def resolve(
    symbols: Sequence[str], quote: str, held: Iterable[str]
) -> tuple[tuple[str, ...], list[str]]:
    """The symbols in full as the lake has them, and a note for each that was chosen.

    A base alone means BASE-`quote`; where the lake lacks that but holds the base in exactly one
    other market, that one is taken, and the note says so. UnknownSymbol names what there is;
    UsageError where two of them are one market.
    """
    held = set(held)
    found: list[str] = []
    notes: list[str] = []
    for said, full in zip(symbols, with_quote(symbols, quote), strict=True):
        markets = markets_of(said, quote, held)
        if len(markets) != 1:
            raise UnknownSymbol(full, held, _advice(said, markets))
        if markets != [full]:
            notes.append(f"{said}: the lake has no {full}, taking {markets[0]}")
        found += markets
    return once_each(symbols, found), notes


def _advice(said: str, others: Sequence[str]) -> str:
    if others:
        return f"say which of {' and '.join(others)}: --set symbols={others[0]}"
    return f"fetch it with `cq lake ingest {said}` or name one of these with --set symbols=…"
