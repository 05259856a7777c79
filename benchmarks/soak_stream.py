"""A stream under faults: does the lake hold every trade once, in order, with nothing between?

For each seed a simulated exchange sends at least a million trades of three markets while its fault
plan disconnects sockets (at least 50 times), loses, repeats, reorders and garbles frames, and fails
REST requests. `cq lake stream` writes them down. Then the exchange's clock is stopped, the stream
gets time to notice what the last frames hid from it, Ctrl-C ends it, and the lake's files are
compared with the exchange's tape, trade by trade.

    python benchmarks/soak_stream.py [SEEDS] [TRADES] [FIRST SEED]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rehearsal import (
    UNLIMITED,
    Project,
    differences,
    exchange,
    expected,
    stop,
    wait_for,
)

from cq.utils.time import parse_time

SYMBOLS = ("BTC-BRL", "ETH-BRL", "SOL-BRL")
SPEED = 1200.0
TRADES_PER_MINUTE = 500.0
START = "2026-01-05"
PLAN = """\
seed: {seed}
faults:
  - {{kind: disconnect, each: {disconnect}}}
  - {{kind: lost, chance: 0.0005}}
  - {{kind: duplicate, chance: 0.01}}
  - {{kind: reorder, chance: 0.01, distance: 5}}
  - {{kind: corrupt, chance: 0.002, how: broken}}
  - {{kind: half_open, each: {half_open}}}
  - {{kind: server_error, chance: 0.01}}
  - {{kind: drop, chance: 0.01}}
  - {{kind: too_many, chance: 0.01, retry_after: seconds, wait: 0.2}}
  - {{kind: html_403, chance: 0.002, after: 10}}
"""
MANNERS = {
    **UNLIMITED,
    "CQ_INGESTION__RETRY__BACKOFF_BASE_MS": "20",
    "CQ_INGESTION__RETRY__BACKOFF_CAP_MS": "500",
    "CQ_INGESTION__RETRY__MAX_TRIES": "12",
    "CQ_INGESTION__STREAM__PING_SECONDS": "1",
    "CQ_INGESTION__STREAM__STALE_SECONDS": "3",
    "CQ_INGESTION__STREAM__QUIET_SECONDS": "3",
    "CQ_INGESTION__STREAM__ROTATE_SECONDS": "2",
}


def one(seed: int, trades: int) -> bool:
    """Whether the lake came out right for one seed."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plan = folder / "plan.yaml"
        plan.write_text(PLAN.format(seed=seed, disconnect=trades // 160, half_open=trades // 5))
        options = {"seed": seed, "speed": SPEED, "start": START, "faults": plan, "no_limits": True}
        with exchange(trades_per_minute=TRADES_PER_MINUTE, **options) as market:
            project = Project(folder / "project", market.environment | MANNERS)
            began = time.monotonic()
            stream = project.start("lake", "stream", *SYMBOLS, "--json", log=folder / "log")
            tape = market.tape()
            before = sum(tape.last_tid(one, parse_time(START)) for one in SYMBOLS)

            def enough() -> bool:
                if stream.poll() is not None:
                    sys.exit(f"the stream ended by itself:\n{(folder / 'log').read_text()[-3000:]}")
                status = market.status()
                happened = sum(tape.last_tid(one, status["now_ns"]) for one in SYMBOLS) - before
                return happened > 1.05 * trades and status["faults"].get("disconnect", 0) >= 50

            wait_for("trades and disconnections", enough, 900)
            end_ns = market.run_at(0)
            wanted_last = {one: tape.last_tid(one, end_ns) for one in SYMBOLS}
            wait_for("the end", lambda: _last(project) == wanted_last, 180)
            stop(stream)
            took = time.monotonic() - began
            status = market.status()
        wrong = []
        total = 0
        for symbol in SYMBOLS:
            found = project.trades(symbol)
            first = int(found["id"].min())  # type: ignore[arg-type]
            arrays = tape.trades_by_id(symbol, first, wanted_last[symbol], end_ns)
            total += found.height
            wrong += [
                f"{symbol}: {one}" for one in differences(found, expected(tape, symbol, arrays))
            ]
        struck = {name: count for name, count in sorted(status["faults"].items()) if count}
        print(f"seed {seed:3}: {total:,} trades in {took:.0f} s; {struck}", flush=True)
        for said in wrong:
            print(f"    {said}")
        return not wrong and total >= trades


def _last(project: Project) -> dict[str, int]:
    return {one: int(project.trades(one)["id"].max() or 0) for one in SYMBOLS}  # type: ignore[call-overload]


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:4]]
    seeds, trades, begin = words + [20, 1_000_000, 1][len(words) :]
    held = [one(seed, trades) for seed in range(begin, begin + seeds)]
    print(f"{sum(held)} of {len(held)} seeds right")
    sys.exit(0 if all(held) else 1)
