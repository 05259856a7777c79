"""The loop over bars: what happens at each moment, in which order.

Plain functions over flat columns. Python runs them as they stand, numba compiles the very same
lines: the same bits, since compiled arithmetic is not rearranged. docs/engine.md says every rule
in words; the tests hold the loop against a slow one written from there.
"""

from __future__ import annotations

import math
from typing import Any

from cq.backtest.arithmetic import FRACTION, desired, level, to_tick
from cq.backtest.fills import market_orders, pull_up, worth_of
from cq.backtest.levels import bar_again, levels, turning
from cq.backtest.resting import resting_orders
from cq.backtest.world import (
    A_STEP,
    AT_CLOSE,
    AT_OPEN,
    AT_SAME_CLOSE,
    BY_OTHER,
    BY_TIME,
    LIMIT,
    MARKET,
    NONE,
    SIGNAL,
    World,
)


def walk(first: int, last: int, w: World) -> int:
    """Go from moment `first` to before `last`; returns where it stopped.

    It stops early where the next moment's fills might not fit.
    """
    terms, purse = w.terms[0], w.purse[0]
    guarded = terms.stop or terms.take or terms.trail
    ticking = terms.slots > 1 or terms.each_act or terms.max_bars or terms.fill == AT_SAME_CLOSE
    skips = not (terms.by_fine or ticking or terms.borrow > 0.0)
    t = first - 1
    while t + 1 < last:
        t += 1
        if skips:
            t = quiet(t, last, w) if terms.symbols == 1 else all_quiet(t, last, w)
            if t == last:
                return last
        if purse.fills + A_STEP * terms.symbols > terms.capacity:
            return t
        if terms.borrow > 0.0:
            borrow(t, w)
        busy = at_open(t, w)
        if busy and terms.fill != AT_SAME_CLOSE:
            all_take_up(t, w)
            if terms.fill == AT_OPEN:
                market_orders(2 * t, w)
        if guarded:
            all_levels(t, w)
        if busy and terms.entry > MARKET:
            resting_orders(t, w)
        if terms.fill == AT_SAME_CLOSE or (busy and terms.fill == AT_CLOSE):
            trade_at_close(t, w)
        elif at_close(t, w):
            decide(t, w)
    return last


def quiet(t: int, last: int, w: World) -> int:
    """Write down moments from `t` on at which nothing can happen to one market; where that ends."""
    one, terms, cash = w.book[0], w.terms[0], w.purse[0].cash
    due = w.ring[0].target
    if one.fresh or one.left_now or one.cooling or one.over or one.kind != NONE or due == due:
        return t
    held, begun = one.held, t
    guarded = held != 0.0 and (terms.stop or terms.take or terms.trail)
    while t < last:
        if wakes(w.target[t], one, terms) or (guarded and touched(t, one, w)):
            break
        if guarded:
            lift(t, one, w)
        worth = held * w.close[t]
        write_down(t, cash, worth, abs(worth), w)
        t += 1
    if t > begun:
        one.mark = w.close[t - 1]
    return t


def all_quiet(t: int, last: int, w: World) -> int:
    """The same of several markets; none is moved before all are known to leave the moment alone."""
    terms, cash = w.terms[0], w.purse[0].cash
    for s in range(terms.symbols):
        one, due = w.book[s], w.ring[s].target
        if one.fresh or one.left_now or one.cooling or one.over or one.kind != NONE or due == due:
            return t
    guarded = terms.stop or terms.take or terms.trail
    while t < last:
        for s in range(terms.symbols):
            i, one = s * terms.moments + t, w.book[s]
            if wakes(w.target[i], one, terms):
                return t
            if guarded and one.held != 0.0 and w.open[i] == w.open[i] and touched(i, one, w):
                return t
        net, gross = 0.0, 0.0
        for s in range(terms.symbols):
            i, one = s * terms.moments + t, w.book[s]
            c = w.close[i]
            if c == c:
                one.mark = c
            if one.held != 0.0:
                if guarded and c == c:
                    lift(i, one, w)
                net += one.held * one.mark
                gross += abs(one.held) * one.mark
        write_down(t, cash, net, gross, w)
        t += 1
    return t


def write_down(t: int, cash: float, net: float, gross: float, w: World) -> None:
    """The account at the close of a moment."""
    moments, equity = w.terms[0].moments, cash + net
    w.curves[t] = equity
    w.curves[t + moments] = cash
    w.curves[t + 2 * moments] = gross / equity if equity > 0.0 else 0.0


def wakes(target: float, one: Any, terms: Any) -> bool:
    """Whether a target has to be looked at: it is not what was acted on, nor what is barred."""
    if target != target:
        return False
    if one.barred == 0.0:
        return bool(target != one.acted)
    still = target * one.barred > 0.0 and (target > 0.0 or terms.short)
    return not still or terms.max_position <= 0.0


