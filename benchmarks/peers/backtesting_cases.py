"""What backtesting.py makes of random cases; run in a Python that has it, writes a recording.

`python benchmarks/peers/backtesting_cases.py tests/recordings/backtesting_cases.json` makes it
anew, from the bars of `vectorbt_cases`. It is an oracle only: nothing of it is in cq.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from vectorbt_cases import bars

CASES = 140
ALL_IN = 1 - 1e-12
"""Of cash, in whole units: what it takes as a part of cash has to lie below one."""


def rules(seed):
    """Commission, cash, and how far stop and target lie from the close that decides."""
    rng = np.random.default_rng(20_000 + seed)
    stop = float(rng.choice([0, 0.0113, 0.0271, 0.0532]))
    take = float(rng.choice([0, 0.0157, 0.0419, 0.1]))
    return {
        "fee": float(rng.choice([0, 0.001, 0.0071])),
        "cash": float(rng.choice([1_000, 55_555.5])),
        "stop": stop or None,
        "take": take or None,
    }


def recorded(seed):
    import pandas as pd
    from backtesting import Backtest, Strategy

    opened, high, low, close, entries, exits = bars(seed)
    said = rules(seed)

    class Signals(Strategy):
        def init(self):
            pass

        def next(self):
            i = len(self.data) - 1
            price = close[i]
            if exits[i] and self.position:
                self.position.close()
            elif entries[i] and not self.position and not self.orders:
                stop = price * (1 - said["stop"]) if said["stop"] else None
                take = price * (1 + said["take"]) if said["take"] else None
                if (stop or 0) < price < (take or np.inf):
                    self.buy(size=ALL_IN, sl=stop, tp=take)

    frame = pd.DataFrame(
        {"Open": opened, "High": high, "Low": low, "Close": close, "Volume": 1.0},
        index=pd.date_range("2024-01-01", periods=close.size, freq="h"),
    )
    made = Backtest(
        frame, Signals, cash=said["cash"], commission=said["fee"], finalize_trades=False
    ).run()
    trades, strategy = made["_trades"], made["_strategy"]
    rows = [
        [int(t.EntryBar), int(t.ExitBar), int(t.Size), float(t.EntryPrice), float(t.ExitPrice)]
        for t in trades.itertuples()
    ]
    still = [[int(t.entry_bar), int(t.size), float(t.entry_price)] for t in strategy.trades]
    equity = [float(x) for x in made["_equity_curve"]["Equity"].to_numpy()[9::10]]
    return {"seed": seed, "rules": said, "trades": rows, "open": still, "equity": equity}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    cases = [recorded(seed) for seed in range(CASES)]
    Path(sys.argv[1]).write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
