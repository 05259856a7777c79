"""Does a lake hold what a dict would, whatever is done to it in whatever order?

Random sequences of imports, back-fills, streams and rebuilt bars, kills at random calls to the
disk, and damaged files that are moved away; after each, what the lake gives is compared with a dict
that was kept beside it. The tests try 2,000 short ones; this tries as many as you like, of 20
operations each.

    python benchmarks/soak_model.py [COUNT] [NUMBER]

The same NUMBER gives the same sequences.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lake_model import sequences

STEPS = 20


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    number = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**9)
    print(f"{count:,} sequences, number {number}", flush=True)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = sequences(Path(folder) / "lake", count, STEPS, number)
    print(f"{done:,} operations in {time.perf_counter() - began:.0f} s: no difference")


if __name__ == "__main__":
    main()
