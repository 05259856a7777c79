"""The simulated exchange for tests: in a thread, or as the command that people start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cq.sim.clock import SimClock
from cq.sim.faults import Faults
from cq.sim.plan import Plan, read_plan
from cq.sim.simulation import Simulation
from cq.sim.switches import Switches
from cq.sim.tape import Tape
from cq.utils.time import parse_time

START = parse_time("2023-01-09T12:34:56.789")
TAPE = Tape.generated(seed=3)


def simulation(
    speed: float = 0.0,
    *,
    tape: Tape = TAPE,
    start_ns: int = START,
    faults: list[dict[str, Any]] | None = None,
    seed: int = 0,
    limited: bool = False,
    **switches: Any,
) -> Simulation:
    """A simulation whose clock stands still unless told otherwise."""
    plan = Plan.model_validate({"seed": seed, "faults": faults or [], "switches": switches})
    return Simulation(tape, SimClock(start_ns, speed), plan.switches, Faults(plan), limited=limited)


@dataclass
class Started:
    """A running `cq sim`."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    @property
    def rest(self) -> str:
        return str(self.said["rest"])

    @property
    def ws(self) -> str:
        return str(self.said["ws"])

    @property
    def environment(self) -> dict[str, str]:
        """What points another cq here."""
        return {"CQ_INGESTION__REST_BASE_URL": self.rest, "CQ_INGESTION__WS_URL": self.ws}


@contextmanager
def started(*arguments: str) -> Iterator[Started]:
    """`cq sim ARGUMENTS` in a process of its own, on a free port; ended like by Ctrl-C."""
    command = [sys.executable, "-m", "cq", "sim", "--port", "0", "--json", *arguments]
    root = Path(__file__).parent.parent
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Started(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def plan_file(folder: Path, **plan: Any) -> Path:
    """A fault plan on disk that is known to be one."""
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    read_plan(path)
    return path


__all__ = ["START", "TAPE", "Started", "Switches", "plan_file", "simulation", "started"]
