# ruff: noqa: PT012  # what stops a block is raised inside it
from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import click
import pytest

import cq
from cq.cli.stopping import NOTHING, Terminated, advice, keeping_nothing, stoppable

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(cq.__file__).parent.parent)}
STOPS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]


@pytest.fixture(params=STOPS, ids=["SIGINT", "SIGTERM"])
def stop(request):
    """The signal, and what the block ends with."""
    return request.param


def wait_for_the_end() -> None:
    """Work that only an exception ends."""
    time.sleep(60)
    pytest.fail("nothing was raised")


def drop(number: int) -> None:
    """A stop that somebody swallows."""
    with pytest.raises(BaseException):  # noqa: B017, PT011
        signal.raise_signal(number)


def test_a_stop_ends_the_block_and_the_handlers_before_are_put_back(stop):
    number, error = stop
    every = signal.SIGINT, signal.SIGTERM, signal.SIGALRM
    before = [signal.getsignal(one) for one in every], sys.unraisablehook
    with pytest.raises(error), stoppable():
        signal.raise_signal(number)
    assert ([signal.getsignal(one) for one in every], sys.unraisablehook) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_stop_that_a_library_makes_another_error_of_is_still_that_stop(stop):
    number, error = stop
    with pytest.raises(error), stoppable():
        try:
            signal.raise_signal(number)
        except BaseException:
            raise RuntimeError("Query interrupted") from None


def test_a_stop_that_is_swallowed_is_raised_again(stop):
    number, error = stop
    with pytest.raises(error), stoppable():
        drop(number)
        drop(number)
        wait_for_the_end()


def test_a_block_that_swallows_a_stop_and_ends_was_stopped_all_the_same(stop):
    number, error = stop
    with pytest.raises(error), stoppable():
        drop(number)


def test_a_stop_that_nobody_can_hear_is_raised_again_and_told_nowhere(stop, capsys, monkeypatch):
    class Deaf:
        pass

    number, error = stop
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    one = Deaf()
    seen = weakref.ref(one, lambda _: signal.raise_signal(number))
    with pytest.raises(error), stoppable():
        del one
        assert seen() is None
        wait_for_the_end()
    assert capsys.readouterr().err == ""


def test_what_else_nobody_can_hear_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: told.append(dropped.exc_type))

    class Loud:
        def __del__(self) -> None:
            raise ValueError

    with stoppable():
        Loud()
    assert told == [ValueError]


@pytest.mark.parametrize("other", [False, True])
def test_a_clean_up_is_not_torn_by_the_stop_that_began_it(stop, other):
    number, error = stop
    tidied = []
    with pytest.raises(error), stoppable():
        try:
            try:
                signal.raise_signal(number)
            except BaseException:
                if not other:
                    raise
                raise RuntimeError("Query interrupted") from None
        finally:
            for _ in range(5):
                time.sleep(0.1)
                tidied.append("a little")
    assert len(tidied) == 5


TIDYING = """
import ctypes, signal
from cq.cli.stopping import stoppable

with stoppable():
    try:
        signal.raise_signal({number})
    finally:
        signal.raise_signal({number})
        print("tidying", flush=True)
        mutex = ctypes.create_string_buffer(64)
        for _ in range(2):  # the second time waits for ever, and hears nothing
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


def test_a_stop_sent_twice_is_one_and_a_second_ends_the_process_wherever_it_is(stop):
    number, _ = stop
    code = TIDYING.format(number=int(number))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, **pipes)
    assert process.stdout.readline() == "tidying\n"
    time.sleep(0.6)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert err == "cq: stopped at once\n"


def test_a_stop_while_an_error_is_handled_is_raised_again_there(stop):
    number, error = stop
    with pytest.raises(error), stoppable():
        try:
            raise ValueError
        except ValueError:
            drop(number)
            wait_for_the_end()


def test_an_import_is_let_to_its_end(stop, tmp_path, monkeypatch):
    number, error = stop
    name = f"half_{number}"
    half = (
        f"import signal, time\nsignal.raise_signal({int(number)})\ntime.sleep(0.3)\nwhole = True\n"
    )
    (tmp_path / f"{name}.py").write_text(half)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error), stoppable():
        importlib.import_module(name)
        wait_for_the_end()
    assert sys.modules.pop(name).whole


def test_an_import_without_end_is_ended(stop, tmp_path, monkeypatch):
    number, error = stop
    (tmp_path / "endless.py").write_text(
        f"import signal, time\nsignal.raise_signal({int(number)})\ntime.sleep(60)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("cq.cli.stopping.IMPORTING_S", 0.3)
    with pytest.raises(error), stoppable():
        importlib.import_module("endless")
    assert "endless" not in sys.modules


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_was_noted_is_told_whichever_error_the_stop_became():
    with pytest.raises(KeyboardInterrupt) as stopped, stoppable():
        try:
            with keeping_nothing():
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise click.Abort from error
    assert advice(stopped.value) == f"{NOTHING}, run the same command again"
    with pytest.raises(Terminated) as stopped, stoppable(), keeping_nothing():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated:
            raise RuntimeError("Query interrupted") from None
    assert advice(stopped.value) == f"{NOTHING}, run the same command again"


LONG = "select sum(range % 7) from range(1000000000000)"
BUSY_S = 3.0


def used_s(process: subprocess.Popen) -> float:
    """The processor time of a process, all its threads together."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended")],
)
def test_a_stop_during_a_long_query_is_one_line_and_its_exit_code(tmp_path, number, code, word):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "cq", "--project", str(tmp_path), "lake", "sql", LONG],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and used_s(process) < BUSY_S:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    said = f"cq: {word}; what had landed is kept, run the same command again"
    assert (process.returncode, err.strip()) == (code, said)
