"""The levels of a position inside the loop over bars: stop, target, trailing stop."""

from __future__ import annotations

import math

from cq.backtest.arithmetic import tidied
from cq.backtest.fills import carry_out, pull_up, worth_of
from cq.backtest.world import BY_STOP, BY_TAKE, BY_TRAIL, MARKET, NONE, World


def leave(s: int, t: int, price: float, why: int, w: World) -> None:
    """Close the position of `s` at `price`; an order that wanted to keep it is cancelled.

    One for the other side sees to what volume leaves, and has so much less to do.
    """
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
        one.gone, one.ending = 1, 1 if one.held != 0.0 else 0
        give_up(s, was, 1 if kind != NONE and target * was <= 0.0 else 0, w)
    if failed or (kind != NONE and target * was < 0.0):
        one.kind = kind
        one.target = target
        one.left = tidied(left + (was - one.held), w.terms[0].scale) if left == left else left
        one.why = reason


def give_up(s: int, was: float, turned: int, w: World) -> None:
    """After an exit that no signal asked for: what would have kept the position is not done.

    `turned` says that the order at work ends it too. From the first decision on that does, what
    was decided stands: it is newer than the position, and there is nothing to wait for.
    """
    slots = w.terms[0].slots
    for k in range(1, slots + 1):  # the slot of this bar is due last
        due = w.ring[s * slots + (w.book[s].slot + k) % slots]
        if due.target * was <= 0.0:
            turned = 1
        elif not turned:
            due.target = math.nan
    if not turned and w.book[s].acted * was > 0.0:
        bar_again(s, was, w)


def turning(s: int, was: float, w: World) -> int:
    """Whether it was decided already to leave a position on the side of `was`."""
    one, slots = w.book[s], w.terms[0].slots
    if one.kind != NONE and one.target * was <= 0.0:
        return 1
    for k in range(slots):
        if w.ring[s * slots + k].target * was <= 0.0:
            return 1
    return 0


def bar_again(s: int, was: float, w: World) -> None:
    """Nothing counts as acted on; a new signal is waited for, if the last was for that side."""
    one = w.book[s]
    if one.acted * was > 0.0 and not w.terms[0].reentry:
        one.barred = 1.0 if was > 0.0 else -1.0
    one.acted = 0.0


def watch(
    s: int, t: int, came: float, h: float, low: float, c: float, since: int, w: World
) -> None:
    """Hold one bar (or finer bar) against the levels of a position, or let it raise them.

    `since` says what part of the bar the position has seen: 0 all of it, 1 what came after a stop
    order's price, 2 what came after a limit's. `came` is the price at which that part begins: a
    level that lies beyond it already is left at that price. The level that is met first cancels
    the others: while its exit is at work, none is met.
    """
    one = w.book[s]
    sign = 1.0 if one.held > 0.0 else -1.0
    worst, best = (low, h) if sign > 0.0 else (h, low)
    sure = c if since == 2 else best
    if not (one.ending and one.kind == MARKET):
        hold_against(s, t, came, worst, sure, sign, w)
    if one.held * sign > 0.0 and (sure - one.peak) * sign > 0.0:
        one.peak = sure
        pull_up(one, w.terms[0])


def hold_against(
    s: int, t: int, came: float, worst: float, sure: float, sign: float, w: World
) -> None:
    """Leave the position at the level that is met, if one is; the stop comes first."""
    one = w.book[s]
    why = BY_STOP if one.floor == one.stop else BY_TRAIL
    stopped = (worst - one.floor) * sign <= 0.0
    if (came - one.floor) * sign <= 0.0:
        leave(s, t, came, why, w)
    elif (came - one.take) * sign >= 0.0 and not (stopped and w.terms[0].stop_first):
        leave(s, t, came, BY_TAKE, w)
    elif stopped:
        leave(s, t, one.floor, why, w)
    elif (sure - one.take) * sign >= 0.0:
        leave(s, t, one.take, BY_TAKE, w)


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
