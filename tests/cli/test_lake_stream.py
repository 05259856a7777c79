import gzip
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import cq
from cq.cli.feeds import left_waiting
from cq.cli.main import run
from cq.ingest.built_bars import bars_of
from cq.ingest.coverage import covered
from cq.lake import Lake
from cq.lake.layout import Part
from cq.lake.source import look
from cq.project import create
from cq.sim.clock import SimClock
from cq.sim.server import running
from cq.sim.simulation import Simulation
from cq.sim.tape import Tape
from cq.utils.time import MINUTE

TAPE = Tape.generated(seed=5, trades_per_minute=60)
DEADLINE_S = 60


@pytest.fixture
def sim() -> Simulation:
    """An exchange on which a minute passes in half a second."""
    return Simulation(TAPE, SimClock(TAPE.begin_ns + 10_000 * MINUTE, speed=120), limited=False)


@pytest.fixture
def project(tmp_path, monkeypatch, sim) -> Iterator[Path]:
    create(tmp_path)
    with running(sim) as address:
        (tmp_path / "configs" / "local.yaml").write_text(
            f"""
            ingestion:
              rest_base_url: {address.rest}
              ws_url: {address.ws}
              rate_limits: {{requests_per_minute: 60000000, requests_per_second: 1000000}}
              stream: {{rotate_seconds: 0.3, quiet_seconds: 1, settle_seconds: 0.1}}
            """
        )
        monkeypatch.chdir(tmp_path)
        yield tmp_path


def trades(project: Path, symbol: str = "BTC-BRL") -> pl.DataFrame:
    lake = Lake(project / "lake")
    owner = {"exchange": "mercadobitcoin", "symbol": symbol}

    def read(parts: Sequence[Part]) -> pl.DataFrame:
        frames = [pl.read_parquet(part.path, hive_partitioning=False) for part in parts]
        if not frames:
            return pl.DataFrame(schema={"trade_id": pl.String, "ts": pl.Int64})
        return pl.concat(frames).sort(pl.col("trade_id").cast(pl.Int64))

    return look(partial(lake.layouts["trades"].files, lake.root, owner), read)


def ids(rows: pl.DataFrame) -> list[int]:
    return rows["trade_id"].cast(pl.Int64).to_list()


def dense(rows: pl.DataFrame) -> bool:
    found = ids(rows)
    return found == list(range(found[0], found[0] + len(found)))


def bars(project: Path) -> pl.DataFrame:
    return Lake(project / "lake").bars("BTC-BRL", "1m").collect()


def assert_bars_are_those_of_the_trades(project: Path) -> None:
    """Every bar between the first and the last is there, and made of all its trades."""
    made, rows = bars(project), trades(project)
    inside = pl.col("ts").is_between(made["ts"].min(), made["ts"].max() + MINUTE, closed="left")
    expected = bars_of(rows.filter(inside), "1m").drop("interval")
    assert_frame_equal(made, expected, check_column_order=False)


def merging(project: Path, minutes: float | None) -> None:
    """Let streams merge their small files so often."""
    local = project / "configs" / "local.yaml"
    said = "null" if minutes is None else f"{minutes}"
    text = local.read_text().replace("stream: {", f"stream: {{compact_minutes: {said}, ")
    local.write_text(text)


@contextmanager
def streaming(
    project: Path, *more: str, command: str = "stream", **settings
) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own; killed at the end of the block if it still runs."""
    environment = os.environ | {"PYTHONPATH": str(Path(cq.__file__).parent.parent)}
    with subprocess.Popen(
        [sys.executable, "-m", "cq", "lake", command, "BTC-BRL", *more],
        cwd=project, env=environment, text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.02)


def streamed_until(project: Path, condition, *more: str, command: str = "stream") -> str:
    """What a stream says on standard output that is told to end once it has said enough."""
    out, err = project / "out.txt", project / "err.txt"
    with (
        out.open("w") as said,
        err.open("w") as noted,
        streaming(project, *more, command=command, stdout=said, stderr=noted) as process,
    ):
        wait_for(lambda: condition(out.read_text() + err.read_text()) or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_S)
    assert process.returncode == 0, err.read_text()
    return out.read_text()


def rotated(text: str, **least: int) -> bool:
    """The stream has told that at least so many rows have landed of what it streamed."""
    told = re.findall(r"in the lake: (.*)", text)
    counts = {name: int(count.replace(",", "")) for count, name in
              re.findall(r"([\d,]+) (trades|bars|books)", told[-1] if told else "")}  # fmt: skip
    return all(counts.get(name, 0) >= count for name, count in least.items())


def landed(project: Path, dataset: str) -> int:
    """Rows in the lake's files."""
    lake = Lake(project / "lake")
    paths = lake.layouts[dataset].paths(lake.root)
    return sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in paths)


