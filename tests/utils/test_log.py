"""Log lines: JSON with the spec's fields, and no secret in them."""

import json
import sys

import pytest
from pydantic import SecretStr

from cq.utils.config import defaults
from cq.utils.log import FIELDS, configure, event, forms_of
from cq.utils.settings import Credentials


@pytest.fixture
def lines(tmp_path):
    """Log to a file and read back what it holds."""
    path = tmp_path / "logs" / "cq.jsonl"
    secret = Credentials(client_secret=SecretStr('hunter"2'))
    configure(defaults(tmp_path).model_copy(update={"log_file": path, "credentials": secret}))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_the_fields_of_the_specification_first(lines):
    event("ingest", "page", symbol="BTC-BRL", status="done", latency_ms=12.5, rows=3)
    (line,) = lines()
    assert tuple(line)[: len(FIELDS)] == FIELDS
    assert line["component"] == "ingest"
    assert line["action"] == "page"
    assert line["latency_ms"] == 12.5
    assert line["client_id"] is None
    assert line["rows"] == 3


def test_levels_below_the_setting_are_left_out(lines):
    event("ingest", "detail", level="DEBUG")
    event("ingest", "trouble", level="ERROR")
    assert [line["level"] for line in lines()] == ["ERROR"]


def test_a_secret_never_reaches_the_log(lines, tmp_path):
    event("auth", "login", reason='sent hunter"2 to the exchange')
    text = (tmp_path / "logs" / "cq.jsonl").read_text()
    assert "hunter" not in text
    assert "**********" in text


def test_a_secret_is_known_in_every_form_that_texts_quote_it_in():
    secret = "s3cr+t/w=rd&\"x'<é"
    for quoted in (
        secret, "s3cr%2Bt%2Fw%3Drd%26%22x%27%3C%C3%A9", "s3cr%2bt%2fw%3drd%26%22x%27%3c%c3%a9",
        "s3cr+t/w=rd&amp;&quot;x&#x27;&lt;é", "s3cr+t/w=rd&amp;\"x'&lt;é",
        "s3cr+t/w=rd&amp;&quot;x&#39;&lt;é", "s3cr+t/w=rd&\\\"x'<\\u00e9",
        "s3cr+t\\/w=rd&\\\"x'<\\u00e9",
    ):  # fmt: skip
        assert quoted in forms_of(secret), quoted
    assert [len(one) for one in forms_of(secret)] == sorted(map(len, forms_of(secret)))[::-1]


@pytest.fixture
def shown(tmp_path, capsys, monkeypatch):
    """What standard error shows of a retry, a told and an untold warning, and a trade."""

    def said(*, terminal, running, level="INFO"):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
        settings = defaults(tmp_path).model_copy(update={"log_level": level})
        configure(settings, running=running, told=("alert",))
        again = "no answer, trying again in 2 s (2 of 6)"
        event("rest", "GET /x", level="WARNING", status="retry", reason="long", sentence=again)
        event("live", "alert", level="WARNING", symbol="BTC-BRL", reason="too old")
        event("live", "catch_up", level="WARNING", symbol="BTC-BRL", reason="8 bars passed")
        event("live", "buy", symbol="BTC-BRL")
        return capsys.readouterr().err.splitlines()

    return said


@pytest.mark.parametrize("running", [True, False])
def test_people_at_a_terminal_get_a_sentence_for_each_warning_not_told_already(shown, running):
    assert shown(terminal=True, running=running) == [
        "no answer, trying again in 2 s (2 of 6)",
        "BTC-BRL: 8 bars passed",
    ]


def test_a_piped_command_that_ends_by_itself_is_silent_about_retries(shown):
    assert shown(terminal=False, running=False) == ["BTC-BRL: 8 bars passed"]


@pytest.mark.parametrize(
    "how",
    [
        {"terminal": False, "running": True},
        {"terminal": False, "running": False, "level": "DEBUG"},
        {"terminal": True, "running": True, "level": "DEBUG"},
    ],
)
def test_a_loop_nobody_watches_and_any_command_at_debug_write_json(shown, how):
    lines = [json.loads(one) for one in shown(**how)]
    assert [one["action"] for one in lines] == ["GET /x", "alert", "catch_up", "buy"]
    assert all("sentence" not in one for one in lines)


def test_sentences_hide_secrets_too(tmp_path, capsys):
    secret = Credentials(client_secret=SecretStr('hunter"2'))
    configure(defaults(tmp_path).model_copy(update={"credentials": secret}))
    event("auth", "login", level="WARNING", reason='sent hunter"2')
    assert capsys.readouterr().err == "sent **********\n"


def test_stamps_are_nanoseconds(lines):
    event("clock", "tick")
    assert len(str(lines()[0]["ts"])) == 19
