"""How fast trades go from a socket into Parquet, and how soon after they are sent.

First without a socket: frames to columns to a Parquet file, beside the same with Python's `json`
and beside cryptofeed, which only decodes (CQ_CRYPTOFEED_PYTHON names a Python that has it). Then
`cq lake stream` as a whole process on a loopback socket that sends as fast as it is read: trades a
second of its CPU time, peak memory with few and with many trades. Last the delay at 5,000 a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from flood import FIRST, frame
from rehearsal import Project

from cq.errors import Unreachable
from cq.exchanges.feed import Frame
from cq.exchanges.mercado_bitcoin.feed import MercadoBitcoinFeed
from cq.ingest.arrivals import Arrivals
from cq.ingest.live_feed import LiveFeed
from cq.utils.config import load

HERE = Path(__file__).resolve().parent
COUNT = 500_000
BURST = 20_000  # a flooded socket hands on up to 32,768 at once
TIMES = 5


def texts(count: int) -> list[bytes]:
    """Frames without the socket's own header."""
    return [frame(number, 1_790_138_577_211_526_746)[4:] for number in range(count)]


def ours(frames: list[Frame], target: Path, project: Project) -> None:
    """The stream's own path, from what a socket hands on: decode, sequence, columns, a file."""
    from cq.lake import parquet

    feed = MercadoBitcoinFeed(load(project.folder).settings.ingestion)
    feed.connection(["BTC-BRL"], ["trades"], lambda: None)
    core = Arrivals(feed, ["BTC-BRL"], {"BTC-BRL": FIRST - 1})
    parts = []
    for start in range(0, len(frames), BURST):
        parts.append(core.take(frames[start : start + BURST]).trades)
    rows = pl.concat(parts)
    assert rows.height == len(frames)
    target.write_bytes(parquet.encoded(rows))


def with_json(messages: list[bytes], target: Path) -> None:
    """What anybody would write first."""
    columns: dict[str, list[object]] = {name: [] for name in ("ts", "tid", "price", "size", "side")}
    for message in messages:
        said = json.loads(message)
        data = said["data"]
        columns["ts"].append(data["date"] * 10**9)
        columns["tid"].append(str(data["tid"]))
        columns["price"].append(float(data["price"]))
        columns["size"].append(float(data["amount"]))
        columns["side"].append(data["type"])
    pl.DataFrame(columns).write_parquet(target, compression="zstd", compression_level=3)


def decoding(folder: Path, project: Project) -> None:
    """Frames to Parquet, in turn."""
    messages = texts(COUNT)
    frames = [Frame(0, one, "session") for one in messages]
    ways: dict[str, Callable[[], object]] = {
        "cq: decode, sequence, columns, Parquet": lambda: ours(frames, folder / "a", project),
        "json of Python: decode, columns, Parquet": lambda: with_json(messages, folder / "b"),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    peer, fed = os.environ.get("CQ_CRYPTOFEED_PYTHON"), "cryptofeed: decode and callback only"
    for _ in range(TIMES):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append(time.perf_counter() - began)
        if peer:
            words = [peer, str(HERE / "peers/cryptofeed_decode.py"), str(COUNT)]
            said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            took.setdefault(fed, []).append(float(said))
    base = statistics.median(next(iter(took.values())))
    print(f"{COUNT:,} trade frames, median of {TIMES} (limit: at least 2× each of the others)")
    for name, seconds in took.items():
        one = statistics.median(seconds)
        print(f"  {name:44} {COUNT / one / 1e3:8,.0f} k/s   cq is {one / base:.1f}×")


@contextmanager
def flooding(count: int, per_second: float | None = None) -> Iterator[dict[str, str]]:
    """A flood in a process of its own; the environment that leads to it."""
    words = [sys.executable, str(HERE / "flood.py"), str(count)]
    process = subprocess.Popen(
        words + ([str(per_second)] if per_second else []), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    try:
        yield {
            "CQ_INGESTION__WS_URL": f"ws://127.0.0.1:{port}/ws",
            "CQ_INGESTION__REST_BASE_URL": f"http://127.0.0.1:{port}/api/v4",
            "CQ_INGESTION__STREAM__ROTATE_SECONDS": "2",
        }
    finally:
        process.kill()
        process.communicate()


def whole_process(count: int) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak MB of `cq lake stream` for `count` trades."""
    with tempfile.TemporaryDirectory() as folder, flooding(count) as environment:
        project = Project(Path(folder) / "p", environment)
        began = time.perf_counter()
        process = project.start("lake", "stream", "BTC-BRL")
        while _landed(project) < count:
            if process.poll() is not None or time.perf_counter() - began > 600:
                sys.exit(f"only {_landed(project):,} of {count:,} trades landed")
            time.sleep(0.2)
        took = time.perf_counter() - began
        process.terminate()
        _, _, usage = os.wait4(process.pid, 0)
        found = project.trades("BTC-BRL")
        assert found.height == count == found["id"].n_unique()
        return usage.ru_utime + usage.ru_stime, took, usage.ru_maxrss / 1024


def _landed(project: Project) -> int:
    paths = list((project.folder / "lake" / "trades").glob("**/symbol=BTC-BRL/**/*.parquet"))
    if not paths:
        return 0
    return int(pl.scan_parquet(paths, hive_partitioning=False).select(pl.len()).collect().item())


def delays(project: Project, count: int, per_second: float) -> list[float]:
    """Milliseconds from a frame's sending to the batch it is in."""
    with flooding(count, per_second) as environment:
        ingestion = load(project.folder).settings.ingestion.model_copy(
            update={"ws_url": environment["CQ_INGESTION__WS_URL"]}
        )
        stop, sent = threading.Event(), []

        class Reader(MercadoBitcoinFeed):
            """Keeps the send times, which the lake has no column for."""

            def read(self, frames):  # type: ignore[no-untyped-def]
                decoded = super().read(frames)
                now = time.time_ns()
                sent.extend(
                    (now - int(one.data[35:54])) / 1e6
                    for one in frames
                    if one.data.startswith(b'{"type":"trade"')
                )
                return decoded

        class Nothing:
            """No REST: nothing is missing here."""

            def time_ns(self, now_ns: int) -> int:
                return now_ns

            def __getattr__(self, name: str) -> Callable[..., object]:
                def unreachable(*_: object) -> object:
                    raise Unreachable("http://127.0.0.1:9", name)

                return unreachable

        async def run() -> None:
            live = LiveFeed(
                Reader(ingestion), Nothing(), ["BTC-BRL"], ingestion.stream,
                after={"BTC-BRL": FIRST - 1},
            )  # fmt: skip
            total = 0
            async for batch in live.batches(stop):
                total += batch.trades.height
                if total >= count:
                    stop.set()

        asyncio.run(run())
    return sent


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project = Project(folder / "project")
        decoding(folder, project)
        few, many = whole_process(100_000), whole_process(1_100_000)
        rate = 1_000_000 / (many[0] - few[0])
        print(f"\ncq lake stream: {rate / 1e3:,.0f} k trades/s of CPU beyond start-up (limit: 140)")
        print(f"  {1_100_000 / many[1] / 1e3:,.0f} k/s of wall time, start-up included")
        print(f"  peak {few[2]:.0f} MB for 0.1 M trades, {many[2]:.0f} MB for 1.1 M")
        late = sorted(delays(project, 50_000, 5_000.0))
        p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
        print(f"at 5,000 a second: p50 {p50:.2f} ms, p99 {p99:.2f} ms (limit: 1 ms)")


if __name__ == "__main__":
    main()
