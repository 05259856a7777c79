"""A crossover in vectorbt under our rules; run by test_vectorbt.py in a Python that has vectorbt.

In each folder that is named: reads bars.csv (ts, open, close) and rules.json, writes orders.csv and
equity.csv. One process for all of them, since it is vectorbt's compiling that takes the time.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import vectorbt as vbt  # noqa: E402


def summed(whole, window):
    total = np.concatenate(([0], np.cumsum(whole)))
    return total[window:] - total[:-window]


def run(folder):
    rules = json.loads((folder / "rules.json").read_text())
    bars = pd.read_csv(folder / "bars.csv")
    whole = np.rint(bars["close"].to_numpy() * 1e8).astype(np.int64)
    fast, slow = rules["fast"], rules["slow"]
    above = np.zeros(len(bars), dtype=bool)
    quick = summed(whole, fast)[slow - fast :]
    above[slow - 1 :] = quick * slow > summed(whole, slow) * fast
    held = pd.Series(above).shift(1, fill_value=False)
    before = held.shift(1, fill_value=False)
    portfolio = vbt.Portfolio.from_signals(
        bars["close"],
        held & ~before,
        ~held & before,
        price=bars[rules["price"]],
        fees=rules["fee"],
        slippage=rules["slippage"],
        init_cash=rules["cash"],
        freq="1h",
    )
    orders = portfolio.orders.records
    pd.DataFrame(
        {
            "ts": bars["ts"].to_numpy()[orders["idx"]],
            "side": np.where(orders["side"] == 0, "buy", "sell"),
            "qty": orders["size"],
            "price": orders["price"],
            "fee": orders["fees"],
        }
    ).to_csv(folder / "orders.csv", index=False, float_format="%.17g")
    portfolio.value().to_csv(
        folder / "equity.csv", index=False, header=["equity"], float_format="%.17g"
    )


for name in sys.argv[1:]:
    run(Path(name))
