"""The markets that SYMBOLS of a command name: a base alone (`BTC`) is in the setting `quote`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

from cq.cli.output import note
from cq.errors import UnknownSymbol, UsageError
from cq.utils.names import in_full, markets_of

if TYPE_CHECKING:
    from cq.cli.app import App
    from cq.utils.settings import Settings

symbols_argument = click.argument("symbols", nargs=-1, metavar="[SYMBOL]...")
"""SYMBOLS as every command takes them."""


def to_fetch(symbols: Sequence[str], settings: Settings) -> list[str]:
    """The symbols to ask the exchange for, each once, none excluded; the configured ones of none.

    UsageError where the exchange would not read one as BASE-QUOTE.
    """
    from cq.exchanges.mercado_bitcoin.symbols import checked

    if not symbols:
        return [one for one in settings.symbols if one not in settings.exclusions]
    quote, found = settings.quote, []
    for name in symbols:
        alone = re.fullmatch(r"[A-Z0-9]+", name) and not name.endswith(quote)
        symbol = checked(in_full(name, quote) if alone else name)
        if symbol in settings.exclusions:
            raise UsageError(f"{symbol} is among the `exclusions` of the settings; remove it there")
        found.append(symbol)
    return list(dict.fromkeys(found))


def in_lake(
    app: App, symbols: Sequence[str], known: Collection[str] | None = None
) -> tuple[str, ...]:
    """The symbols as the lake has them, each once; of those that are `known` for what is asked.

    UnknownSymbol where it has nothing of one of them; NoLake where there is none.
    """
    from cq.lake.windows import check_known, words_in

    lake = app.found_lake
    if not symbols:
        return ()
    known = words_in(lake, "symbol") if known is None else known
    found = meant(symbols, app.settings.quote, known)
    check_known("symbol", found, known)
    return found


def meant(symbols: Sequence[str], quote: str, known: Collection[str]) -> tuple[str, ...]:
    """The symbols as they are `known`, each once, with a note on those that had to be chosen.

    One that is not known is told in full. UnknownSymbol where a base alone may be several others.
    """
    found = []
    for said in symbols:
        full, markets = in_full(said, quote), markets_of(said, quote, known)
        if len(markets) > 1:
            raise UnknownSymbol(full, known, f"say which of {' and '.join(markets)}")
        market = markets[0] if markets else full
        if market not in (said, full):
            note(f"{said}: there is no {full}, taking {market}")
        found.append(market)
    return tuple(dict.fromkeys(found))
