"""A run from `init` to `replay`, with a key, leaves no secret in what it writes or says."""

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from base64 import b64encode
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, quote_plus
from urllib.request import urlopen

import polars as pl
import pytest
from cassettes import recorder
from loguru import logger

from cq.errors import LoginRefused, Refused
from cq.exchanges.mercado_bitcoin import MercadoBitcoinAccount, Rest
from cq.lake import Lake
from cq.sim.clock import SimClock
from cq.sim.holders import Holder
from cq.sim.private import private_side
from cq.sim.server import running
from cq.sim.simulation import Simulation
from cq.sim.switches import Switches
from cq.sim.tape import Tape
from cq.utils import log
from cq.utils.config import load
from cq.utils.time import DAY, MINUTE, iso

ROOT = Path(__file__).parent.parent
LOGIN = "7b1f9c52-key-id-of-a-run"
SECRET = 's3cret/of+a "run"&=%é'
WRONG = "an0ther/secret+that&is=wrong"
TAPE = Tape.generated(seed=5, trades_per_minute=60)
START = TAPE.begin_ns + 10_000 * MINUTE
DEADLINE_S = 60
LOGS_TOO = """
import logging, sys
logging.basicConfig(filename="standard.log", level=logging.DEBUG)
from cq.cli.main import main
main()
"""
"""The command with the DEBUG lines of every library in a file of its own."""


def spellings(secret):
    """A secret as it may stand in a form, in JSON, in a repr, or in a header."""
    encoded = b64encode(secret.encode()).decode()
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        secret.encode("unicode_escape").decode(),
        encoded,
        encoded.rstrip("="),
    }


def forms(login, secrets, tokens):
    """Every text that must not be found, without the ones that are part of another."""
    found = spellings(login)
    for secret in secrets:
        found |= spellings(secret)
        for pair in (f"{login}:{secret}", f"{quote_plus(login)}:{quote_plus(secret)}"):
            found |= spellings(pair)
    for token in tokens:
        head, payload, signature = token.split(".")
        found |= {payload[-40:], signature[:40], signature[-40:], f"{head}.{payload}"[:80]}
    return sorted(found)


def texts_in(folder):
    """What can be read in the files below: as they are, and out of what packs them."""
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name, content = str(path.relative_to(folder)), path.read_bytes()
        yield name, f"{name} {content.decode('utf-8', 'surrogateescape')}"
        if content.startswith(b"\x1f\x8b"):
            yield name, gzip.decompress(content).decode("utf-8", "surrogateescape")
        if content.startswith(b"PAR1"):
            metadata = repr(pl.read_parquet_metadata(path))
            rows = pl.read_parquet(path, hive_partitioning=False)
            yield name, metadata + "\n".join(map(str, rows.rows()))


def leaks(places, hidden):
    """Where something hidden shows: (place, the form)."""
    return [(place, form) for place, text in places for form in hidden if form in text]


def shown(error):
    """An error and its causes in every way they may be shown, our frames' variables included."""
    chain, said = [error], []
    while chain:
        one = chain.pop()
        told = traceback.TracebackException.from_exception(one, capture_locals=True)
        told.stack = traceback.StackSummary.from_list(
            [frame for frame in told.stack if Path(frame.filename) != Path(__file__)]
        )
        said += [str(one), repr(one), str(vars(one)), *told.format(chain=False)]
        chain += [linked for linked in (one.__context__, one.__cause__) if linked is not None]
    return "\n".join(said)


@pytest.fixture
def issued(monkeypatch):
    """The tokens that the exchange gave out."""
    from cq.sim.tokens import Tokens

    tokens, issue = [], Tokens.issue

    def noted(self, key, now_ns):
        grant = issue(self, key, now_ns)
        tokens.append(grant.token)
        return grant

    monkeypatch.setattr(Tokens, "issue", noted)
    return tokens


@pytest.fixture
def sim(issued):
    """An exchange on which a minute passes in half a second, with an account of our own."""
    holder = Holder(LOGIN, SECRET)
    side = private_side(TAPE, START, (holder,), Switches())
    return Simulation(TAPE, SimClock(START, speed=120), Switches(), exchange=side, limited=False)


