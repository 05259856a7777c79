"""A month through the documented limits: is anything asked for too often?

A simulated exchange that keeps the documented limits, in real time, gives a month of one-minute
bars and all trades of five markets to `cq lake ingest`: not one 429 may come back. Then the same
for one market with an exchange that allows half of what it documents: it must still complete.

    python benchmarks/soak_limits.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rehearsal import Project, bars, differences, exchange, expected, unequal

from cq.utils.time import parse_time

SYMBOLS = ("BTC-BRL", "ETH-BRL", "SOL-BRL", "USDT-BRL", "LINK-BRL")
START, SINCE, UNTIL = "2026-02-02", "2026-01-01", "2026-02-01"


def month(symbols: tuple[str, ...], trades_per_minute: float, **options: object) -> dict[str, int]:
    """Ingest the month; how the exchange counted the answers it gave."""
    options = {"seed": 8, "start": START, "trades_per_minute": trades_per_minute, **options}
    with tempfile.TemporaryDirectory() as folder, exchange(**options) as market:
        project = Project(Path(folder) / "project", market.environment)
        words = ("lake", "ingest", *symbols, "--since", SINCE, "--until", UNTIL)
        began = time.monotonic()
        both = [
            project.start(*words, "--interval", "1m"),
            project.start(*words, "--dataset", "trades"),
        ]
        for process in both:
            output, _ = process.communicate()
            if process.returncode:
                sys.exit(f"ended with {process.returncode}:\n{output}")
        took = time.monotonic() - began
        since, until = parse_time(SINCE), parse_time(UNTIL)
        status, tape = market.status(), market.tape()
        for symbol in symbols:
            rows = project.trades(symbol)
            wrong = differences(rows, expected(tape, symbol, tape.trades(symbol, since, until)))
            made = bars(project, symbol)
            wrong += unequal(made, tape, symbol, since, until, status["now_ns"])
            print(f"  {symbol}: {made.height:,} bars, {rows.height:,} trades", *wrong, sep="; ")
            if wrong:
                sys.exit(1)
        print(f"  {took:.0f} s; requests {status['requests']}, answers {status['statuses']}")
        statuses: dict[str, int] = status["statuses"]
        return statuses


if __name__ == "__main__":
    print("five markets, at the documented limits")
    found = month(SYMBOLS, 3.0)
    print("one market, at an exchange that allows half of what it documents")
    strict = month(SYMBOLS[:1], 2.0, switch="limit_factor=0.5")
    if found.get("429", 0):
        sys.exit(f"{found['429']} answers were 429")
    if not strict.get("429", 0):
        sys.exit("the strict exchange never answered 429: nothing was shown")
    print("not one 429 at the documented limits; complete at half of them")