def test_a_stream_lands_trades_bars_and_books_and_counts_them(project):
    def enough(text: str) -> bool:
        return rotated(text, trades=100, bars=3, books=1)

    said = json.loads(streamed_until(project, enough, "ETH-BRL", "--book", "--json"))
    assert said["error"] is None
    assert {one["symbol"] for one in said["symbols"]} == {"BTC-BRL", "ETH-BRL"}
    assert 100 <= said["trades"]["landed"] == landed(project, "trades")
    assert 3 <= said["bars"]["landed"] == landed(project, "ohlcv")
    assert 1 <= said["books"]["landed"] == landed(project, "orderbook_l2")
    assert said["lost"] == []
    for symbol in ("BTC-BRL", "ETH-BRL"):
        assert dense(trades(project, symbol))
    assert_bars_are_those_of_the_trades(project)
    assert covered(Lake(project / "lake"), "trades", "mercadobitcoin", "BTC-BRL", None)


def test_a_stream_for_a_while_ends_by_itself(project, capsys):
    assert run(["lake", "stream", "BTC", "--for", "0.5s"]) == 0
    assert "stopped; all is in the lake" in capsys.readouterr().err


def test_sigterm_lands_all_and_ends_with_0(project):
    with streaming(project) as process:
        wait_for(lambda: len(Lake(project / "lake").stored("ohlcv")))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert "stopped; all is in the lake" in err
    assert "in the lake: " in out
    assert "Traceback" not in err
    assert dense(trades(project))


def test_small_files_are_merged_while_it_runs(project):
    merging(project, minutes=0.01)
    lake, seen = Lake(project / "lake"), set[str]()

    def merged() -> bool:
        """Three names have gone that were there."""
        now = set(lake.layouts["trades"].paths(lake.root))
        seen.update(now)
        return len(seen - now) >= 3

    with streaming(project) as process:
        wait_for(merged)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert '"action": "compact", "status": "done"' in err
    assert '"status": "failed"' not in err
    assert dense(trades(project))
    assert_bars_are_those_of_the_trades(project)
    assert not list((lake.root / ".work").glob("*"))


@pytest.mark.parametrize("minutes", [None, 0.003])
def test_killed_at_any_moment_and_begun_again_nothing_lacks_and_nothing_is_there_twice(
    project, minutes
):
    merging(project, minutes)
    chance = random.Random(7)
    for _ in range(4):
        seen = trades(project).height
        with streaming(project) as process:
            wait_for(lambda before=seen: trades(project).height > before)
            time.sleep(chance.uniform(0, 0.7))  # the moment of the kill, not a condition
            process.kill()
    streamed_until(project, lambda text: rotated(text, bars=1))
    rows = trades(project)
    assert dense(rows)
    assert_bars_are_those_of_the_trades(project)
    assert [one for one in (project / "lake").rglob("*.tmp") if one.is_file()] == []
    (known,) = covered(Lake(project / "lake"), "trades", "mercadobitcoin", "BTC-BRL", None)
    assert known[1] <= rows["ts"].max() + MINUTE
    assert run(["lake", "quality"]) == 0


def test_a_full_disk_stops_it_in_one_line_and_nothing_is_torn(project):
    streamed_until(project, lambda text: rotated(text, trades=1))
    before = trades(project).height

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    with streaming(project, preexec_fn=small_files) as process:
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 3, err
    (line,) = [one for one in err.splitlines() if one.startswith("cq:")]
    assert "cannot write" in line
    assert "free space" in line
    assert "Traceback" not in err
    assert trades(project).height >= before
    assert [one for one in (project / "lake").rglob("*.tmp") if one.is_file()] == []
    streamed_until(project, lambda text: rotated(text, trades=1))
    assert trades(project).height > before
    assert dense(trades(project))


def test_what_is_recorded_replays_to_the_same_bytes_as_often_as_one_likes(project, capsys):
    streamed_until(
        project,
        lambda text: rotated(text, trades=100, bars=1, books=1),
        "--book",
        "--record",
        "rec",
    )
    for name in ("a", "b"):
        assert run(["--set", f"data_root={name}", "lake", "replay", "rec"]) == 0
    first, second = (
        {
            one.relative_to(project / name): one.read_bytes()
            for one in (project / name).rglob("*.parquet")
        }
        for name in "ab"
    )
    assert first == second
    replayed = pl.concat(
        pl.read_parquet(one, hive_partitioning=False)
        for one in (project / "a" / "trades").rglob("file*.parquet")
    ).sort(pl.col("trade_id").cast(pl.Int64))
    live = trades(project).filter(pl.col("trade_id").is_in(replayed["trade_id"].to_list()))
    assert ids(live)[-1] == ids(trades(project))[-1]
    upto = replayed.filter(pl.col("trade_id").cast(pl.Int64) <= ids(live)[-1])
    assert_frame_equal(upto, live)
    # what waited behind a hole when the stream was stopped is in the recording, and is told of
    waited = replayed.height - upto.height
    told = re.findall(r"all is in the lake but ([\d,]+) trades", (project / "err.txt").read_text())
    assert [waited] * bool(waited) == [int(one.replace(",", "")) for one in told]
    capsys.readouterr()


