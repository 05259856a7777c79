"""The same lake in a folder and on S3-compatible storage: a server on this machine answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import polars as pl
import pytest
from simulator import started

from cq.cli.main import run
from cq.errors import CannotDo, LakeUnwritable, MissingExtra, StorageUnreachable, UsageError
from cq.lake import Lake, disk, places, swap
from cq.lake.compaction import compact
from cq.lake.diff import between_lakes
from cq.lake.evidence import Question
from cq.lake.quality import run_checks
from cq.lake.quality_reports import write_report
from cq.lake.status import files, status
from cq.lake.verify import verify
from cq.utils.time import DAY, parse_time

START = parse_time("2023-12-30")
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def server():
    """An S3 server on loopback, in a process of its own, and the environment that names it."""
    for package in ("moto", "s3fs", "upath"):
        pytest.importorskip(package, reason="needs the extras s3 and dev")
    code = (
        "from moto.server import ThreadedMotoServer as S; import sys; "
        "s = S(ip_address='127.0.0.1', port=0, verbose=False); s.start(); "
        "print(s.get_host_and_port()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        port = int(process.stdout.readline())
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "cq",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        process.kill()


@pytest.fixture
def s3(server, monkeypatch):
    """A bucket of this test's own."""
    from cq.lake.storage import storage

    for name, value in server.items():
        monkeypatch.setenv(name, value)
    storage.cache_clear()
    bucket = f"cq-{os.urandom(4).hex()}"
    storage().mkdir(bucket)
    yield f"s3://{bucket}/some/lake"
    storage.cache_clear()


@pytest.fixture
def two(tmp_path, s3):
    """The same lake in both places."""
    return Lake(tmp_path / "lake"), Lake(s3, sql_root=tmp_path / "sql", runs=tmp_path / "runs")


def filled(lake, bars):
    rows = bars(60, since="2023-12-30")
    trades = pl.DataFrame(
        {"ts": [START, START + 1], "price": [1.0, 2.0], "size": [1.0, 1.0], "side": ["buy", None],
         "trade_id": ["1", "22"], "symbol": ["A-B"] * 2, "exchange": ["x"] * 2}
    )  # fmt: skip
    reports = [
        lake.write("ohlcv", one, source="test", now_ns=n)
        for n, one in enumerate((rows[:40], rows[30:], bars(60, "ETH-BRL", since="2023-12-30")))
    ]
    bad = rows.head(2).with_columns(low=pl.lit(-1.0))
    clash = rows.head(2).with_columns(close=pl.lit(101.5))
    reports += [lake.write("ohlcv", one, source="test", now_ns=9) for one in (bad, clash)]
    reports.append(lake.write("trades", trades, source="test", now_ns=9))
    return reports


def test_every_operation_answers_alike_in_both_places(two, bars):
    here, there = two
    assert filled(here, bars) == filled(there, bars)
    answers = []
    for lake in two:
        again = lake.write("ohlcv", bars(60, since="2023-12-30"), source="test", now_ns=10)
        assert (again.landed, again.already_there) == (0, 60)
        report = run_checks(lake, now_ns=START + 9 * DAY)
        answers.append(
            (
                lake.bars(["BTC-BRL", "ETH-BRL"], "1h", "2023-12-31").collect().to_dicts(),
                lake.bars("BTC-BRL", "4h").collect().to_dicts(),
                lake.bars_before("BTC-BRL", "1h", START + DAY, 5).collect().to_dicts(),
                lake.sql("select symbol, count(*) as n from bars group by all order by 1").rows(),
                lake.scan("bars_1d").collect().sort("symbol", "ts").to_dicts(),
                lake.sql("select * from rejected order by all").to_dicts(),
                lake.stored().rows(),
                [one.as_dict() for one in status(lake, START + 9 * DAY)],
                [one.as_dict(lake.root) for one in files(lake, "ohlcv")],
                [(one.check, one.rows) for one in report.checks],
                lake.fingerprint("ohlcv").as_dict(),
            )
        )
        assert json.loads(write_report(report, START).read_text())["errors"] == report.errors
    assert answers[0] == answers[1]
    assert list(between_lakes(here, there, Question(), [])) == []
    assert Lake(str(there.root)).stored().equals(here.stored())


def test_commands_take_an_address_for_a_folder(s3, tmp_path, monkeypatch, capsys, bars):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.chdir(tmp_path)
    bars(48).drop("exchange", "interval").write_csv(tmp_path / "btc.csv")
    asked = ["--set", f"data_root={s3}", "lake"]
    assert run([*asked, "status"]) == 0
    assert f"nothing in {s3} yet" in capsys.readouterr().err
    Lake(s3).write("ohlcv", bars(48), source="test", now_ns=1)
    assert run([*asked, "status", "--json"]) == 0
    shown = capsys.readouterr()
    (series,) = json.loads(shown.out)["series"]
    assert (series["rows"], json.loads(shown.out)["lake"]) == (48, s3)
    assert run([*asked, "sql", "select count(*) as n from bars", "--json"]) == 0
    assert '"n": 48' in capsys.readouterr().out
    assert run([*asked, "quality"]) in (0, 1)
    assert run([*asked, "verify"]) == 3
    shown = capsys.readouterr()
    assert "verifying is not possible" in shown.err
    assert SECRET not in shown.out + shown.err
    assert not (tmp_path / "lake.db").exists()


