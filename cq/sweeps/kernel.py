"""Many trials of one market in machine code: decisions, fills and what is measured of them.

Plain functions over arrays, for rules under which nothing between two decisions changes the next
one (those that `cq.backtest.events` serves): they give what it and `cq.backtest.metrics` give, to
the bit. Only in-position stretches cost anything; a trial leaves a row of sums and no curve.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from cq.backtest.arithmetic import FRACTION, allowed, desired, fee_of, priced, tidied
from cq.backtest.pairing import nothing_left
from cq.backtest.sums import LANES
from cq.backtest.tiles import TILE, add_up, added, fallen

SUMS: Final = (
    *("last", "returned", "squared", "equities", "exposures", "max_dd"),
    *("trades", "trips", "wins", "losses", "gained", "lost", "fees", "slippage", "traded"),
)
"""What a trial leaves; the engine's metrics follow from it."""
TERMS: Final = (
    *("cash", "max_position", "band", "latency", "at_close"),
    *("taker", "minimum", "move", "half", "tick", "scale", "max_gross", "min_notional"),
)
"""The rules of a trial as numbers."""
ALL: Final = np.array([0, 0x0101010101010101], dtype=np.uint64)
"""Eight signs of no and of yes."""
NEAR: Final = np.float32(4e-7)
"""Two means closer than this fraction are compared in whole numbers: they are kept with 24 bits."""


def decide(target: Any, first: int, terms: Any, rows: Any, wanted: Any) -> int:
    """The rows from `first` on at which `target` is acted on, and to what; how many."""
    cap, band, acted, count = terms[1], terms[2], 0.0, 0
    for t in range(first, target.size):
        x = target[t]
        if x != x:
            continue
        x = min(max(x, 0.0), cap)
        if (x == 0.0) != (acted == 0.0) or abs(x - acted) > band:
            acted = x
            rows[count] = t
            wanted[count] = x
            count += 1
    return count


def means(sums: Any, window: int, into: Any) -> None:
    """The mean of the last `window` prices at each bar, rounded as `into` is; 0 before the first.

    `sums[t]` is the sum of the prices before t in whole numbers; it may wrap round, differences
    are right all the same.
    """
    into[: window - 1] = 0.0
    later, earlier, found = sums[window:], sums[: sums.size - window], into[window - 1 :]
    for i in range(found.size):
        found[i] = float(later[i] - earlier[i]) / window