def touched(i: int, one: Any, w: World) -> bool:
    """Whether the bar of cell `i` reaches one of the position's levels."""
    h, low = w.high[i], w.low[i]
    if one.held > 0.0:
        return bool(low <= one.floor or h >= one.take)
    return bool(h >= one.floor or low <= one.take)


def lift(i: int, one: Any, w: World) -> None:
    """Let the best price of a bar that reached no level raise them for the bars after it."""
    if one.held > 0.0:
        best, better = w.high[i], w.high[i] > one.peak
    else:
        best, better = w.low[i], w.low[i] < one.peak
    if better:
        one.peak = best
        pull_up(one, w.terms[0])


def borrow(t: int, w: World) -> None:
    """Pay for what is borrowed since the moment before."""
    terms, owed = w.terms[0], 0.0
    for s in range(terms.symbols):
        one = w.book[s]
        if one.held < 0.0:
            owed -= one.held * one.mark * terms.borrow * w.years[t]
    w.purse[0].cash -= owed
    w.purse[0].borrowed += owed


def at_open(t: int, w: World) -> int:
    """Bring the account to this moment's opens; whether a decision or an order wants something."""
    terms, busy = w.terms[0], 0
    for s in range(terms.symbols):
        i, one = s * terms.moments + t, w.book[s]
        o = w.open[i]
        if o != o:
            continue
        one.mark = o
        if terms.slots > 1:
            one.slot = one.slot + 1 if one.slot + 1 < terms.slots else 0
        if terms.by_volume:
            one.room = w.volume[i] * terms.participation
        due = w.ring[s * terms.slots + one.slot].target
        if one.kind != NONE or due == due:
            busy = 1
    return busy


def all_take_up(t: int, w: World) -> None:
    """Every symbol that has a bar at this moment."""
    for s in range(w.terms[0].symbols):
        o = w.open[s * w.terms[0].moments + t]
        if o == o:
            take_up(s, w)


def take_up(s: int, w: World) -> None:
    """Make the decision that is due now, if there is one, the working order of `s`."""
    one, terms = w.book[s], w.terms[0]
    at = one.slot
    if terms.fill == AT_SAME_CLOSE:  # what was decided just now lies there: the oldest is next
        at = at + 1 if at + 1 < terms.slots else 0
    due = w.ring[s * terms.slots + at]
    target = due.target
    if target != target:
        return
    due.target = math.nan
    one.target = target
    one.left = math.nan
    one.why = due.why
    one.fired = one.ending = 0
    one.waited = 0
    if target != 0.0:
        one.over = 0
    if target != 0.0 and one.held * target <= 0.0:  # levels are those that open a position
        one.its_stop = due.stop
        one.its_take = due.take
        one.its_trail = due.trail
    enters = target != 0.0 and one.held * target >= 0.0
    if enters and one.held != 0.0 and terms.entry != MARKET:
        wanted = desired(target, terms.unit, worth_of(w), one.mark, terms.max_position)
        enters = abs(wanted) > abs(one.held)
    one.kind = terms.entry if enters else MARKET
    if one.kind != MARKET:
        set_prices(s, due.close, due.limit, due.trigger, w)


def set_prices(s: int, close: float, limit: float, trigger: float, w: World) -> None:
    """Where a resting order lies: by the close at which it was decided."""
    one, terms = w.book[s], w.terms[0]
    sign = 1.0 if one.target > 0.0 else -1.0
    up = 0 if one.target > 0.0 else 1
    if one.kind == LIMIT:
        one.limit = to_tick(level(terms.offset, limit, close, sign), terms.tick, up)
        first = one.limit
    else:
        first = to_tick(level(terms.offset, trigger, close, -sign), terms.tick, 1 - up)
        one.trigger = first
        one.limit = to_tick(level(terms.beyond, limit, first, -sign), terms.tick, up)
    if not first > 0.0:
        one.kind = NONE


def all_levels(t: int, w: World) -> None:
    """Every position against its levels, within this moment's bars, by name.

    Where an entry for more waits too, finer bars are gone through once, with it (`rest`).
    """
    terms = w.terms[0]
    for s in range(terms.symbols):
        i, one = s * terms.moments + t, w.book[s]
        if one.held == 0.0 or w.open[i] != w.open[i]:
            continue
        if one.fresh and not terms.entry_bar:
            continue
        if terms.by_fine:
            if one.kind <= MARKET or w.spans[2 * i] == w.spans[2 * i + 1]:
                levels(s, t, w)
        elif touched(i, one, w):
            levels(s, t, w)
        else:
            lift(i, one, w)


