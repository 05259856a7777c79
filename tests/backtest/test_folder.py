"""A folder of results is known by what is in it."""

import json

import pytest

from cq.backtest.folder import MARKS, UNFINISHED, being_written, refuse_others
from cq.errors import UsageError


def test_a_folder_that_is_not_there_or_empty_is_anybodys(tmp_path):
    for what in MARKS:
        refuse_others(tmp_path, what)
        refuse_others(tmp_path / "new", what)


@pytest.mark.parametrize(
    "content",
    [b"", b"{broken", b"[]", b'{"strategy": {}, "backtest": {}}', b"\xff"],
    ids=["empty", "broken", "list", "session on paper", "bytes"],
)
def test_a_file_of_that_name_alone_makes_no_run(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UsageError, match="found files that are no results of cq backtest there"):
        refuse_others(tmp_path, "backtest")


def test_a_folder_with_two_kinds_of_results_is_of_neither(tmp_path):
    for name, keys in (MARKS["backtest"], MARKS["sweep"]):
        (tmp_path / name).write_text(json.dumps(dict.fromkeys(keys)))
    for what in MARKS:
        with pytest.raises(UsageError, match="found results of cq backtest there"):
            refuse_others(tmp_path, what)


def test_a_backtest_that_was_stopped_while_it_wrote_may_write_there_again(tmp_path):
    (tmp_path / "trades.csv").touch()
    with pytest.raises(KeyboardInterrupt), being_written(tmp_path):
        raise KeyboardInterrupt
    refuse_others(tmp_path, "backtest")
    with pytest.raises(UsageError, match="files that are no results of cq sweep"):
        refuse_others(tmp_path, "sweep")
    with being_written(tmp_path):
        pass
    assert not (tmp_path / UNFINISHED).exists()
    with pytest.raises(UsageError, match="files that are no results of cq backtest"):
        refuse_others(tmp_path, "backtest")