def cross(
    one: Any, other: Any, sums: Any, fast: int, slow: int, first: int, cap: float,
    fraction: float, signs: Any, rows: Any, wanted: Any,
) -> int:  # fmt: skip
    """The same where the target is `fraction` while mean `one` lies above the slower `other`.

    What rounded means cannot tell apart is compared in whole numbers.
    """
    count, above, held = 0, 0, min(max(fraction, 0.0), cap)
    words = signs.view(np.uint64)
    for begin in range(max(first, slow - 1), one.size, TILE):
        end = min(begin + TILE, one.size)
        if compare(one[begin:end], other[begin:end], signs):
            settle_ties(one, other, sums, begin, end, fast, slow, signs)
        if end - begin < TILE:
            signs[end - begin :] = signs[end - begin - 1]
        for word in range(TILE // 8):
            if words[word] == ALL[above]:
                continue
            for i in range(8 * word, 8 * word + 8):
                if signs[i] != above:
                    above = 1 - above
                    if held > 0.0:
                        rows[count] = begin + i
                        wanted[count] = held if above else 0.0
                        count += 1
    return count


def compare(one: Any, other: Any, signs: Any) -> bool:
    """Which of two means is above, as they are rounded; whether rounding may hide it somewhere."""
    near = False
    for i in range(one.size):
        signs[i] = one[i] > other[i]
        near |= abs(one[i] - other[i]) <= NEAR * other[i]
    return near


def settle_ties(
    one: Any, other: Any, sums: Any, begin: int, end: int, fast: int, slow: int, signs: Any
) -> None:
    """Which is above in whole numbers, where they are near."""
    for t in range(begin, end):
        if abs(one[t] - other[t]) <= NEAR * other[t]:
            of_one = sums[t + 1] - sums[t + 1 - fast]
            of_other = sums[t + 1] - sums[t + 1 - slow]
            signs[t - begin] = above_exactly(of_one, fast, of_other, slow)


def above_exactly(one: int, fast: int, other: int, slow: int) -> int:
    """Whether one / fast > other / slow, of whole numbers that are not negative."""
    p, q = one // fast, other // slow
    if p != q:
        return 1 if p > q else 0
    return 1 if (one - p * fast) * slow > (other - q * slow) * fast else 0


def trade(
    rows: Any, wanted: Any, count: int, opens: Any, closes: Any, terms: Any,
    at: Any, cash: Any, held: Any, lanes: Any, found: Any,
) -> int:  # fmt: skip
    """Fill the decisions: from which row on the account holds how much, with which cash.

    `lanes` (zeros): fees, slippage and value of fills, then gains and losses of round trips.
    """
    purse, position, made = terms[0], 0.0, 0
    later, at_close = 1 + int(terms[3]), terms[4] != 0.0
    rate, minimum, scale = terms[5], terms[6], terms[10]
    flow, carried, added_up, trips, wins, losses = 0.0, 0.0, 0.0, 0, 0, 0
    for k in range(count):
        row = rows[k] + later
        if row >= opens.size:
            break
        reference = closes[row] if at_close else opens[row]
        whole = 1 if wanted[k] == 0.0 else 0
        equity = purse + position * reference
        delta = -position
        if not whole:
            delta = desired(wanted[k], FRACTION, equity, reference, 0.0) - position
        buying = 1 if delta > 0.0 else 0
        price = priced(buying, reference, 0.0, terms[7], terms[8], terms[9], 0.0)
        signed = allowed(
            delta, whole, position, purse, equity, 0.0, reference, price, rate, minimum, scale,
            terms[11], terms[12],
        )  # fmt: skip
        if signed == 0.0:
            continue
        qty = abs(signed)
        fee = fee_of(qty, price, rate, minimum)
        if signed > 0.0:
            purse = max(purse - (qty * price + fee), 0.0)
        else:
            purse = purse + (qty * price - fee)
        position = tidied(position + signed, scale)
        lane = made % LANES
        lanes[0, lane] += fee
        lanes[1, lane] += abs(price - reference) * qty
        lanes[2, lane] += qty * price
        at[made], cash[made], held[made] = row, purse, position
        made += 1
        flow = flow - signed * price - fee
        carried += signed
        added_up += qty + abs(carried)
        if nothing_left(carried, added_up):
            carried = added_up = 0.0
            trips += 1
            if flow > 0.0:
                lanes[3, wins % LANES] += flow
                wins += 1
            elif flow < 0.0:
                lanes[4, losses % LANES] += -flow
                losses += 1
            flow = 0.0
    found[6], found[7], found[8], found[9] = made, trips, wins, losses
    return made


def measure(
    first: int, closes: Any, terms: Any, made: int, at: Any, cash: Any, held: Any,
    lanes: Any, tiles: Any, rows: Any, found: Any,
) -> None:  # fmt: skip
    """Returns, equity, exposure and drawdown over the bars from `first` on, tile by tile.

    `lanes` (zeros): returns, their squares, equity, exposure; `tiles` hold equity, exposure and
    returns of a tile, `rows` are the same in rows of LANES.
    """
    purse, position, k = terms[0], 0.0, 0
    before, peak, low, deepest = purse, purse, math.inf, 0.0
    for begin in range(first, closes.size, TILE):
        end = min(begin + TILE, closes.size)
        if position == 0.0 and (k == made or at[k] >= end):
            stand(end - begin, purse, before, lanes)
            before = purse
            if purse > peak:
                deepest = min(deepest, low / peak - 1)
                peak, low = purse, purse
            low = min(low, purse)
            continue
        equity, share = tiles[0, : end - begin], tiles[1, : end - begin]
        t = begin
        while t < end:
            if k < made and at[k] <= t:
                purse, position = cash[k], held[k]
                k += 1
                continue
            until = min(end, at[k]) if k < made else end
            value(
                purse, position, before, closes[t:until], equity[t - begin : until - begin],
                share[t - begin : until - begin], tiles[2, t - begin : until - begin],
            )  # fmt: skip
            before = equity[until - begin - 1]
            t = until
        add_up(end - begin, rows, lanes)
        peak, low, deepest = fallen(equity, peak, low, deepest)
    found[0] = before
    found[5] = min(deepest, low / peak - 1)


def value(
    purse: float, position: float, before: float, closes: Any, equity: Any, share: Any,
    returns: Any,
) -> None:  # fmt: skip
    """What the account is worth at each close, how much of that is invested, and its returns."""
    if position == 0.0:
        for i in range(closes.size):
            equity[i] = purse
            share[i] = 0.0
            returns[i] = 0.0
    else:
        for i in range(closes.size):
            equity[i] = purse + position * closes[i]
        if purse == 0.0:
            share[:] = 1.0
        else:
            for i in range(closes.size):
                worth = position * closes[i]
                share[i] = worth / equity[i] if equity[i] > 0.0 else worth
        earlier, now, moved = equity[: closes.size - 1], equity[1:], returns[1:]
        for i in range(earlier.size):
            moved[i] = now[i] / earlier[i] - 1
    returns[0] = equity[0] / before - 1


def stand(size: int, purse: float, before: float, lanes: Any) -> None:
    """Add a tile in which nothing is held."""
    returned = purse / before - 1
    lanes[0, 0] += returned
    lanes[1, 0] += returned * returned
    worth = lanes[2]
    for _ in range(size // LANES):
        for j in range(LANES):
            worth[j] += purse
    for j in range(size % LANES):
        worth[j] += purse


def marks(
    closes: Any, terms: Any, made: int, at: Any, cash: Any, held: Any, ends: Any, into: Any
) -> None:
    """Equity at the bars before each of `ends`."""
    purse, position, k = terms[0], 0.0, 0
    for i in range(ends.size):
        while k < made and at[k] < ends[i]:
            purse, position = cash[k], held[k]
            k += 1
        into[i] = purse + position * closes[ends[i] - 1]


def outcome(
    rows: Any, wanted: Any, count: int, first: int, opens: Any, closes: Any, terms: Any,
    ends: Any, space: Any, found: Any, into: Any,
) -> None:  # fmt: skip
    """All that a trial leaves, from its decisions: `found` by SUMS, equity at `ends`.

    `space` (three columns of the market's length, lanes and tiles) is written over.
    """
    at, cash, held, lanes, tiles, lined = space
    lanes[:] = 0.0
    found[:] = 0.0
    made = trade(rows, wanted, count, opens, closes, terms, at, cash, held, lanes, found)
    found[10], found[11] = added(lanes[3]), added(lanes[4])
    found[12], found[13], found[14] = added(lanes[0]), added(lanes[1]), added(lanes[2])
    lanes[:] = 0.0
    measure(first, closes, terms, made, at, cash, held, lanes, tiles, lined, found)
    found[1], found[2] = added(lanes[0]), added(lanes[1])
    found[3], found[4] = added(lanes[2]), added(lanes[3])
    marks(closes, terms, made, at, cash, held, ends, into)


def crossings(
    table: Any, sums: Any, pairs: Any, fraction: Any, first: int, opens: Any, closes: Any,
    terms: Any, ends: Any, signs: Any, rows: Any, wanted: Any, space: Any, found: Any, into: Any,
) -> None:  # fmt: skip
    """One trial after the other of crossing means: a row of `found` and of `into` each.

    `pairs`: the rows of `table` that hold its two means, and their windows.
    """
    for k in range(pairs.shape[0]):
        count = cross(
            table[pairs[k, 0]], table[pairs[k, 1]], sums, pairs[k, 2], pairs[k, 3], first,
            terms[k, 1], fraction[k], signs, rows, wanted,
        )  # fmt: skip
        outcome(rows, wanted, count, first, opens, closes, terms[k], ends, space, found[k], into[k])


def followed(
    target: Any, first: int, opens: Any, closes: Any, terms: Any, ends: Any, rows: Any,
    wanted: Any, space: Any, found: Any, into: Any,
) -> None:  # fmt: skip
    """One trial of a column of targets."""
    count = decide(target, first, terms, rows, wanted)
    outcome(rows, wanted, count, first, opens, closes, terms, ends, space, found, into)
