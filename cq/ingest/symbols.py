"""Other people's names of a market, turned into `BASE-QUOTE`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FIAT: Final = _words(
    "ARS AUD BRL CAD CHF CLP COP CZK EUR GBP HKD IDR INR JPY KRW MXN NGN NZD PLN RON RUB SGD TRY "
    "UAH USD ZAR"
)
QUOTES: Final = FIAT | _words(
    "BNB BTC BUSD DAI ETH EURC FDUSD PAX TUSD USDC USDD USDP USDT UST XBT"
)
BASES: Final = (QUOTES - FIAT) | _words(
    "1INCH AAVE ADA ALGO APE APT ARB ATOM AVAX AXS BAND BAT BCH BONK BSV CHZ COMP CRO CRV DASH "
    "DOGE DOT ENJ EOS ETC FET FIL FLOW FTM FTT GALA GRT HBAR ICP IMX INJ IOTA KSM LDO LINK LTC "
    "LUNA MANA MATIC MKR NEAR NEO NMR NU OMG OP PAXG PEPE POL QTUM REN RNDR SAND SEI SHIB SKL SNX "
    "SOL STETH STX SUI SUSHI TIA TON TRX UNI VET WBTC WIF WLD XLM XMR XRP XTZ YFI ZEC ZRX"
)

_PAIR: Final = re.compile(r"([A-Z0-9]{1,20})[-_/ ]([A-Z0-9]{2,10})")
_LONGEST_FIRST: Final = sorted(QUOTES, key=lambda quote: (-len(quote), quote))
_IN_NAME: Final = re.compile(
    rf"(?<![A-Za-z0-9])([A-Z0-9]{{2,16}}[-_]?(?:{'|'.join(_LONGEST_FIRST)}))(?![A-Za-z0-9])"
)


def normalised(text: str, default_quote: str | None = None) -> str | None:
    """`BASE-QUOTE` of a market's name, or None where it cannot be told.

    `BTCUSDT`, `BTC/USDT`, `btc_usdt`, `tBTCUSD` and `BTC-USDT` are understood. A name without a
    separator is cut at a known quote; where several cuts are possible, a well-known base decides
    (`BNBUSD` is BNB in USD, `BTCBUSD` is BTC in BUSD), then a base that is no state's money, then
    the longer quote. `default_quote` completes a lone base (`BTC`).
    """
    text = text.strip()
    name = (text[1:] if re.fullmatch(r"t[A-Z0-9]{6,}", text) else text).upper()
    if pair := _PAIR.fullmatch(name):
        return f"{pair[1]}-{pair[2]}"
    if not re.fullmatch(r"[A-Z0-9]{2,20}", name):
        return None
    if default_quote is not None:
        return f"{name}-{default_quote}"
    cuts = [
        (name[: -len(quote)], quote)
        for quote in _LONGEST_FIRST
        if name.endswith(quote) and len(name) > len(quote) + 1
    ]
    if not cuts or (name in BASES and cuts[0][0] not in BASES):
        return None
    base, quote = max(cuts, key=lambda cut: (cut[0] in BASES, cut[0] not in FIAT, len(cut[1])))
    return f"{base}-{quote}"


def quote_first(text: str) -> str | None:
    """`BASE-QUOTE` of a name with the quote first, as on Mercado Bitcoin's socket: `BRLBTC`."""
    name = text.strip().upper()
    return f"{name[3:]}-{name[:3]}" if re.fullmatch(r"BRL[A-Z0-9]{1,17}", name) else None


def mapping_of(names: Iterable[str], default_quote: str | None = None) -> dict[str, str]:
    """Each distinct name and what it becomes; a name that cannot be told stays, in upper case."""
    return {name: normalised(name, default_quote) or name.strip().upper() for name in names}


def in_name(stem: str) -> str | None:
    """The market that a file's name holds in upper case (`BTC_USDT-1d`, `Coinbase_BTCUSD_1h`)."""
    for found in _IN_NAME.finditer(stem):
        if symbol := normalised(found[1]):
            return symbol
    return None