@pytest.fixture
def environment(tmp_path, sim):
    """What points cq there, with the key and DEBUG logs."""
    with running(sim) as address:
        yield {
            "CQ_CREDENTIALS__CLIENT_ID": LOGIN,
            "CQ_CREDENTIALS__CLIENT_SECRET": SECRET,
            "CQ_INGESTION__REST_BASE_URL": address.rest,
            "CQ_INGESTION__WS_URL": address.ws,
            "CQ_INGESTION__RATE_LIMITS__REQUESTS_PER_MINUTE": "60000000",
            "CQ_INGESTION__RATE_LIMITS__REQUESTS_PER_SECOND": "1000000",
            "CQ_INGESTION__RETRY__MAX_TRIES": "1",
            "CQ_INGESTION__STREAM__ROTATE_SECONDS": "0.3",
            "CQ_INGESTION__STREAM__SETTLE_SECONDS": "0.1",
            "CQ_LOG_LEVEL": "DEBUG",
            "CQ_LOG_FILE": "cq.jsonl",
            "CQ_DEBUG": "1",
            "PYTHONPATH": str(ROOT),
        }


def begun(folder, environment, *words):
    return subprocess.Popen(
        [sys.executable, "-c", LOGS_TOO, *words],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(folder, environment, *words, code=0):
    """What `cq WORDS` says on both its outputs."""
    with begun(folder, environment, *words) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code, err
    return out + err


def streamed(folder, environment):
    """A stream, told to end once each kind of row has landed and a recording has begun."""
    lake = Lake(folder / "lake")
    wanted = ("trades", "ohlcv", "orderbook_l2")
    words = ("lake", "stream", "BTC", "--book", "--record", "rec")
    before = {name: len(files(lake, name)) for name in wanted}
    with begun(folder, environment, *words) as process:
        try:
            until = time.monotonic() + DEADLINE_S
            while not all(len(files(lake, name)) > before[name] for name in wanted):
                assert time.monotonic() < until, "nothing lands"
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert list((folder / "rec").rglob("*.gz"))
    return out + err


def files(lake, dataset):
    return lake.layouts[dataset].paths(lake.root)


@contextmanager
def logging_all(settings, path):
    """cq's log as set, and the DEBUG lines of every library in `path`."""
    root, handler = logging.getLogger(), logging.FileHandler(path)
    handler.addFilter(lambda line: line.name.split(".")[0] != "vcr")  # the tests' own tool
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    log.configure(settings)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
        logger.remove()


def settings_of(folder, environment):
    """The settings of the project, with the key of this environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return load(folder).settings


def account_read(folder, environment, sim):
    """The reads of an account, a token that has expired, a refused login; all they show."""
    settings = settings_of(folder, environment)
    said = [f"{settings} {settings!r}"]
    with (
        logging_all(settings, folder / "reads.log"),
        recorder(folder, "all").use_cassette("account.yaml"),
    ):
        with Rest(settings.ingestion, credentials=settings.credentials) as rest:
            account = MercadoBitcoinAccount(rest)
            (first,) = account.accounts()
            balances = account.balances(first.id)
            assert balances["BRL"].available == Decimal(100_000)
            said += [repr(first), repr(balances), repr(account.fees(first.id, "BTC-BRL"))]
            said += [repr(account.positions(first.id)), repr(account.tier(first.id))]
            sim.exchange.expire_tokens()
            assert account.accounts() == [first]
            with pytest.raises(Refused) as no:
                account.balances("f" * 64)
            said += [shown(no.value), repr(vars(rest)), repr(rest), repr(vars(rest.session))]
        for style in ("oauth2", "oauth2_basic", "authorize"):
            said.append(refused(folder, environment, style))
    return "\n".join(said)


def refused(folder, environment, style):
    wrong = {"CQ_CREDENTIALS__CLIENT_SECRET": WRONG, "CQ_INGESTION__LOGIN": style}
    settings = settings_of(folder, environment | wrong)
    with (
        Rest(settings.ingestion, credentials=settings.credentials) as rest,
        pytest.raises(LoginRefused) as no,
    ):
        MercadoBitcoinAccount(rest).accounts()
    return f"{shown(no.value)} {vars(rest)} {vars(rest.session)}"


def test_no_byte_of_a_full_run_holds_a_secret(tmp_path, sim, environment, issued):
    since, until = iso(START - DAY), iso(START - DAY + 60 * MINUTE)
    span = ("--since", since, "--until", until)
    said = {"init": command(tmp_path, environment, "init", ".")}
    for name, words in {
        "config": ("config", "show"),
        "bars": ("lake", "ingest", "BTC", "--interval", "1m", *span),
        "trades": ("lake", "ingest", "BTC", "--dataset", "trades", *span),
    }.items():
        said[name] = command(tmp_path, environment, *words)
    said["unknown"] = command(tmp_path, environment, "lake", "ingest", "NOPE-BRL", *span, code=1)
    assert "Traceback" in said["unknown"]  # CQ_DEBUG shows all of it
    said["stream"] = streamed(tmp_path, environment)
    played = environment | {"CQ_DATA_ROOT": "played"}
    said["replay"] = command(tmp_path, played, "lake", "replay", "rec")
    said["reads"] = account_read(tmp_path, environment, sim)
    status = environment["CQ_INGESTION__REST_BASE_URL"].removesuffix("/api/v4") + "/_sim/status"
    with urlopen(status, timeout=20) as reply:
        said["status"] = reply.read().decode()

    assert len(issued) == 2  # the second after the first had expired
    assert '"status": 200' in (tmp_path / "cq.jsonl").read_text()
    assert "/accounts" in (tmp_path / "reads.log").read_text()
    assert "access_token" in (tmp_path / "account.yaml").read_text()
    for root in ("lake", "played"):
        assert all(files(Lake(tmp_path / root), one) for one in ("trades", "ohlcv", "orderbook_l2"))
    places = [*said.items(), *texts_in(tmp_path)]
    assert leaks(places, [*forms(LOGIN, (SECRET, WRONG), issued), "Bearer "]) == []
    outside_the_cassette = [one for one in places if one[0] != "account.yaml"]
    assert leaks(outside_the_cassette, ["grant_type"]) == []


def test_the_search_finds_a_secret_in_every_form_and_in_every_kind_of_file(tmp_path):
    token = ".".join(("head" * 10, "payload" * 20, "signature" * 20))
    hidden = forms(LOGIN, (SECRET, WRONG), [token])
    login = f"grant_type=client_credentials&client_id={LOGIN}&client_secret={quote_plus(SECRET)}"
    header = b64encode(f"{LOGIN}:{SECRET}".encode()).decode()
    for planted in (
        LOGIN, SECRET, WRONG, token, token[60:], login, f"Basic {header}", repr({"k": SECRET}),
        json.dumps({"password": SECRET}), json.dumps({"password": SECRET}, ensure_ascii=False),
    ):  # fmt: skip
        assert leaks([("said", f"before {planted} after")], hidden), planted
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    (folder / "a.log").write_text(f"x {SECRET} y")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b"line\n" * 99 + SECRET.encode()))
    pl.DataFrame({"source": ["x", f"of {SECRET}"] * 50}).write_parquet(folder / "c.parquet")
    pl.DataFrame({"n": [1]}).write_parquet(folder / "d.parquet", metadata={"made_by": LOGIN})
    (folder / "e.duckdb").write_bytes(b"\x00\xff" + LOGIN.encode() + b"\xfe")
    (folder / f"{LOGIN}.txt").write_text("nothing")
    (folder / "f.txt").write_text("nothing")
    found = {Path(place).name for place, _ in leaks(texts_in(tmp_path), hidden)}
    assert found == {
        "a.log", "b.jsonl.gz", "c.parquet", "d.parquet", "e.duckdb", f"{LOGIN}.txt"
    }  # fmt: skip


def test_no_recording_of_the_project_holds_a_key_or_a_token():
    recordings = Path(__file__).parent / "recordings"
    places = list(texts_in(recordings))
    assert places
    told = ("bearer ", "basic ", "client_secret", "client_id", "grant_type", "access_token", "eyj",
            "authorization:", "cookie:", '"login"', '"password"')  # fmt: skip
    assert leaks([(place, text.lower()) for place, text in places], told) == []
