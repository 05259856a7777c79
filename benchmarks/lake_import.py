"""How fast 1.45 million one-minute bars land in a lake, validated and keyed, as a whole process.

Beside it: the same command over a handful of bars (its start-up), the import again (everything is
there already), and bare Polars reading and writing the same file with no promise at all.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measure import Runs, one_run, report, shared

ROWS = 1_454_695
TIMES = 5
NAMED = ("--symbol", "BTC-EUR", "--exchange", "bitfinex")
BARE = """
import polars as pl
frame = pl.read_parquet({source!r}).sort("symbol", "ts")
frame.write_parquet({target!r}, compression="zstd", compression_level=3)
"""


def main() -> None:
    source = shared("market/ohlcv/m1_bitfinex_usd_2018.parquet")
    few = shared("market/raw/bitfinex_1m/BTCUSD/18-01-01_00-00-00.json")
    names = ("import of 1.45 M bars", "the same again", "import of 120 bars", "bare Polars")
    runs = {name: Runs() for name in names}
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as folder:
            cq = [sys.executable, "-m", "cq"]
            one_run([*cq, "init", folder])
            land = [*cq, "--project", folder, "lake", "import", "--dataset", "ohlcv"]
            bare = BARE.format(source=str(source), target=str(Path(folder) / "bare.parquet"))
            commands = {
                names[0]: [*land, str(source), "--interval", "1m"],
                names[1]: [*land, str(source), "--interval", "1m"],
                names[2]: [*land, str(few), "--interval", "1m", *NAMED],
                names[3]: [sys.executable, "-c", bare],
            }
            for name, command in commands.items():
                seconds, peak_mb = one_run(command)
                runs[name].seconds.append(seconds)
                runs[name].peak_mb.append(peak_mb)
    report("import, whole processes", runs, names[3])
    beyond = runs[names[0]].median - runs[names[2]].median
    print(f"\n  {ROWS / beyond / 1e6:.2f} M rows/s beyond start-up (limit: at least 1)")
    print(f"  {max(runs[names[0]].peak_mb):.0f} MB at most (limit: 1,500)")


if __name__ == "__main__":
    main()
