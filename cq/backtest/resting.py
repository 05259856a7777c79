"""Limit and stop orders inside the loop over bars: which bar meets them, and at what price."""

from __future__ import annotations

import math

from cq.backtest.fills import carry_out, enqueue, worth_of
from cq.backtest.levels import give_up, watch
from cq.backtest.world import MARKET, NONE, STOP, STOP_LIMIT, World


def met(
    s: int, buying: int, o: float, h: float, low: float, new: int, w: World
) -> tuple[float, int, int]:
    """(price, what is left of the bar as `watch` says it, whether it rested); NaN if not met.

    A stop-limit that fires stays fired.
    """
    one = w.book[s]
    sign = 1.0 if buying else -1.0
    near, far = (low, h) if buying else (h, low)
    if one.kind == STOP or (one.kind == STOP_LIMIT and not one.fired):
        if (far - one.trigger) * sign < 0.0:
            return math.nan, 0, 0
        one.fired = 1
        gapped = (o - one.trigger) * sign >= 0.0
        if one.kind == STOP:
            return (o, 0, 0) if gapped else (one.trigger, 1, 0)
        if not gapped:
            within = (one.trigger - one.limit) * sign <= 0.0
            return (one.trigger, 1, 0) if within else (math.nan, 0, 0)
        new = 1
    if (o - one.limit) * sign <= 0.0:
        return o, 0, 1 - new
    if (near - one.limit) * sign <= 0.0:
        return one.limit, 2, 1
    return math.nan, 0, 0


def resting_orders(t: int, w: World) -> None:
    """Limit and stop orders within this moment's bars: sells by name, then buys by target."""
    n, equity, terms = 0, 0.0, w.terms[0]
    for s in range(terms.symbols):
        o = w.open[s * terms.moments + t]
        if w.book[s].kind > MARKET and o == o:
            if n == 0:
                equity = worth_of(w)
            enqueue(s, n, o, equity, w)
            n += 1
    for k in range(n):
        rest(w.book[k].queue, t, equity, w)


def rest(s: int, t: int, equity: float, w: World) -> None:
    """One working order against one bar, and the position it opens against the rest of it.

    Of finer bars each is held against the levels of what is held by then, then against the order.
    """
    terms, one = w.terms[0], w.book[s]
    i = s * terms.moments + t
    begin, end = (w.spans[2 * i], w.spans[2 * i + 1]) if terms.by_fine else (0, 0)
    if begin == end:
        reach(s, t, w.open[i], w.high[i], w.low[i], w.close[i], 1, equity, w)
    for k in range(begin, end):
        o, h, low, c = w.fine[4 * k], w.fine[4 * k + 1], w.fine[4 * k + 2], w.fine[4 * k + 3]
        if one.held != 0.0 and (terms.entry_bar or not one.fresh):
            watch(s, t, o, h, low, c, 0, w)
        reach(s, t, o, h, low, c, 1 if k == begin else 0, equity, w)
    if one.kind <= MARKET:
        return
    one.waited += 1
    if terms.expires and one.waited >= terms.expires:
        one.kind = NONE
        if one.held == 0.0:
            give_up(s, one.target, 0, w)


def reach(
    s: int, t: int, o: float, h: float, low: float, c: float, first: int, equity: float, w: World
) -> None:
    """The same against one bar, or one finer bar; `first` says that it opens the bar."""
    one = w.book[s]
    if one.kind <= MARKET:
        return
    buying = 1 if one.target > 0.0 else 0
    new = 1 if first and one.waited == 0 else 0
    price, since, rested = met(s, buying, o, h, low, new, w)
    if price != price:
        return
    before, kind = one.held, one.kind
    slips = 1 if kind == STOP or (kind == STOP_LIMIT and since == 1) else 0
    carry_out(s, 2 * t, price, equity, rested, slips, w)
    if kind == STOP and one.kind == STOP:
        one.kind = MARKET  # it has fired: what is left goes at any price
    if before == 0.0 and one.held != 0.0 and w.terms[0].entry_bar:
        watch(s, t, price, h, low, c, since, w)
