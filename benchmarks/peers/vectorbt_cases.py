"""What vectorbt makes of random cases; run in a Python that has vectorbt, writes a recording.

`python benchmarks/peers/vectorbt_cases.py tests/recordings/vectorbt_cases.json` makes it anew. The
bars of a case come from `bars` below, which the test holds its own against; the recording keeps
the case's rules and the orders and last equity that vectorbt comes to.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

CASES, BARS = 240, 120


def bars(seed):
    """Open, high, low and close, of whole cents; entries and exits."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.015, BARS)))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, 0.006, BARS))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.006, BARS)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.006, BARS)))
    opened, high, low, close = (np.round(one, 2) for one in (opened, high, low, close))
    entries, exits = rng.random(BARS) < 0.15, rng.random(BARS) < 0.12
    return opened, high, low, close, entries & ~exits, exits


def rules(seed):
    """Fee, slippage, stop, trailing or not, target; a stop of None is none."""
    rng = np.random.default_rng(10_000 + seed)
    stop = float(rng.choice([0, 0.0113, 0.0271, 0.0532]))
    take = float(rng.choice([0, 0.0157, 0.0419, 0.1]))
    return {
        "fee": float(rng.choice([0, 0.001, 0.0071])),
        "slippage": float(rng.choice([0, 0.0005, 0.0123])),
        "stop": stop or None,
        "trail": bool(stop and rng.random() < 0.5),
        "take": take or None,
    }


def recorded(seed):
    import pandas as pd
    import vectorbt as vbt

    opened, high, low, close, entries, exits = bars(seed)
    said = rules(seed)
    made = vbt.Portfolio.from_signals(
        pd.Series(close),
        pd.Series(entries),
        pd.Series(exits),
        open=pd.Series(opened),
        high=pd.Series(high),
        low=pd.Series(low),
        fees=said["fee"],
        slippage=said["slippage"],
        sl_stop=np.nan if said["stop"] is None else said["stop"],
        sl_trail=said["trail"],
        tp_stop=np.nan if said["take"] is None else said["take"],
        init_cash=1_000.0,
        freq="1h",
    )
    orders = made.orders.records
    columns = [orders[name] for name in ("idx", "side", "size", "price", "fees")]
    rows = zip(*columns, strict=True)
    return {
        "seed": seed,
        "rules": said,
        "orders": [[int(i), int(side), float(q), float(p), float(f)] for i, side, q, p, f in rows],
        "equity": [float(x) for x in made.value().to_numpy()[9::10]],
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    cases = [recorded(seed) for seed in range(CASES)]
    Path(sys.argv[1]).write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
