"""Whole processes, timed in turn so that a comparison holds when the machine's speed drifts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
COSTS = {
    "fees": {"taker": 0.001, "maker": 0.001}, "slippage": {"bps": 5.0},
    "quantity_decimals": None, "min_notional": 0,
}  # fmt: skip
"""Settings of `backtest:` that every engine of a comparison knows."""


@dataclass
class Runs:
    """Wall seconds and peak memory of every run of one command."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        spread = f"{min(self.seconds):.3f}–{max(self.seconds):.3f}"
        return f"{self.median:8.3f} s  ({spread})  {max(self.peak_mb):7.0f} MB"


def in_turn(
    commands: Mapping[str, Sequence[str]], times: int = 5, warmup: int = 1
) -> dict[str, Runs]:
    """Run each command `times` times, one after the other, A B A B …"""
    found = {name: Runs() for name in commands}
    for turn in range(warmup + times):
        for name, command in commands.items():
            seconds, peak_mb = one_run(command)
            if turn >= warmup:
                found[name].seconds.append(seconds)
                found[name].peak_mb.append(peak_mb)
    return found


def one_run(command: Sequence[str]) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of one run; the command must succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{output.decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1024


def shared(path: str) -> Path:
    """A file of the shared market data; ends the benchmark with a plain reason without it."""
    found = SHARED / path
    if not found.exists():
        sys.exit(f"no {found}: this benchmark needs the shared market data beside the project")
    return found


def report(title: str, runs: Mapping[str, Runs], base: str) -> None:
    """Print medians, ranges, peak memory, and each ratio to `base`."""
    print(f"\n{title}")
    for name, one in runs.items():
        print(f"  {name:34} {one}   {one.median / runs[base].median:6.2f}× {base}")
