"""The levels of a position inside the loop over bars: stop, target, trailing stop."""

from __future__ import annotations

import math

from cq.backtest.fills import carry_out, pull_up, worth_of
from cq.backtest.world import BY_STOP, BY_TAKE, BY_TRAIL, MARKET, NONE, World


def leave(s: int, t: int, price: float, why: int, w: World) -> None:
    """Close the position of `s` at `price`; an order that wanted to keep it is cancelled."""
    one = w.book[s]
    was, kind, target, left, reason = one.held, one.kind, one.target, one.left, one.why
    one.kind = MARKET
    one.target = 0.0
    one.left = math.nan
    one.why = why
    one.left_now = 1
    taking = 1 if why == BY_TAKE else 0
    slips = 0 if taking else w.terms[0].stop_slips
    carry_out(s, 2 * t, price, worth_of(w), taking, slips, w)
    failed = one.held == was and one.kind == NONE  # too small, or it cannot be paid
    if not failed:
        one.gone = 1
        bar_again(s, was, w)
    if failed or (one.kind == NONE and kind != NONE and target * was < 0.0):
        one.kind = kind
        one.target = target
        one.left = left
        one.why = reason


def bar_again(s: int, was: float, w: World) -> None:
    """After an exit that no signal asked for: a new signal is waited for, or the old one counts."""
    w.book[s].acted = 0.0
    if not w.terms[0].reentry:
        w.book[s].barred = 1.0 if was > 0.0 else -1.0


def watch(
    s: int, t: int, came: float, h: float, low: float, c: float, since: int, w: World
) -> None:
    """Hold one bar (or finer bar) against the levels of a position; the stop comes first.

    `since` says what part of the bar the position has seen: 0 all of it, 1 what came after a stop
    order's price, 2 what came after a limit's. `came` is the price at which that part begins: a
    level that lies beyond it already is left at that price.
    """
    one, terms = w.book[s], w.terms[0]
    sign = 1.0 if one.held > 0.0 else -1.0
    worst, best = (low, h) if sign > 0.0 else (h, low)
    why = BY_STOP if one.floor == one.stop else BY_TRAIL
    if (came - one.floor) * sign <= 0.0:
        leave(s, t, came, why, w)
        return
    stopped = (worst - one.floor) * sign <= 0.0
    if (came - one.take) * sign >= 0.0 and not (stopped and terms.stop_first):
        leave(s, t, came, BY_TAKE, w)
        return
    if stopped:
        leave(s, t, one.floor, why, w)
        return
    sure = c if since == 2 else best
    if (sure - one.take) * sign >= 0.0:
        leave(s, t, one.take, BY_TAKE, w)
        return
    if (sure - one.peak) * sign > 0.0:
        one.peak = sure
        pull_up(one, terms)


def levels(s: int, t: int, w: World) -> None:
    """The position of `s` against its levels, within this moment's bar."""
    terms, one = w.terms[0], w.book[s]
    i = s * terms.moments + t
    begin, end = (w.spans[2 * i], w.spans[2 * i + 1]) if terms.by_fine else (0, 0)
    if begin == end:
        watch(s, t, w.open[i], w.high[i], w.low[i], w.close[i], 0, w)
    for k in range(begin, end):
        if one.held != 0.0:
            f = 4 * k
            watch(s, t, w.fine[f], w.fine[f + 1], w.fine[f + 2], w.fine[f + 3], 0, w)
