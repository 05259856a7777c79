"""A slow, obvious engine: one bar after the other, plain Python, no code of cq.

It is written from docs/backtest.md alone and is what the fast engine is held against.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction


@dataclass
class Rules:
    cash: float = 1_000.0
    fill: str = "next_open"
    taker: float = 0.0
    minimum_fee: float = 0.0
    bps: float = 0.0
    decimals: int | None = None
    min_notional: float = 0.0
    max_position: float = 1.0
    max_gross: float = 1.0
    band: float = 0.0
    interval_ns: int = 3_600_000_000_000
    on_edge: bool = False
    """Set once a quantity lies so near where the next lot begins that an account's last bits, which
    another order of the same sums changes, decide which of the two it is."""


@dataclass
class Bar:
    ts: int
    symbol: str
    open: float
    close: float
    target: float | None = None


def sma_signals(closes: Iterable[float], fast: int, slow: int) -> list[int | None]:
    whole = [round(one * 1e8) for one in closes]
    found: list[int | None] = []
    for i in range(len(whole)):
        if i + 1 < slow:
            found.append(None)
            continue
        quick = Fraction(sum(whole[i + 1 - fast : i + 1]), fast)
        found.append(int(quick > Fraction(sum(whole[i + 1 - slow : i + 1]), slow)))
    return found


def ema(closes: list[float], window: int) -> list[float | None]:
    found: list[float | None] = []
    value = None
    for i, close in enumerate(closes):
        if i + 1 == window:
            value = sum(closes[:window]) / window
        elif value is not None:
            value += (close - value) * 2 / (window + 1)
        found.append(value)
    return found


def ema_signals(closes: list[float], fast: int, slow: int) -> list[int | None]:
    pairs = zip(ema(closes, fast), ema(closes, slow), strict=True)
    return [None if a is None or b is None else int(a - b > b * 1e-12) for a, b in pairs]


def volatility(closes: list[float], window: int, bars_a_year: float) -> list[float | None]:
    """Sample deviation of log returns; sums are of whole numbers, as the definition says."""
    recent: deque[tuple[int, int]] = deque(maxlen=window)
    found: list[float | None] = []
    for i, close in enumerate(closes):
        if i:
            change = min(max(math.log(close / closes[i - 1]), -1.0), 1.0)
            recent.append((round(change * 1e12), round(change * change * 1e15)))
        if len(recent) < window:
            found.append(None)
            continue
        total = sum(one for one, _ in recent) / 1e12
        squares = sum(one for _, one in recent) / 1e15
        variance = max(squares - total * total / window, 0.0) / (window - 1)
        found.append(math.sqrt(variance * bars_a_year))
    return found


def fixed(signals: list[int | None], fraction: float) -> list[float | None]:
    return [None if one is None else one * fraction for one in signals]


def by_volatility(
    signals: list[int | None], measured: list[float | None], wanted: float, most: float
) -> list[float | None]:
    return [
        None if one is None or vol is None else one * (min(wanted / vol, most) if vol else most)
        for one, vol in zip(signals, measured, strict=True)
    ]


def trade(bars: list[Bar], rules: Rules, start: int = 0) -> tuple[list[dict], list[tuple]]:
    """Trades, and (ts, equity, cash) at the close of every bar."""
    by_time: dict[int, dict[str, Bar]] = {}
    for bar in bars:
        by_time.setdefault(bar.ts, {})[bar.symbol] = bar
    cash, held, last_close = rules.cash, {}, {}
    pending: dict[str, float] = {}
    acted: dict[str, float] = {}
    trades: list[dict] = []
    curve: list[tuple] = []
    for ts in sorted(by_time):
        here = by_time[ts]
        if ts < start:
            for symbol, bar in here.items():
                last_close[symbol] = bar.close
            continue
        prices = {s: b.open if rules.fill == "next_open" else b.close for s, b in here.items()}
        marks = {**last_close, **prices}
        due = {s: pending.pop(s) for s in list(pending) if s in here}
        equity = cash + sum(held[s] * marks[s] for s in sorted(held))
        sells = [s for s in due if due[s] * equity / marks[s] < held.get(s, 0.0)]
        buys = [s for s in due if s not in sells]
        for symbol in sorted(sells) + sorted(buys, key=lambda s: (-due[s], s)):
            one = order(symbol, due[symbol], cash, held, equity, marks, rules)
            if one is None:
                continue
            side, quantity, price, fee = one
            moved = quantity if side == "buy" else -quantity
            held[symbol] = held.get(symbol, 0.0) + moved
            if rules.decimals is not None:
                held[symbol] = round(held[symbol] * 10**rules.decimals) / 10**rules.decimals
            cash -= moved * price + fee
            cash = max(cash, 0.0)
            when = ts if rules.fill == "next_open" else ts + rules.interval_ns
            trades.append(
                {
                    "ts": when,
                    "symbol": symbol,
                    "side": side,
                    "qty": quantity,
                    "price": price,
                    "fee": fee,
                    "slippage": abs(price - marks[symbol]) * quantity,
                }
            )
        for symbol, bar in here.items():
            last_close[symbol] = bar.close
            if bar.target is None:
                continue
            want, was = min(bar.target, rules.max_position), acted.get(symbol, 0.0)
            if (want == 0) != (was == 0) or abs(want - was) > rules.band:
                acted[symbol] = want
                pending[symbol] = want
        curve.append((ts, cash + sum(held[s] * last_close[s] for s in sorted(held)), cash))
    return trades, curve


def order(symbol, target, cash, held, equity, marks, rules):
    reference, have = marks[symbol], held.get(symbol, 0.0)
    difference = target * equity / reference - have
    dust = 1e-9 * abs(equity) if target else -1.0
    if target == 0 or difference < 0:
        quantity = have if target == 0 else cut(-difference, equity / reference, rules)
        price = reference * (1 - rules.bps / 10_000)
        fee = max(rules.taker * quantity * price, rules.minimum_fee)
        if quantity == 0 or quantity * reference < rules.min_notional:
            return None
        if quantity * reference <= dust:
            return None
        if fee > cash + quantity * price:
            return None
        return "sell", quantity, price, fee
    price = reference * (1 + rules.bps / 10_000)
    others = sum(abs(held[s]) * marks[s] for s in sorted(held) if s != symbol)
    most = min(
        cash / (price * (1 + rules.taker)),
        (cash - rules.minimum_fee) / price,
        (rules.max_gross * equity - others) / reference - have,
    )
    quantity = cut(min(difference, most), equity / reference, rules)
    if quantity <= 0 or quantity * reference < rules.min_notional or quantity * reference <= dust:
        return None
    return "buy", quantity, price, max(rules.taker * quantity * price, rules.minimum_fee)


def cut(quantity: float, worth: float, rules: Rules) -> float:
    """Whole lots: a hair (10⁻⁹ of a lot and 10⁻¹² of it all) below the next one is that one.

    `worth` is what the account could buy in all.
    """
    if rules.decimals is None or quantity <= 0:
        return quantity
    scale = 10**rules.decimals
    lots = quantity * scale
    near, hair = round(lots), 1e-9 + 1e-12 * lots
    rules.on_edge |= abs(near - lots - hair) <= 1e-14 * worth * scale
    return (near if 0 < near - lots <= hair else math.floor(lots)) / scale