def test_the_printed_command_fetches_what_a_long_absence_left_out(project, sim, monkeypatch):
    streamed_until(project, lambda text: rotated(text, trades=1))
    sim.clock.advance(60 * MINUTE)
    monkeypatch.setenv("CQ_INGESTION__STREAM__CATCH_UP_TRADES", "1000")
    streamed_until(project, lambda text: rotated(text, trades=1))
    assert not dense(trades(project))
    (command,) = re.findall(r"`cq (lake ingest [^`]*)`", (project / "err.txt").read_text())
    assert run(command.split()) == 0
    assert dense(trades(project))


def recorded(folder: Path) -> str:
    """What is in recordings, those that are still written included."""
    texts = (gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("*.jsonl.gz")))
    with suppress(EOFError):  # a member is being written
        return b"".join(texts).decode()
    return ""


def test_a_recording_alone_and_its_summary(project, capsys):
    def enough(_: str) -> bool:
        text = recorded(project / "recordings")
        return all(f'"type\\":\\"{one}' in text for one in ("trade", "orderbook", "ticker"))

    words = ("--ticker", "--depth", "10", "--json")
    said = json.loads(streamed_until(project, enough, *words, command="record"))
    text = recorded(project / "recordings")
    assert said["arrivals"] == sum('"at":' in line for line in text.splitlines()) > 2
    assert [Path(one).parent.name for one in said["files"]] == ["recordings"] * len(said["files"])
    assert not (project / "lake" / "trades").exists()
    assert run(["lake", "replay", "recordings", "--speed", "1000", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["trades"]["landed"] > 0
    assert said["books"]["landed"] > 0


def test_a_damaged_recording_lands_what_is_good_and_ends_with_3(tmp_path, monkeypatch, capsys):
    assert run(["init", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    header = {"cq": "recording", "version": 1, "exchange": "mercadobitcoin", "symbols": ["BTC-BRL"]}
    second, at = 1_790_000_040, 1_790_000_040 * 10**9
    for name, tid in (("a", 1), ("b", 7)):
        lines = [header | {"run": name, "began": at, "part": 0}]
        for one in (tid, tid + 1):
            trade = {"tid": one, "date": second, "type": "buy", "price": 5, "amount": 1}
            frame = {"type": "trade", "id": "BRLBTC", "ts": at, "data": trade}
            lines.append({"at": at, "session": "s", "frame": json.dumps(frame)})
        lines.append({"at": at})
        text = "".join(json.dumps(one) + "\n" for one in lines)
        Path(f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    capsys.readouterr()
    assert run(["lake", "replay", "a.jsonl.gz"]) == 3
    out, err = capsys.readouterr()
    assert "in the lake: 2 trades" in out
    assert "cq: a.jsonl.gz: has a damaged line 4 (lacks 'session'); what came before is" in err
    assert "`cq lake ingest BTC-BRL --dataset trades --since 2026-09-21T14:13:00Z`" in err
    assert run(["lake", "replay", "a.jsonl.gz", "b.jsonl.gz", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["trades"]["landed"], said["trades"]["already_there"]) == (2, 2)
    assert said["error"] == "2 of 2 files could not be read to their end"
    assert [one.partition(":")[0] for one in said["unread"]] == ["a.jsonl.gz", "b.jsonl.gz"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["stream", "btc-brl"], 2, "did you mean BTC-BRL"),
        (["stream", "NOPE-BRL"], 4, "NOPE-BRL"),
        (["stream", "--for", "ten"], 2, "expected such as 90s"),
        (["stream", "--depth", "15"], 2, "'15'"),
        (["record", "--out", "configs/default.yaml"], 2, "is a file"),
        (["replay", "absent"], 3, "no such file"),
        (["replay", "configs"], 2, "holds no recording"),
        (["replay", "absent", "--speed", "nan"], 2, "no speed"),
        (["replay", "configs/default.yaml"], 3, "default.yaml"),
    ],
)
def test_a_mistake_is_one_line(project, capsys, arguments, code, words):
    assert run(["lake", *arguments]) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


def test_an_exchange_out_of_reach_is_one_line(project, capsys, monkeypatch):
    monkeypatch.setenv("CQ_INGESTION__REST_BASE_URL", "http://127.0.0.1:1/api/v4")
    monkeypatch.setenv("CQ_INGESTION__RETRY__MAX_TRIES", "1")
    assert run(["lake", "stream", "BTC-BRL"]) == 4
    assert "out of reach" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["stream", "record"])
def test_a_socket_that_never_opens_is_said_and_no_success(project, capsys, monkeypatch, command):
    monkeypatch.setenv("CQ_INGESTION__WS_URL", "ws://127.0.0.1:1/ws")
    assert run(["lake", command, "BTC-BRL", "--for", "1s"]) == 4
    out, err = capsys.readouterr()
    (line,) = [one for one in err.splitlines() if one.startswith("cq:")]
    assert "no socket to ws://127.0.0.1:1/ws was ever open" in line
    assert "all is in the lake" not in err
    if command == "stream":
        caught = trades(project).height
        assert f"{caught:,} trades were caught up by REST" in line
        assert f"in the lake: {caught:,} trades" in out
    assert run(["lake", command, "BTC-BRL", "--for", "1s", "--json"]) == 4
    assert "was ever open" in json.loads(capsys.readouterr().out)["error"]


def test_with_nothing_listening_at_all_nothing_is_said_to_be_in_the_lake(
    project, capsys, monkeypatch
):
    monkeypatch.setenv("CQ_INGESTION__WS_URL", "ws://127.0.0.1:1/ws")
    monkeypatch.setenv("CQ_INGESTION__REST_BASE_URL", "http://127.0.0.1:1/api/v4")
    monkeypatch.setenv("CQ_INGESTION__RETRY__MAX_TRIES", "1")
    assert run(["lake", "stream", "BTC-BRL", "--for", "1s", "--json"]) == 4
    out, err = capsys.readouterr()
    assert "out of reach" in json.loads(out)["error"]
    assert "all is in the lake" not in err


def test_told_to_stop_before_anything_answered_it_says_so(project, monkeypatch):
    monkeypatch.setenv("CQ_INGESTION__REST_BASE_URL", "http://127.0.0.1:1/api/v4")
    monkeypatch.setenv("CQ_INGESTION__RETRY__MAX_TRIES", "1000000")
    with streaming(project) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 4, first + err
    assert "nothing was caught up either" in err


def test_what_was_caught_up_counts_and_is_said_once(project, capsys):
    assert run(["lake", "stream", "BTC-BRL", "--for", "1s"]) == 0
    out = capsys.readouterr().out
    lines = [one for one in out.splitlines() if one.startswith("in the lake")]
    assert len(lines) == len(set(lines))
    first = trades(project).height
    assert f"in the lake: {first:,} trades" in out
    assert run(["lake", "stream", "BTC-BRL", "--for", "1s", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["trades"]["landed"] == trades(project).height - first
    assert said["symbols"][0]["trades"] == trades(project).height - first


def replayed(project: Path, folder: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trades and bars that a recording makes in a lake of its own."""
    assert run(["--set", f"data_root=of-{folder}", "lake", "replay", folder]) == 0
    lake = Lake(project / f"of-{folder}")
    rows = pl.concat(
        pl.read_parquet(one, hive_partitioning=False)
        for one in lake.layouts["trades"].paths(lake.root)
    ).sort(pl.col("trade_id").cast(pl.Int64))
    return rows, lake.bars("BTC-BRL", "1m").collect()


def test_a_recording_has_what_the_lake_got_while_catching_up_too(project):
    assert run(["lake", "stream", "BTC-BRL", "--for", "2s", "--record", "first"]) == 0
    rows, made = replayed(project, "first")
    assert_frame_equal(rows, trades(project))
    assert_frame_equal(made, bars(project))
    before = made["ts"].max()
    assert run(["lake", "stream", "BTC-BRL", "--for", "2s", "--record", "second"]) == 0
    more, later = replayed(project, "second")
    assert_frame_equal(more, trades(project)[-more.height :])
    assert more.height >= trades(project).height - rows.height
    assert_frame_equal(
        later.filter(pl.col("ts") > before), bars(project).filter(pl.col("ts") > before)
    )


@pytest.mark.parametrize("arguments", [["record", "--out"], ["stream", "BTC-BRL", "--record"]])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(
    project, capsys, arguments
):
    assert run(["lake", *arguments, "configs/default.yaml/below"]) == 3
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert "cannot write to configs/default.yaml/below" in line
    assert out == ""
    assert not (project / "lake" / "trades").exists()


@pytest.mark.parametrize(("held", "said"), [(0, ""), (1_035, " but 1,035 trades behind a hole")])
def test_trades_that_wait_behind_a_hole_when_a_stream_ends_are_told_of(held, said):
    assert left_waiting(held).startswith(said)
    assert bool(left_waiting(held)) == bool(held)
