"""The README is run: its files are written, its commands typed, its Python executed."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from exchange import Exchange, bars

from cq.ingest.backfill import backfill
from cq.lake import Lake
from cq.project import create
from cq.sim.market import GeneratedMarket
from cq.utils.clock import now_ns
from cq.utils.time import HOUR, parse_time

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
START, END = parse_time("2025-01-01"), parse_time("2026-01-01")


@dataclass(frozen=True)
class Block:
    """A fenced block of the README and what the comment above it says."""

    mark: str
    kind: str
    text: str


BLOCKS = [
    Block(found["mark"] or "", found["kind"], found["text"])
    for found in BLOCK.finditer(README.read_text())
]

FILES = {b.mark.removeprefix("file: "): b.text for b in BLOCKS if b.mark.startswith("file: ")}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project as `cq init` makes it, over a lake with a year of generated bars."""
    folder = tmp_path_factory.mktemp("readme") / "project"
    create(folder)
    market, lake = GeneratedMarket(START, END, name="mercadobitcoin"), Lake(folder / "lake")
    backfill(lake, market, ["BTC-BRL"], "1h", START, END, now_ns=END, page_bars=5000)
    lake.refresh_catalog()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def loopback():
    """An exchange with hourly bars of Bitcoin from the end of the generated ones until now."""
    hours = range((now_ns() - END) // HOUR + 1)
    with Exchange(markets={("BTC-BRL", "1h"): bars(END, HOUR, hours)}) as exchange:
        yield exchange


def test_the_readme_opens_with_a_strategy_of_a_dozen_lines():
    assert set(FILES) == {"my_strategy.py", "my_strategy.yaml"}
    code = FILES["my_strategy.py"].partition("class Config")[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12


def test_the_commands_in_the_readme_do_what_they_say_one_after_the_other(project, loopback):
    """In its order: what one of them made is there for the next."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CQ_INGESTION__REST_BASE_URL": loopback.url,
    }
    for block in BLOCKS:
        if not (block.mark.startswith("run") and block.kind == "console"):
            continue
        may_fail = {0, 1} if "may exit 1" in block.mark else {0}
        for line in block.text.splitlines():
            if line.startswith("$ "):
                done = subprocess.run(
                    line[2:], shell=True, cwd=project, env=environment, capture_output=True,
                    text=True,
                )  # fmt: skip
                assert done.returncode in may_fail, f"{line}: {done.stderr}"
                assert done.stdout, line


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.mark == "run" and b.kind == "python"])
def test_the_python_in_the_readme_runs(project, block):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_has_something_to_run():
    assert sum(b.mark.startswith("run") for b in BLOCKS) >= 6