def test_what_is_fetched_lands_there_and_gaps_are_told_and_mended_as_in_a_folder(
    s3, tmp_path, monkeypatch, capsys
):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.chdir(tmp_path)
    told = []
    with started("--speed", "0", "--start", "2023-01-09T12:34:56", "--no-limits") as sim:
        for name, value in sim.environment.items():
            monkeypatch.setenv(name, value)
        for root in (s3, str(tmp_path / "lake")):
            asked = ["--set", f"data_root={root}", "lake"]
            ingest = [*asked, "ingest", "BTC-BRL", "--interval", "1h", "--since"]
            assert run([*ingest, "2023-01-08", "--until", "2023-01-08T06:00"]) == 0
            assert run([*ingest, "2023-01-09", "--until", "2023-01-09T12:00"]) == 0
            capsys.readouterr()
            answers = []
            for command in (["gaps"], ["repair"], ["gaps"], ["repair"]):
                code = run([*asked, *command, "--json"])
                shown = capsys.readouterr()
                assert shown.out, (command, code, shown.err)
                answers.append((code, json.loads(shown.out.replace(root, "LAKE"))))
            lake = Lake(root)
            assert lake.bars("BTC-BRL", "1h").collect().height == 36
            told.append((answers, lake.fingerprint("ohlcv").as_dict()["digest"]))
    (first, mine), (second, theirs) = told
    assert mine == theirs
    assert [code for code, _ in first] == [code for code, _ in second]
    assert [without_times(one) for _, one in first] == [without_times(one) for _, one in second]
    assert "never_fetched" in json.dumps(first[0])


def without_times(answer):
    """An answer without what the clock of this machine decides."""
    if isinstance(answer, dict):
        kept = {k: v for k, v in answer.items() if not k.endswith(("_s", "_ms", "seconds", "at"))}
        return {k: without_times(v) for k, v in kept.items()}
    return [without_times(one) for one in answer] if isinstance(answer, list) else answer


def test_a_put_that_is_killed_leaves_nothing_visible(server, s3, bars):
    code = (
        "import os, sys, botocore.endpoint as e\n"
        "import aiobotocore.endpoint as a\n"
        "import polars as pl\n"
        "from cq.lake import Lake, places\n"
        "lake = Lake(sys.argv[1]); lake.prepare()\n"
        "real = a.AioEndpoint._send\n"
        "async def send(self, request):\n"
        "    if request.method == 'PUT': os._exit(9)\n"
        "    return await real(self, request)\n"
        "a.AioEndpoint._send = send\n"
        "lake.write('ohlcv', pl.read_parquet(sys.argv[2]), source='t', now_ns=1)\n"
    )
    with tempfile.NamedTemporaryFile(suffix=".parquet") as rows:
        bars(5).write_parquet(rows.name)
        env = {**os.environ, **server}
        died = subprocess.run([sys.executable, "-c", code, s3, rows.name], env=env, check=False)
    assert died.returncode == 9
    assert Lake(s3).stored().is_empty()
    assert Lake(s3).write("ohlcv", bars(5), source="t", now_ns=1).landed == 5


def test_a_lake_is_made_once_whoever_is_first(s3, monkeypatch):
    mine = {"ohlcv": "ohlcv/symbol={symbol}/file-{HHmmss}.parquet"}
    Lake(s3, partitions=mine).prepare()
    with pytest.raises(FileExistsError):
        disk.put(places.place(s3) / "lake.json", b"{}", only_new=True)
    assert Lake(s3).layouts["ohlcv"].template == mine["ohlcv"]


def test_a_server_that_is_down_is_one_line(s3, tmp_path, monkeypatch, capsys, bars):
    from cq.lake.storage import storage

    lake = Lake(s3)
    lake.write("ohlcv", bars(5), source="t", now_ns=1)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:{SECRET}@127.0.0.1:9")
    storage.cache_clear()
    with pytest.raises(StorageUnreachable):
        Lake(s3)
    code = run(["--project", str(tmp_path), "--set", f"data_root={s3}", "lake", "status"])
    said = capsys.readouterr().err
    assert code == 3
    assert said.count("\n") == 1
    assert "the storage at 127.0.0.1:9 does not answer" in said
    assert SECRET not in said + repr(lake) + repr(lake.root)


def test_a_bucket_that_is_not_there_is_said(s3, bars):
    lake = Lake("s3://no-such-bucket-here/lake")
    with pytest.raises(LakeUnwritable, match="no-such-bucket-here"):
        lake.write("ohlcv", bars(5), source="t", now_ns=1)


def test_what_storage_cannot_do_is_refused(s3):
    lake = Lake(s3)
    with pytest.raises(CannotDo, match="cannot exchange folders"), swap.bench(lake.root):
        pass
    for work in (verify, compact):
        with pytest.raises(CannotDo):
            work(lake)
    assert lake.heal() == 0
    assert lake.refresh_catalog()


def test_a_file_address_is_a_folder(tmp_path):
    assert Lake(f"file://{tmp_path}/lake").root == tmp_path / "lake"
    assert not places.is_remote(tmp_path)
    with pytest.raises(UsageError, match="s3://bucket/prefix"):
        Lake("gs://bucket/lake")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cq\[s3\]'"):
        Lake("s3://bucket/lake")
