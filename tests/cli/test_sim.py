"""`cq sim` as people start it."""

import json
import signal
import socket
from urllib.request import urlopen

import pytest
from simulator import plan_file, started

from cq.cli.main import run


def test_it_says_where_it_listens_and_ends_cleanly_on_a_signal():
    for number in (signal.SIGINT, signal.SIGTERM):
        with started("--start", "2026-01-02", "--speed", "0", "--seed", "4") as one:
            with urlopen(f"{one.rest}/tickers?symbols=BTC-BRL", timeout=20) as reply:
                assert json.loads(reply.read())[0]["pair"] == "BTC-BRL"
            assert one.said["now"] == "2026-01-02T00:00:00Z"
            one.process.send_signal(number)
            said = one.process.communicate(timeout=20)[1]
        assert one.process.returncode == 0
        assert "stopped at 2026-01-02T00:00:00Z" in said
        assert "Traceback" not in said


def test_a_port_in_use_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["sim", "--port", str(port), "--speed", "0"]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1 port {port} (address already in use)" in said


def test_an_empty_host_is_not_taken_for_every_address(capsys):
    assert run(["sim", "--port", "0", "--speed", "0", "--host", ""]) == 2
    assert "--host is empty, which would be every address; name one" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["192.0.2.1", "::zz"])
def test_a_host_that_is_not_here_is_one_line_that_names_the_option(capsys, host):
    assert run(["sim", "--port", "0", "--speed", "0", "--host", host]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen on {host}: that is no address of this machine; name one with --h" in said
    assert "Errno" not in said
    assert "--port" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--data", "/nowhere"], 3, "no such file"),
        (["--start", "1999-01-01"], 2, "has trades from 2023-01-01"),
        (["--start", "2077-01-01"], 2, "has trades from"),
        (["--switch", "since=maybe"], 2, "--switch since"),
        (["--switch", "since=maybe"], 2, "found 'maybe'; there is after, from, ignored"),
        (["--switch", "ws_idle=1"], 2, "no switch 'ws_idle'; did you mean ws_idle_s?"),
        (["--switch", "nope=1"], 2, "no switch 'nope'; the nearest are "),
        (["--switch", "since"], 2, "--switch since: its value is missing; expected since=VALUE"),
        (["--switch", "ws_idle_s=.nan"], 2, "--switch ws_idle_s: found nan, expected"),
        (["--speed", "-1"], 2, "--speed"),
        (["--speed", "nan"], 2, "--speed"),
        (["--seed", "-1"], 2, "--seed"),
        (["--trades-per-minute", "0"], 2, "--trades-per-minute"),
        (["--port", "70000"], 2, "70000"),
        (["--faults", "nowhere.yaml"], 2, "nowhere.yaml"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, code, said, capsys):
    assert run(["sim", *arguments]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_plan_can_be_checked_alone(tmp_path, capsys):
    path = plan_file(tmp_path, seed=3, faults=[{"kind": "drop", "each": 9}])
    assert run(["sim", "--check", str(path)]) == 0
    assert "seed 3; drop" in capsys.readouterr().out
