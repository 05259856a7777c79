"""`cq sim --balance` and `--accounts`, from the command to the wire."""

import json
import os
import signal
import subprocess
import sys
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest


@pytest.fixture
def listening():
    """Starts `cq sim` with the given words; gives its REST address."""
    processes = []

    def start(*words):
        command = [sys.executable, "-m", "cq", "sim", "--port", "0", "--json", *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        processes.append(process)
        return json.loads(process.stdout.readline())["rest"]

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def totals(rest, login, password):
    form = {"grant_type": "client_credentials", "client_id": login, "client_secret": password}

    def ask(path, data=None, **headers):
        with urlopen(Request(rest + path, data, headers), timeout=20) as reply:
            return json.loads(reply.read())

    token = ask("/oauth2/token", urlencode(form).encode())["access_token"]
    allowed = {"Authorization": f"Bearer {token}"}
    account = ask("/accounts", **allowed)[0]["id"]
    rows = ask(f"/accounts/{account}/balances", **allowed)
    return {one["symbol"]: one["total"] for one in rows if float(one["total"])}


def test_an_account_begins_with_the_balances_of_the_command(listening):
    rest = listening("--balance", "BRL=5000", "--balance", "btc=0.25")
    expected = {"BRL": "5000.00000000", "BTC": "0.25000000"}
    assert totals(rest, "local-id", "local-secret") == expected


def test_accounts_are_those_of_the_file(listening, tmp_path):
    path = tmp_path / "accounts.yaml"
    path.write_text("accounts:\n  - {login: one, password: two, balances: {ETH: 3}}\n")
    assert totals(listening("--accounts", str(path)), "one", "two") == {"ETH": "3.00000000"}


@pytest.mark.parametrize(
    "words", [["--balance", "BRL"], ["--accounts", "none.yaml"], ["--balance", "BRL=-1"]]
)
def test_wrong_balances_end_it_with_one_line(words):
    command = [sys.executable, "-m", "cq", "sim", "--port", "0", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_command_names_the_key_of_the_file_but_not_its_password(tmp_path):
    path = tmp_path / "accounts.yaml"
    path.write_text("accounts:\n  - {login: my one, password: hunter2}\n")
    command = [sys.executable, "-m", "cq", "sim", "--port", "0", "--speed", "0"]
    said = told([*command, "--accounts", str(path)])
    assert "export CQ_CREDENTIALS__CLIENT_ID='my one'\n" in said
    assert f"CQ_CREDENTIALS__CLIENT_SECRET: the password of my one in {path}\n" in said
    assert "hunter2" not in said
    assert "local-" not in said
    assert "CLIENT_ID=local-id CQ_CREDENTIALS__CLIENT_SECRET=local-secret\n" in told(command)


def told(command):
    """What a simulated exchange says until it listens, and when it ends."""
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=unbuffered
    ) as process:
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            line = process.stdout.readline()
            assert line, lines
            lines.append(line)
        process.send_signal(signal.SIGINT)
        return "".join(lines) + process.communicate(timeout=20)[0]
