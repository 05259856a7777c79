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
    ts: Any, who: Any, signed: Any, price: Any, fee: Any, held: Any, flow: Any, paid: Any,
    added: Any, since: Any, first: Any, closed: Any, opened: Any, profit: Any, cost: Any,
) -> int:  # fmt: skip
    """Write down round trips in the order in which they close; how many.

    `held`, `flow`, `paid`, `added`, `since` and `first` are what is open of each symbol, zeros to
    begin with: `first` is the sign of the fill that opened it. Of each trip `closed` is the fill
    that ended it, `opened` when it began, `profit` what it made after fees, `cost` the value of
    the fills on the side that opened it.
    """
    count = 0
    for k in range(len(ts)):
        s, moved = who[k], signed[k]
        value = moved * price[k]
        if first[s] == 0.0:
            since[s] = ts[k]
            first[s] = 1.0 if moved > 0.0 else -1.0
        if moved * first[s] > 0.0:
            paid[s] += abs(value)
        held[s] += moved
        flow[s] = flow[s] - value - fee[k]
        added[s] += abs(moved) + abs(held[s])
        if nothing_left(held[s], added[s]):
            closed[count] = k
            opened[count] = since[s]
            profit[count] = flow[s]
            cost[count] = paid[s]
            count += 1
            held[s] = flow[s] = paid[s] = added[s] = first[s] = 0.0
    return count
