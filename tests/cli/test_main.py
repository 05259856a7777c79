"""The root command: quick to start, and one line for a user's mistake."""

import subprocess
import sys

import pytest

from cq.cli.main import COMMANDS, run

HEAVY = {"polars", "duckdb", "pandas", "numba", "statsmodels", "riskfolio", "pyarrow", "httpx",
         "matplotlib", "rich", "loguru", "pydantic", "numpy"}  # fmt: skip


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["lake", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"from cq.cli.main import run\nassert run({arguments}) == 0"
    assert modules_after(code) & HEAVY == set()


def test_importing_the_package_imports_nothing_heavy():
    assert modules_after("import cq") & HEAVY == set()


def test_help_lists_every_command(capsys):
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    for name, (_, line) in COMMANDS.items():
        assert name in said
        assert line in said


def test_every_command_in_the_table_can_be_called(capsys):
    for name in COMMANDS:
        assert run([name, "--help"]) == 0, name


def test_a_mistyped_command_is_answered_with_the_nearest(capsys):
    assert run(["bactest"]) == 2
    said = capsys.readouterr()
    assert said.err == "cq: no such command 'bactest'; did you mean `backtest`?\n"
    assert said.out == ""


@pytest.mark.parametrize("group", [[], ["lake"], ["config"]])
def test_a_group_alone_shows_its_help_without_a_prefix(capsys, group):
    assert run(group) == 2
    said = capsys.readouterr().err
    assert said.startswith(" ".join(["Usage: cq", *group]))
    assert "Commands:" in said


@pytest.mark.parametrize("group", [[], ["lake"], ["config"]])
def test_the_lines_of_a_group_are_whole_sentences(capsys, group):
    assert run([*group, "--help"]) == 0
    said = capsys.readouterr().out.partition("Commands:")[2]
    assert "..." not in said
    assert "e.g." not in said


def test_a_missing_argument_is_one_line_and_exit_2(capsys):
    assert run(["init"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_project_is_one_line_and_exit_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["config", "show"]) == 2
    assert "cq init DIR" in capsys.readouterr().err


def test_an_interrupt_says_that_what_landed_is_kept(monkeypatch, capsys):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cq.cli.main.cli.main", interrupted)
    assert run(["lake", "status"]) == 130
    assert "what had landed is kept" in capsys.readouterr().err
