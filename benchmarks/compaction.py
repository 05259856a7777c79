"""Many small files of one-minute bars into few large ones, beside a bare read and write of them.

    python benchmarks/compaction.py [SYMBOLS] [YEARS]      50 symbols and one year: 26 M bars

Each symbol's year lies in 24 files. Bars to meet: 5 M rows/s on 2 cores, below 2 GB for 50 M rows
(two years). The bare run reads each folder's files with pyarrow, joins them and writes them as one
with the same encodings: no order, no proof, no digest, no sync. Processor seconds stand beside
those on the wall, since they hold on a machine that does other things too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measure import one_run
from quality import fill, year

from cq import Lake
from cq.lake import parquet
from cq.lake.compaction import compact
from cq.utils.time import parse_time

MINUTES = 525_600
FILES = 24
ALONE = "--alone"


def made(root: Path, symbols: int, years: int) -> int:
    """A lake of so many bars in small files; how many there are."""
    lake = Lake(root)
    lake.prepare()
    each = MINUTES // FILES
    for number in range(years):
        start = parse_time(f"{2023 - number}-01-01")
        for symbol in range(symbols):
            rows = year(symbol, start, MINUTES)
            for first in range(0, MINUTES, each):
                fill(lake, rows.slice(first, each))
    return symbols * years * MINUTES


def bare(lake: Lake, out: Path) -> None:
    """Each folder's files as one, with pyarrow alone."""
    from concurrent.futures import ThreadPoolExecutor

    def one(numbered: tuple[int, Path]) -> None:
        number, folder = numbered
        table = pa.concat_tables(
            pq.read_table(path, partitioning=None) for path in sorted(folder.glob("file-*"))
        )
        with parquet._writer(str(out / f"{number}.parquet"), table.schema) as file:
            file.write_table(table, row_group_size=parquet.ROW_GROUP)

    folders = [leaf.path for leaf in lake.layouts["ohlcv"].leaves(lake.root)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, enumerate(folders)))


def alone(which: str, root: Path, out: Path) -> None:
    """One of the two, in a process of its own."""
    lake = Lake(root)
    began, used = time.perf_counter(), time.process_time()
    if which == "bare":
        bare(lake, out)
    else:
        compact(lake)
    out.joinpath(f"{which}.txt").write_text(
        f"{time.perf_counter() - began} {time.process_time() - used}"
    )


def main(symbols: int, years: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "lake", Path(folder) / "out"
        out.mkdir()
        rows = made(root, symbols, years)
        size = sum(path.stat().st_size for path in root.rglob("file-*"))
        print(f"{rows:,} bars in {symbols * years * FILES:,} files, {size / 1e6:,.0f} MB")
        took = {}
        for which in ("bare", "compact"):
            _, peak_mb = one_run([sys.executable, __file__, ALONE, which, str(root), str(out)])
            wall, cpu = map(float, (out / f"{which}.txt").read_text().split())
            took[which] = wall, cpu
            print(
                f"  {which:8} {wall:7.2f} s  {rows / wall / 1e6:6.2f} M rows/s   processor "
                f"{cpu:7.2f} s  {rows / cpu / 1e6:6.2f} M rows/s   peak {peak_mb:,.0f} MB"
            )
        wall, cpu = (
            ours / theirs for ours, theirs in zip(took["compact"], took["bare"], strict=True)
        )
        files = sum(1 for _ in root.rglob("file-*"))
        print(f"  {files} files now; {wall:.2f}× bare on the wall, {cpu:.2f}× in the processor")


if __name__ == "__main__":
    if sys.argv[1:2] == [ALONE]:
        alone(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(*(int(one) for one in (*sys.argv[1:], "50", "1")[:2]))
