"""The documents agree with the code."""

import re
from pathlib import Path

import click
import pytest

from cq.cli.main import cli
from cq.errors import CqError
from cq.utils.config import all_keys
from cq.utils.resources import resource_root

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "lake" / "README.md",
]


def commands(group=cli, path=("cq",)):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_command_stands_in_the_documents():
    said = "\n".join(path.read_text() for path in DOCUMENTS)
    assert [name for name, _ in commands() if name not in said] == []


def test_every_commands_help_shows_a_line_to_paste_or_has_no_argument():
    for name, command in commands():
        assert command.help, name
        takes = [p for p in command.params if isinstance(p, click.Argument) and p.required]
        assert not takes or f"{name} " in command.help, name


def test_every_option_says_what_it_does():
    for name, command in commands():
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{name} {option.name}"


def test_every_exit_code_stands_in_the_documents():
    table = (ROOT / "docs" / "configuration.md").read_text()

    def tree(kind):
        return {kind.exit_code}.union(*(tree(one) for one in kind.__subclasses__()))

    for code in tree(CqError):
        assert f"| {code} |" in table


def test_every_sql_file_opens_with_its_sentence():
    files = sorted((resource_root() / "sql").rglob("*.sql"))
    assert files
    for path in files:
        first = path.read_text().splitlines()[0]
        assert re.match(r"-- [A-Z].*[.:]$", first), path


def test_every_setting_is_a_key_that_the_documents_do_not_contradict():
    keys = {".".join(one) for one in all_keys()}
    said = set(re.findall(r"--set ([a-z_.]+)=", (ROOT / "docs" / "configuration.md").read_text()))
    assert said <= keys


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name} → {target}"
