"""One fill inside the loop over bars: how much of an order may be done, and what it leaves."""

from __future__ import annotations

import math
from typing import Any

from cq.backtest.arithmetic import (
    UNITS,
    allowed,
    cut,
    desired,
    fee_of,
    level,
    on_grid,
    priced,
    tidied,
    to_tick,
)
from cq.backtest.world import MARKET, NONE, STOP_LIMIT, World


def execute(
    s: int, signed: float, price: float, reference: float, rate: float, when: int, w: World
) -> None:
    """Settle a fill of `s` and write it down."""
    one, purse, terms = w.book[s], w.purse[0], w.terms[0]
    qty, before = abs(signed), one.held
    fee = fee_of(qty, price, rate, w.dated[when * terms.each_rate + 2])
    if signed > 0.0:
        purse.cash = max(purse.cash - (qty * price + fee), 0.0)
    else:
        purse.cash = purse.cash + (qty * price - fee)
    after = tidied(before + signed, terms.scale)
    one.held = after
    if before == 0.0 or after == 0.0 or before * after < 0.0:
        begin_or_end(s, price, w)
    made = w.fills[purse.fills]
    made.when = when
    made.who = s
    made.why = one.why
    made.qty = signed
    made.price = price
    made.fee = fee
    made.slippage = abs(price - reference) * qty
    purse.fills += 1


def begin_or_end(s: int, price: float, w: World) -> None:
    """Levels belong to a position: set by the fill that opens it, gone with the one that closes."""
    one, terms = w.book[s], w.terms[0]
    one.age = one.ending = one.over = 0
    if not terms.from_fill:
        price = one.mark
    if one.held == 0.0:
        one.stop = one.take = one.trail = one.floor = math.nan
        one.cooling = terms.cooldown
        return
    sign = 1.0 if one.held > 0.0 else -1.0
    up = 0 if one.held > 0.0 else 1
    one.stop = to_tick(level(terms.stop, one.its_stop, price, sign), terms.tick, up)
    one.take = to_tick(level(terms.take, one.its_take, price, -sign), terms.tick, 1 - up)
    one.trail = one.its_trail
    one.floor = one.stop
    one.peak = price
    one.fresh = 1
    pull_up(one, terms)


def pull_up(one: Any, terms: Any) -> None:
    """Let the stop that counts follow the best price so far."""
    sign = 1.0 if one.held > 0.0 else -1.0
    moving = level(terms.trail, one.trail, one.peak, sign)
    moving = to_tick(moving, terms.tick, 0 if sign > 0.0 else 1)
    if not moving > 0.0:
        return
    if one.floor != one.floor or (moving - one.floor) * sign > 0.0:
        one.floor = moving


def others_of(s: int, w: World) -> float:
    """What the other positions are worth, long and short alike."""
    worth = 0.0
    for k in range(w.terms[0].symbols):
        if k != s and w.book[k].held != 0.0:
            worth += abs(w.book[k].held) * w.book[k].mark
    return worth


def worth_of(w: World) -> float:
    """Equity: cash and every position at its mark."""
    worth = 0.0
    for k in range(w.terms[0].symbols):
        if w.book[k].held != 0.0:
            worth += w.book[k].held * w.book[k].mark
    cash: float = w.purse[0].cash
    return cash + worth


def slipped(
    buying: int, reference: float, qty: float, impact: float, one: Any, terms: Any
) -> float:
    """What is paid or got around `reference`; a stop-limit that fires keeps to its limit."""
    price = priced(buying, reference, qty, terms.move, terms.half_ticks, terms.tick, impact)
    if one.kind == STOP_LIMIT:
        limit: float = one.limit
        price = min(price, limit) if buying else max(price, limit)
    return price


def carry_out(
    s: int, when: int, reference: float, equity: float, resting: int, slips: int, w: World
) -> None:
    """Fill the working order of `s` around `reference`, as much of it as may be.

    The first time its size is found; what a bar's volume leaves of it waits for the next one.
    """
    one, terms, i = w.book[s], w.terms[0], s * w.terms[0].moments + when // 2
    first = one.left != one.left
    whole = 1 if one.target == 0.0 else 0
    delta = one.left
    if whole:
        delta = -one.held
    elif first:
        wanted = desired(one.target, terms.unit, equity, reference, terms.max_position)
        delta = wanted - one.held
        if one.kind > MARKET and delta * one.target < 0.0:
            delta = 0.0  # at this price less is wanted than is held: an entry never reduces it
    buying = 1 if delta > 0.0 else 0
    impact = w.impact[i] if terms.by_impact else 0.0
    if slips:
        price = slipped(buying, reference, abs(delta), impact, one, terms)
    else:
        price = on_grid(buying, reference, terms.tick)
    rate = w.dated[when * terms.each_rate + (1 if resting else 0)]
    grows = not whole and (delta >= 0.0 or -delta > one.held)
    others = others_of(s, w) if grows else 0.0  # only then does anybody ask
    signed = allowed(
        delta, whole, one.held, w.purse[0].cash, equity, others, reference, price, rate,
        w.dated[when * terms.each_rate + 2], terms.scale, terms.max_gross,
        terms.min_notional if first else 0.0,
    )  # fmt: skip
    if signed == 0.0:
        one.kind = NONE
        return
    qty = abs(signed)
    if terms.by_volume:
        if one.room < qty:
            qty = cut(one.room, terms.scale)
        if qty <= 0.0:
            one.left = signed
            return
        if slips and terms.by_impact:
            price = slipped(buying, reference, qty, impact, one, terms)
        fee = fee_of(qty, price, rate, w.dated[when * terms.each_rate + 2])
        if not buying and fee > w.purse[0].cash + qty * price:
            one.left = signed
            return
        one.room -= qty
    left = tidied(abs(signed) - qty, terms.scale)
    one.left = left if signed > 0.0 else -left
    if left <= 0.0:
        one.kind = NONE
    execute(s, qty if signed > 0.0 else -qty, price, reference, rate, when, w)


def market_orders(when: int, w: World) -> None:
    """Fill the group of this moment: sells by name, then buys from the largest target down."""
    terms, n, equity = w.terms[0], 0, 0.0
    for s in range(terms.symbols):
        o = w.open[s * terms.moments + when // 2]
        if w.book[s].kind != MARKET or o != o:
            continue
        if n == 0:
            equity = worth_of(w)
        enqueue(s, n, w.book[s].mark, equity, w)
        n += 1
    for k in range(n):
        s = w.book[k].queue
        carry_out(s, when, w.book[s].mark, equity, 0, 1, w)


def enqueue(s: int, n: int, reference: float, equity: float, w: World) -> None:
    """Put `s` where it belongs among the first `n` of the queue."""
    one, terms = w.book[s], w.terms[0]
    weight = -one.target * reference if terms.unit == UNITS else -one.target
    if one.kind > MARKET:
        selling = one.target < 0.0
    elif one.left == one.left:
        selling = one.left < 0.0
    else:
        wanted = desired(one.target, terms.unit, equity, reference, terms.max_position)
        selling = wanted < one.held
    if selling:
        weight = -math.inf
    k = n
    while k > 0 and w.book[k - 1].weight > weight:
        w.book[k].queue = w.book[k - 1].queue
        w.book[k].weight = w.book[k - 1].weight
        k -= 1
    w.book[k].queue = s
    w.book[k].weight = weight
