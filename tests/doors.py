"""The lake's doors to the disk: counted, refusing, deadly; and a process that forks to die at them.

`Deadly` starts a process that has imported cq but asked nothing yet, since a fork of one whose
Polars has threads would hang. For each order it forks: the child does a piece of work and is killed
at a door, or at a moment.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from cq.lake import disk

Passing = Callable[[int, str, str], None]
"""Told the number of a call, its door, and whether it is "before" or "after" the change."""


@contextmanager
def watched(passing: Passing) -> Iterator[list[str]]:
    """Each call of a door is numbered from 0 and told; yields the names of those so far."""
    calls: list[str] = []
    lock = threading.Lock()

    def through(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            with lock:
                number = len(calls)
                calls.append(name)
            passing(number, name, "before")
            done = real(*args)
            passing(number, name, "after")
            return done

        return call

    with ExitStack() as stack:
        for name in disk.DOORS:
            door = through(name, getattr(disk, name))
            stack.enter_context(mock.patch.object(disk, name, door))
        yield calls


def counted(work: Callable[[], Any]) -> list[str]:
    """The doors that a piece of work goes through, in order."""
    with watched(lambda *_: None) as calls:
        work()
    return calls


@contextmanager
def refusing(number: int, error: int, doors: tuple[str, ...] = disk.DOORS) -> Iterator[list[str]]:
    """The call of this number, if it is of one of `doors`, fails as the system would."""

    def passing(call: int, name: str, when: str) -> None:
        if call == number and when == "before" and name in doors:
            raise OSError(error, os.strerror(error))

    with watched(passing) as calls:
        yield calls


class Deadly:
    """A process whose forks do the work that a function of a module says, and die at it."""

    def __init__(self, module: Path) -> None:
        here = str(Path(__file__).parent)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(module)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def run(self, work: str, *args: Any, **fate: Any) -> str:
        """Do `work(*args)` and say how it ended: `killed`, `done`, or what it said.

        `door=n, when="before"` kills it at a door, `soon_s=…` so much later; `after_s=…` alone at
        a moment.
        """
        assert self.process.stdin
        assert self.process.stdout
        order = {"work": work, "args": args, **fate}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        self.process.communicate("")


def _serve(module: str) -> None:
    """Fork for each order that comes in."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("works", module)
    assert spec
    assert spec.loader
    works = sys.modules["works"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(works)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _die(works, order)
        if "after_s" in order:
            threading.Event().wait(order["after_s"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        said = {-signal.SIGKILL: "killed", 0: "done"}.get(code, f"ended with {code}")
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


def _die(works: Any, order: dict[str, Any]) -> None:
    """In the child: work, and be killed at a door if one is named."""

    def passing(number: int, _: str, when: str) -> None:
        if (number, when) == (order.get("door"), order.get("when")):
            if "soon_s" not in order:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Thread(target=_end, args=[order["soon_s"]], daemon=True).start()

    try:
        with watched(passing):
            getattr(works, order["work"])(*order["args"])
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _end(soon_s: float) -> None:
    threading.Event().wait(soon_s)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _serve(sys.argv[1])
