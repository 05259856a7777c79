from __future__ import annotations

import io
import os
import sys

import click
import pytest

from cq.cli.lasting import lasting


def abandoned() -> io.TextIOWrapper:
    """A pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return io.TextIOWrapper(os.fdopen(writing, "wb"), line_buffering=True)


def test_what_nobody_reads_is_gone_and_the_work_goes_on(monkeypatch):
    out, err = abandoned(), abandoned()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with lasting():
        for number in range(3):
            click.echo(f"{number} — done")
            click.echo("note", err=True)
            sys.stderr.write("log\n")
            sys.stderr.flush()
    assert sys.stdout is out
    assert sys.stderr is err
    monkeypatch.undo()
    for stream in (out, err):
        with pytest.raises(BrokenPipeError):
            click.echo("at last", file=stream)
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        stream.close()


def test_what_somebody_reads_arrives(monkeypatch):
    reading, writing = os.pipe()
    with io.TextIOWrapper(os.fdopen(writing, "wb"), encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with lasting():
            assert not sys.stdout.isatty()
            click.echo("é 1")
            sys.stdout.write("2")
        click.echo(" 3")
    with os.fdopen(reading, encoding="utf-8") as file:
        assert file.read() == "é 1\n2 3\n"


def test_streams_of_others_are_left_alone(capsys):
    mine = sys.stdout
    with lasting():
        assert sys.stdout is mine
