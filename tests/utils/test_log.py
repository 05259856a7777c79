"""Log lines: JSON with the spec's fields, and no secret in them."""

import json

import pytest
from pydantic import SecretStr

from cq.utils.config import defaults
from cq.utils.log import FIELDS, configure, event
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


def test_stamps_are_nanoseconds(lines):
    event("clock", "tick")
    assert len(str(lines()[0]["ts"])) == 19
