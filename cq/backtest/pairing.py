"""Which fills make a round trip, over flat columns: by Python over lists, by numba over arrays."""

from __future__ import annotations

from typing import Any

ROUNDING = 2.0**-52
"""More than a sum of two floats is out by, as a part of it."""


def nothing_left(held: float, added: float) -> bool:
    """Whether a sum of quantities is no more than rounding: `added` is what all of them and the
    sums on the way come to, so that neither a small fill nor a small rest is taken for it."""
    return abs(held) <= ROUNDING * added


def pair(
    who: Any, signed: Any, price: Any, fee: Any, held: Any, flow: Any, paid: Any, added: Any,
    since: Any, closed: Any, opened: Any, profit: Any, cost: Any,
) -> int:  # fmt: skip
    """Write down round trips in the order in which they close; how many.

    `held`, `flow`, `paid`, `added` and `since` are what is open of each symbol, zeros to begin
    with. Of each trip `opened` and `closed` are the fills that began and ended it, `profit` what it
    made after fees, `cost` the value of the fills on the side that opened it. A fill that turns
    what is held is the end of one trip and the beginning of another: each has its part of the fee.
    """
    count = 0
    for k in range(len(who)):
        s, moved = who[k], signed[k]
        before, value = held[s], moved * price[k]
        if before == 0.0:
            since[s] = k
        if before == 0.0 or (before > 0.0) == (moved > 0.0):
            paid[s] += abs(value)
        held[s] += moved
        added[s] += abs(moved) + abs(held[s])
        if nothing_left(held[s], added[s]):
            closed[count] = k
            opened[count] = since[s]
            profit[count] = flow[s] - value - fee[k]
            cost[count] = paid[s]
            count += 1
            held[s] = flow[s] = paid[s] = added[s] = 0.0
        elif before != 0.0 and (before > 0.0) != (held[s] > 0.0):
            charged = fee[k] * (-before / moved)
            closed[count] = k
            opened[count] = since[s]
            profit[count] = flow[s] + before * price[k] - charged
            cost[count] = paid[s]
            count += 1
            since[s] = k
            paid[s] = abs(held[s]) * price[k]  # `added` goes on: so does its rounding
            flow[s] = -held[s] * price[k] - (fee[k] - charged)
        else:
            flow[s] = flow[s] - value - fee[k]
    return count
