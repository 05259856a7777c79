"""`cq config`: what is in force and who said so."""

import json

import pytest

from cq.cli.main import run
from cq.project import create


@pytest.fixture
def project(tmp_path, monkeypatch):
    create(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_show_names_value_and_origin_of_every_setting(project, capsys):
    assert run(["--set", "backtest.cash=5", "config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["backtest.cash"] == {"value": 5.0, "from": "--set backtest.cash"}
    assert shown["symbols"]["value"][0] == "BTC-BRL"
    assert shown["partitions.ohlcv.path"]["from"].startswith("configs/default.yaml:")
    assert shown["credentials.client_id"] == {"value": None, "from": "not set"}


def test_show_masks_a_secret_and_names_its_variable(project, monkeypatch, capsys):
    monkeypatch.setenv("CQ_CREDENTIALS__CLIENT_SECRET", "0123hunter2")
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        assert run(arguments) == 0
        said = capsys.readouterr().out
        assert "hunter2" not in said
        assert "**********" in said
        assert "CQ_CREDENTIALS__CLIENT_SECRET" in said


def test_show_gives_values_inside_lists_as_objects(project, monkeypatch, capsys):
    dated = {"since": "2025-01-31", "taker": 0.006, "maker": 0.002, "minimum": None}
    monkeypatch.setenv("CQ_BACKTEST__FEES__DATED", json.dumps([dated]))
    assert run(["config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["backtest.fees.dated"]["value"] == [dated]
    assert run(["config", "show"]) == 0
    assert "since 2025-01-31, taker 0.006, maker 0.002" in capsys.readouterr().out


def test_show_prints_a_table_for_people(project, capsys):
    assert run(["config", "show"]) == 0
    said = capsys.readouterr().out
    assert "backtest.fees.taker" in said
    assert "0.007" in said


def test_a_typo_in_the_users_file_ends_in_exit_2(project, capsys):
    (project / "configs" / "local.yaml").write_text("live:\n  max_postion: 1\n")
    assert run(["config", "show"]) == 2
    assert capsys.readouterr().err == (
        "cq: configs/local.yaml:2: live.max_postion: is no setting; "
        "did you mean live.max_position?\n"
    )


def test_schema_writes_both_files(project, capsys):
    (project / "configs" / "config.schema.json").unlink()
    assert run(["config", "schema"]) == 0
    schema = json.loads((project / "configs" / "config.schema.json").read_text())
    assert schema["properties"]["env"]["enum"] == ["dev", "test", "prod"]


def test_schemas_that_cannot_be_written_are_one_line_and_exit_3(project, capsys):
    path = project / "configs" / "config.schema.json"
    path.unlink()
    path.mkdir()
    assert run(["config", "schema"]) == 3
    assert capsys.readouterr().err.startswith(f"cq: cannot write to {path} (")
