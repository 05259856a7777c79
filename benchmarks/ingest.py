"""What a back-fill costs: a year of hourly bars of ten markets, in CPU and beside the rate limit.

At one request a second (the documented limit of an endpoint) a back-fill should wait, not compute.
The exchange of the benchmark keeps no limit, so what is left is the client's own work.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from rehearsal import UNLIMITED, Project, exchange

START, SINCE, UNTIL = "2026-01-05", "2025-01-01", "2026-01-01"
LIMIT = 0.05


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, exchange(
        seed=4, start=START, no_limits=True
    ) as market:  # fmt: skip
        project = Project(Path(folder) / "project", market.environment | UNLIMITED)
        symbols = [one for one in market.where["symbols"] if market.tape().last_tid(one, 2**62)][
            :10
        ]
        words = ("lake", "ingest", *symbols, "--since", SINCE, "--until", UNTIL)
        began = time.perf_counter()
        process = project.start(*words, "--interval", "1h", log=Path(folder) / "log")
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        if status:
            sys.exit((Path(folder) / "log").read_text())
        asked = market.status()["requests"]["candles"]
    cpu, waiting = usage.ru_utime + usage.ru_stime, asked * 1.0
    share, peak_mb = cpu / (cpu + waiting), usage.ru_maxrss / 1024
    print(f"a year of 1 h bars of {len(symbols)} markets, {asked} requests: {took:.1f} s unlimited")
    print(f"  {cpu:.2f} s of CPU beside {waiting:.0f} s at one request a second, {peak_mb:.0f} MB")
    print(f"  {share:.1%} of the time is work (limit: {LIMIT:.0%})")


if __name__ == "__main__":
    main()
