"""Ten minutes of a burst: does the memory of a stream stay flat, and is every trade there?

A simulated exchange runs so fast that it has more to send than anybody reads. `cq lake stream`
takes what it can, the sockets hold back the rest. Its memory is read every five seconds; in the end
the lake's files are compared with the exchange's tape.

    python benchmarks/soak_burst.py [MINUTES]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from rehearsal import UNLIMITED, Project, differences, exchange, expected, stop, wait_for

SYMBOLS = ("BTC-BRL", "ETH-BRL", "SOL-BRL")
START = "2026-01-05"
EVERY_S = 5.0
MANNERS = {**UNLIMITED, "CQ_INGESTION__STREAM__ROTATE_SECONDS": "10"}


def resident_mb(pid: int) -> float:
    """Memory in use by a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main(minutes: float) -> int:
    with tempfile.TemporaryDirectory() as temporary, exchange(
        seed=21, speed=1500.0, start=START, trades_per_minute=1000.0, no_limits=True
    ) as market:  # fmt: skip
        folder = Path(temporary)
        project = Project(folder / "project", market.environment | MANNERS)
        stream = project.start("lake", "stream", *SYMBOLS, log=folder / "log")
        began, seen = time.monotonic(), []
        while time.monotonic() < began + minutes * 60:
            time.sleep(EVERY_S)
            if stream.poll() is not None:
                sys.exit((folder / "log").read_text()[-3000:])
            seen.append(resident_mb(stream.pid))
            if len(seen) % 12 == 0:
                print(f"  {len(seen) * EVERY_S / 60:4.0f} min  {seen[-1]:6.0f} MB", flush=True)
        end_ns, tape = market.run_at(0), market.tape()
        last = {one: tape.last_tid(one, end_ns) for one in SYMBOLS}
        wait_for("the end", lambda: {one: project.newest(one) for one in SYMBOLS} == last, 600)
        stop(stream)
        total = wrong = 0
        for symbol in SYMBOLS:
            rows = project.trades(symbol)
            first = int(rows["id"].min())  # type: ignore[arg-type]
            arrays = tape.trades_by_id(symbol, first, last[symbol], end_ns)
            total += rows.height
            for one in differences(rows, expected(tape, symbol, arrays)):
                wrong += 1
                print(f"  {symbol}: {one}")
        third = len(seen) // 3
        early, late = statistics.median(seen[third : 2 * third]), statistics.median(seen[-third:])
        print(f"{total:,} trades, {total / minutes / 60 / 1e3:.0f} k/s; memory: "
              f"median {early:.0f} MB in the second third, {late:.0f} MB in the last, "
              f"{max(seen):.0f} MB at most")  # fmt: skip
        return 1 if wrong or late > 1.1 * early else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
