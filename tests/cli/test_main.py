"""The root command: quick to start, and one line for a user's mistake."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cq.cli.main import COMMANDS, run
from cq.cli.stopping import Terminated
from cq.errors import DataError
from cq.lake import Lake
from cq.project import create

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


def failing(monkeypatch, error: BaseException) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cq.cli.main.cli.main", fails)


def test_what_the_system_refuses_is_one_line_and_exit_3(monkeypatch, capsys):
    failing(monkeypatch, PermissionError(13, "Permission denied", "/a/b"))
    assert run(["lake", "status"]) == 3
    said = capsys.readouterr().err
    assert said == "cq: /a/b: Permission denied; check permissions and free space\n"


@pytest.mark.parametrize(
    ("value", "traceback"),
    [("0", False), ("", False), ("no", False), ("1", True), ("true", True), ("YES", True)],
)
def test_only_a_yes_to_debugging_shows_the_traceback(monkeypatch, capsys, value, traceback):
    monkeypatch.setenv("CQ_DEBUG", value)
    failing(monkeypatch, DataError("gone"))
    if traceback:
        with pytest.raises(DataError):
            run(["lake", "status"])
    else:
        assert run(["lake", "status"]) == 3


def test_sigterm_ends_like_ctrl_c_and_the_handler_before_is_put_back(monkeypatch, capsys):
    def ended(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("cq.cli.main.cli.main", ended)
    assert run(["lake", "import"]) == 143
    assert capsys.readouterr().err.startswith("cq: ended; what had landed is kept")
    assert signal.getsignal(signal.SIGTERM) is before


def started(arguments: list[str], **options: object) -> subprocess.CompletedProcess:
    code = f"import sys; from cq.cli.main import run; sys.exit(run({arguments}))"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["config", "--help"]])
def test_a_reader_that_has_seen_enough_is_no_mistake(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:  # noqa: PTH123  # a handle, not a path
        done = started(arguments, stdout=closed)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = started(["--help"], stdout=full)
    assert done.returncode == 3
    assert done.stderr == b"cq: No space left on device; check permissions and free space\n"


def test_what_the_terminal_cannot_show_is_replaced(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    arguments = ["--project", str(tmp_path), "lake", "sql", "select 'é💰' as x"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = started(arguments, stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"\xe9?\n" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_takes_nothing_from_a_command(tmp_path, closed):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    for words, code in (("runs list", 0), ("config show --json", 0), ("nope", 2)):
        typed = f"{sys.executable} -m cq --project {tmp_path} {words} {closed}"
        done = subprocess.run(typed, shell=True, capture_output=True)
        assert done.returncode == code, (typed, done.stderr)
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["lake", "sql", "select '\udcff'"], ["--set", "quote=\udcff", "config", "show"]]
)
def test_an_argument_that_is_no_text_is_one_line_and_exit_2(capsys, arguments):
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("cq: found ")
    assert "expected text in UTF-8; give it another name" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("work", "arguments"),
    [
        ("cq.backtest.kept.find", ["montecarlo", "last"]),
        ("cq.cli.walkforward.setting_of", ["walkforward", "my.yaml", "--grid", "fast=1,2"]),
    ],
)
@pytest.mark.parametrize(
    ("stop", "word"), [(KeyboardInterrupt, "interrupted"), (Terminated, "ended")]
)
def test_what_keeps_nothing_does_not_say_that_it_kept_something(
    tmp_path, monkeypatch, capsys, work, arguments, stop, word
):
    def stopped(*_: object, **__: object) -> None:
        raise stop

    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.setattr(work, stopped)
    assert run(["--project", str(tmp_path), *arguments]) in (130, 143)
    said = capsys.readouterr().err.strip()
    assert said == f"cq: {word}; nothing is kept, run the same command again"


@pytest.mark.parametrize(
    "command",
    [
        ["lake", "gaps"], ["lake", "repair", "--dry-run"], ["lake", "fingerprint"],
        ["lake", "diff", "lake", "other"], ["stats"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_period_that_ends_before_it_begins_is_refused_everywhere(
    tmp_path, monkeypatch, capsys, command
):
    create(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("lake", "other"):
        Lake(tmp_path / name).prepare()
    at = ["--since", "2025-01-02", "--until", "2025-01-01"]
    assert run(["--project", str(tmp_path), *command, *at]) == 2
    assert "--since 2025-01-02 is not before --until 2025-01-01" in capsys.readouterr().err