def at_close(t: int, w: World) -> int:
    """Mark and write down every position at this moment's closes; whether somebody may decide."""
    terms, net, gross, busy = w.terms[0], 0.0, 0.0, 0
    for s in range(terms.symbols):
        i, one = s * terms.moments + t, w.book[s]
        c, target = w.close[i], w.target[i]
        if c == c:
            one.mark = c
        if one.held != 0.0:
            net += one.held * one.mark
            gross += abs(one.held) * one.mark
        waits = one.fresh or one.left_now or one.cooling or one.barred or one.over
        waits = waits or terms.max_bars or w.act[i * terms.each_act] > 0.0
        if waits or (target == target and target != one.acted):
            busy = 1
    write_down(t, w.purse[0].cash, net, gross, w)
    return busy


def trade_at_close(t: int, w: World) -> None:
    """Fill market orders at this moment's closes, those that are decided now if they may be."""
    at_close(t, w)
    if w.terms[0].fill == AT_CLOSE:
        market_orders(2 * t + 1, w)
        decide(t, w)
    else:
        decide(t, w)
        all_take_up(t, w)
        market_orders(2 * t + 1, w)
    at_close(t, w)


def decide(t: int, w: World) -> None:
    """What each symbol with a bar wants from this close on; it is due a bar and `latency` later."""
    terms = w.terms[0]
    parted = part(t, w) if terms.together else 0
    for s in range(terms.symbols):
        i, one = s * terms.moments + t, w.book[s]
        if w.open[i] != w.open[i]:
            continue
        one.fresh = 0
        left_now = one.left_now
        one.left_now = 0
        cooling = one.cooling > 0
        if cooling:
            one.cooling -= 1
        if one.held != 0.0:
            one.age += 1
            if one.age == terms.max_bars and not turning(s, one.held, w):
                bar_again(s, one.held, w)
                one.over = BY_TIME
                note(s, i, 0.0, BY_TIME, w)
                continue
        again = one.over if one.over and not turning(s, one.held, w) else 0
        if not parted and not (left_now and terms.rests):
            follow(s, i, cooling, again, w)
        if again and not turning(s, one.held, w):  # its exit could not be sent so far
            note(s, i, 0.0, again, w)


def follow(s: int, i: int, cooling: bool, again: int, w: World) -> None:
    """Decide what the target of this bar asks for, where that is anything new.

    A position that is to be left in any case (`again`) is not kept by it.
    """
    one, terms, target = w.book[s], w.terms[0], w.target[i]
    if target != target:
        return
    if terms.unit == FRACTION:
        target = max(min(target, terms.max_position), -terms.max_position)
    if target < 0.0 and not terms.short:
        target = 0.0
    if one.barred != 0.0:
        if target * one.barred > 0.0:
            return
        one.barred = 0.0
    if again and target * one.held >= 0.0:
        return
    waits = cooling and one.held == 0.0 and target != 0.0
    now = target != 0.0 and w.act[i * terms.each_act] > 0.0
    if not waits and (now or arises(target, one.acted, terms.band, terms.unit)):
        one.acted = target
        note(s, i, target, SIGNAL, w)


def part(t: int, w: World) -> int:
    """Where something within the bar, or its time, ended one leg, end the others; whether so."""
    terms, ended = w.terms[0], 0
    for s in range(terms.symbols):
        i, one = s * terms.moments + t, w.book[s]
        here = w.open[i] == w.open[i] and one.held != 0.0
        if here and one.age + 1 == terms.max_bars and not turning(s, one.held, w):
            one.gone = 1
        ended += one.gone
    if ended:
        for s in range(terms.symbols):
            if not w.book[s].gone:
                let_go(s, s * terms.moments + t, w)
            w.book[s].gone = 0
    return ended


def let_go(s: int, i: int, w: World) -> None:
    """Cancel what was wanted of `s`, and decide to close what is held."""
    one, terms = w.book[s], w.terms[0]
    for k in range(terms.slots):
        w.ring[s * terms.slots + k].target = math.nan
    if one.kind > MARKET or one.target != 0.0:
        one.kind = NONE
    side = one.held if one.held != 0.0 else one.acted
    if side != 0.0:
        bar_again(s, side, w)
    if one.held != 0.0:
        one.over = BY_OTHER
        note(s, i, 0.0, BY_OTHER, w)


def arises(target: float, acted: float, band: float, unit: int) -> bool:
    """Whether `target` is far enough from what was last acted on; a band of units is a share."""
    if unit != FRACTION:
        band = band * abs(acted)
    if (target == 0.0) != (acted == 0.0) or target * acted < 0.0:
        return True
    return abs(target - acted) > band


def note(s: int, i: int, target: float, why: int, w: World) -> None:
    """Keep a decision until it is due."""
    terms = w.terms[0]
    due = w.ring[s * terms.slots + w.book[s].slot]
    due.target = target
    due.close = w.close[i]
    due.limit = w.levels[terms.at_limit + i * terms.each_limit]
    due.trigger = w.levels[terms.at_trigger + i * terms.each_trigger]
    due.stop = w.levels[terms.at_stop + i * terms.each_stop]
    due.take = w.levels[terms.at_take + i * terms.each_take]
    due.trail = w.levels[terms.at_trail + i * terms.each_trail]
    due.why = why
