"""Somebody holds `duckdb lake.db` open to write: every command goes on, the views follow later."""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import makers
import polars as pl
import pytest

from cq.cli.main import run
from cq.lake import Lake, catalog
from cq.project import create

SHELL = Path(sysconfig.get_path("scripts")) / "duckdb"
OWN = "-- One row.\ncreate or replace view mine as select 42 as answer"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    create(tmp_path)
    closes = [100 + i % 50 for i in range(2000)]
    bars = makers.hourly("BTC-BRL", closes, start=1_704_067_200 * 10**9)
    bars.select(pl.exclude("symbol", "exchange")).write_csv(tmp_path / "bars.csv")
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", bars.with_columns(interval=pl.lit("1h")), source="test", now_ns=1)
    assert lake.refresh_catalog()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "PATIENCE_S", 0.05)
    return tmp_path


@contextmanager
def a_person_at(db: Path) -> Iterator[subprocess.Popen[str]]:
    """A DuckDB command line that holds `db` open to write."""
    if not SHELL.exists():
        pytest.skip("no duckdb command line (duckdb-cli) here")
    with subprocess.Popen(
        [SHELL, "-csv", "-noheader", db], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdin
        print("create or replace table notes as select 'mine' as note;", file=shell.stdin)
        print("select count(*) from bars;", file=shell.stdin, flush=True)
        assert shell.stdout
        assert shell.stdout.readline() == "2000\n"
        yield shell
        print("select count(*) from bars;", file=shell.stdin, flush=True)
        assert int(shell.stdout.readline()) >= 2000
        shell.stdin.close()
        assert shell.wait(20) == 0


COMMANDS = (
    ["lake", "status"],
    ["lake", "files"],
    ["lake", "sql", "select answer from mine"],
    ["lake", "quality"],
    [
        *("lake", "import", "bars.csv", "--dataset", "ohlcv"),
        *("--symbol", "ETH-BRL", "--interval", "1h", "--exchange", "x"),
    ],
    ["backtest", "configs/strategies/crossover_btc.yaml", "--no-report"],
    [
        "live",
        "--paper",
        "--replay",
        "--since",
        "2024-03-01",
        "configs/strategies/crossover_btc.yaml",
    ],
)


def test_every_command_goes_on_and_the_views_follow_later(project, capsys):
    with a_person_at(project / "lake.db"):
        (project / "sql/marts/mine.sql").write_text(OWN)
        for command in COMMANDS:
            assert run(command) in (0, 1), command
            said = capsys.readouterr()
            assert "Traceback" not in said.err
            assert "IO Error" not in said.out + said.err
        assert run(["lake", "status"]) == 0
        assert "is open elsewhere; its views stay as they are" in capsys.readouterr().err
    assert run(["lake", "status"]) == 0
    assert capsys.readouterr().err == ""
    shown = subprocess.run(
        [SHELL, "-csv", "-noheader", "-readonly", "lake.db", "select * from mine, notes"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout == "42,mine\n"


REFRESHES = """
import sys
from cq.lake import Lake
lake = Lake(sys.argv[1])
for _ in range(3):
    (lake.root / ".catalog.json").unlink(missing_ok=True)
    assert lake.refresh_catalog() in (True, False)
"""


def test_two_processes_refresh_at_once(project):
    both = [
        subprocess.Popen([sys.executable, "-c", REFRESHES, "lake"], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for one in both:
        assert one.communicate(timeout=120)[1] == b""
        assert one.returncode == 0
    assert Lake("lake").refresh_catalog()
    assert Lake("lake").sql("select count(*) from bars_1d").item() > 0
