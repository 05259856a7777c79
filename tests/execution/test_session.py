"""One process and one session write a journal; the rest get one clear line."""

from __future__ import annotations

import fcntl
import json
import resource
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

import pytest

from cq.backtest.costs import Costs
from cq.errors import (
    ConfigError,
    CqError,
    JournalBusy,
    JournalDamaged,
    JournalDiffers,
    JournalUnreadable,
    LakeUnwritable,
)
from cq.execution import session as sessions
from cq.execution.decisions import Decision
from cq.execution.journal import Journal
from cq.execution.plan import Terms
from cq.strategies import KINDS, Strategy
from cq.strategies.own import OwnCode

SESSION = {
    "mode": "paper",
    "strategy": {"name": "crossover", "fast": 10, "symbols": ("BTC-BRL",)},
    "costs": {"taker": 0.007},
    "cash": 1000.0,
}


def test_a_session_goes_on_in_its_journal(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with sessions.opened(path, SESSION, now_ns=1) as journal:
        first = journal.session()
    with sessions.opened(path, SESSION, now_ns=2) as journal:
        assert journal.session() == first
    assert first["started_ts"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cash": 5.0}, r"begun with cash 1000.0 \(now 5.0\); go on"),
        (
            {"strategy": {"name": "crossover", "fast": 12}},
            r"strategy.fast 10 \(now 12\) \(and 1 more",
        ),
        ({"costs": {"taker": 0.007, "minimum": 1}}, r"costs.minimum unset \(now 1\); go on"),
        ({"mode": "replay"}, r"mode paper \(now replay\)"),
        (
            {"since": 1704067200000000000, "until": 1704412800000000000},
            r"since unset \(now 2024-01-01T00:00:00Z\) \(and 1 more",
        ),
    ],
)
def test_another_session_is_told_what_differs_and_what_to_type(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "paper.db"
    with sessions.opened(path, SESSION, now_ns=1) as journal, journal.transaction():
        journal.record_step(1, {"BTC-BRL": 1.0}, 2.0, 3.0)
    with (
        pytest.raises(JournalDiffers, match=said) as refused,
        sessions.opened(path, {**SESSION, **change}, now_ns=2),
    ):
        pass
    assert "--journal OTHER" in str(refused.value)
    assert "--fresh" in str(refused.value)


def test_a_session_is_of_one_strategys_code_with_all_that_this_imports() -> None:
    terms = Terms("1h", 1_000.0, Costs())

    def said(**imports: str) -> dict[str, object]:
        kind = KINDS["buy_and_hold"]
        config = kind.config.model_validate({"symbols": ["BTC-BRL"], "interval": "1h"})
        code = OwnCode(Path("own.py"), "a", imports)
        strategy = Strategy(config, kind.generate_signals, code=code)
        return sessions.described("paper", strategy, ["BTC-BRL"], terms)

    begun = json.loads(json.dumps(said(rules="b")))
    assert sessions.differences(begun, said(rules="b")) == []
    assert sessions.differences(begun, said(rules="c")) == [
        "strategy.imports_sha256.rules b (now c)"
    ]
    assert sessions.differences(begun, said()) == ["strategy.imports_sha256.rules b (now unset)"]


def test_risk_limits_may_change_between_two_starts(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with sessions.opened(path, {**SESSION, "limits": 1}, now_ns=1):
        pass
    with sessions.opened(path, {**SESSION, "limits": 2}, now_ns=2):
        pass


def test_a_journal_in_which_nothing_happened_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with sessions.opened(path, SESSION, now_ns=1):
        pass
    with sessions.opened(path, {**SESSION, "cash": 5.0, "since": 3}, now_ns=2) as journal:
        assert (journal.session()["cash"], journal.session()["started_ts"]) == (5.0, 2)


@pytest.mark.parametrize(
    ("until", "changed", "refused"),
    [
        (None, {"limits": {"max_position": 0.3}}, r"limits.max_position 1 \(now 0.3\)"),
        (7, {"bars": "b"}, r"bars a \(now b\)"),
        (None, {"bars": "b"}, None),
    ],
)
def test_a_replay_goes_on_under_the_limits_and_over_the_bars_that_it_began_with(
    tmp_path: Path, until: int | None, changed: dict[str, object], refused: str | None
) -> None:
    path = tmp_path / "replay.db"
    replay = {**SESSION, "mode": "replay", "until": until, "limits": {"max_position": 1}}
    with sessions.opened(path, {**replay, "bars": "a"}, now_ns=1) as one, one.transaction():
        one.record_step(1, {"BTC-BRL": 1.0}, 2.0, 3.0)
    again = sessions.opened(path, {**replay, "bars": "a", **changed}, now_ns=2)
    expected = nullcontext() if refused is None else pytest.raises(JournalDiffers, match=refused)
    with expected, again:
        pass


def test_a_journal_of_two_names_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "paper.db", tmp_path / "other.db"
    with sessions.opened(path, SESSION, now_ns=1):
        other.hardlink_to(path)
        with (
            pytest.raises(JournalUnreadable, match="it has 2 names; remove the other hard links"),
            sessions.opened(other, SESSION, now_ns=2),
        ):
            pass
    other.unlink()
    with sessions.opened(path, SESSION, now_ns=3):
        pass


def test_fresh_begins_anew_and_keeps_the_old_journal(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with sessions.opened(path, SESSION, now_ns=1) as journal, journal.transaction():
        journal.record_step(1, {"BTC-BRL": 1.0}, 2.0, 3.0)
    with sessions.opened(path, {**SESSION, "cash": 5.0}, now_ns=2_000, fresh=True) as journal:
        assert journal.last_bars() == {}
    kept = tmp_path / "paper.until-19700101T000000000002Z.db"
    with Journal.read(kept) as old:
        assert old.last_bars() == {"BTC-BRL": (1, 1.0)}


def test_fresh_does_not_move_a_file_that_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("years of work, long enough to be read as the header of a database")
    with (
        pytest.raises(ConfigError, match="is not a journal"),
        sessions.opened(path, SESSION, now_ns=1, fresh=True),
    ):
        pass
    assert path.read_text().startswith("years of work")


@pytest.mark.parametrize("bytes_left", [0, 8, 40_000])
def test_a_full_disk_is_one_line(tmp_path: Path, bytes_left: int) -> None:
    path, (soft, hard) = tmp_path / "paper.db", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        with (
            pytest.raises(LakeUnwritable, match=r"cannot write to .*; check its permissions"),
            sessions.opened(path, SESSION, now_ns=1) as journal,
            journal.transaction(),
        ):
            journal.record_step(1, {"X" * 100_000: 1.0}, 2.0, 3.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with sessions.opened(path, SESSION, now_ns=2) as journal:
        assert journal.last_bars() == {}


@pytest.mark.parametrize("name", [".", "..", "", "runs"])
def test_a_folder_is_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(JournalUnreadable, match=r"it is a folder.*--journal OTHER"),
        sessions.opened(Path(name), SESSION, now_ns=1),
    ):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["runs"]


def test_a_damaged_journal_is_refused_until_fresh_puts_it_aside_whole(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with sessions.opened(path, SESSION, now_ns=1) as journal, journal.transaction():
        for number in range(1000):
            journal.record_alert(number, "BTC-BRL", "stale", "no bar has come")
    whole = path.read_bytes()
    broken = whole[:12_288] + bytes(byte ^ 0x5A for byte in whole[12_288:])
    path.write_bytes(broken)
    with (
        pytest.raises(JournalDamaged, match=r"paper.db: the journal is damaged .*--fresh"),
        sessions.opened(path, SESSION, now_ns=2),
    ):
        pass
    with sessions.opened(path, SESSION, now_ns=3_000, fresh=True) as journal:
        assert journal.rows("select * from alerts") == []
    assert (tmp_path / "paper.until-19700101T000000000003Z.db").read_bytes() == broken


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with (
        sessions.opened(path, SESSION, now_ns=1),
        pytest.raises(JournalBusy, match=r"in use by process \d+; stop that one"),
        sessions.opened(path, SESSION, now_ns=2),
    ):
        pass


def test_through_a_link_it_is_the_same_journal_with_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path, link = tmp_path / "here" / "paper.db", tmp_path / "link.db"
    link.symlink_to(path)
    with (
        sessions.opened(link, SESSION, now_ns=1) as journal,
        pytest.raises(JournalBusy, match=r"paper.db is in use by process \d+"),
        sessions.opened(path, SESSION, now_ns=2),
    ):
        pass
    with sessions.opened(link, {**SESSION, "cash": 5.0}, now_ns=2_000, fresh=True) as journal:
        assert journal.path == path
    assert link.is_symlink()
    assert sorted(one.name for one in path.parent.iterdir()) == [
        "paper.db",
        "paper.until-19700101T000000000002Z.db",
    ]


def test_links_that_lead_nowhere_are_one_line(tmp_path: Path) -> None:
    link = tmp_path / "paper.db"
    link.symlink_to(link)
    with pytest.raises(CqError, match=r"paper.db"), sessions.opened(link, SESSION, now_ns=1):
        pass


def record(journals: Sequence[Journal], decided: list[Decision]) -> None:
    for one in journals:
        with one.transaction():
            one.record_decisions(decided)


def test_rows_of_somebody_else_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    decided = [Decision(10, "BTC-BRL", 1, 1.0, False, "none")]
    with (
        pytest.raises(JournalDamaged, match=r"do not agree .*: UNIQUE constraint failed.*--fresh"),
        sessions.opened(path, SESSION, now_ns=1) as journal,
        Journal.open(path) as other,
    ):
        record((other, journal), decided)


def test_the_lock_ends_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with pytest.raises(RuntimeError), sessions.locked(path):
        raise RuntimeError
    with sessions.locked(path):
        pass


def test_a_session_that_ends_leaves_its_journal_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "paper.db"
    with sessions.opened(path, SESSION, now_ns=1) as journal, Journal.read(path) as reader:
        assert reader.session() == journal.session()
    assert list(path.parent.iterdir()) == [path]


def test_a_lock_file_that_goes_while_it_is_being_locked_is_nobodys_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, beside = tmp_path / "paper.db", tmp_path / "paper.db.lock"
    real, unlinked = fcntl.flock, []

    def its_owner_ends_just_before(handle: TextIO, how: int) -> None:
        if not unlinked:
            unlinked.append(beside.unlink())
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", its_owner_ends_just_before)
    with sessions.locked(path):
        assert beside.exists()
        with pytest.raises(JournalBusy), sessions.locked(path):
            pass
        assert beside.exists()  # who was refused takes nobody's lock away
    assert not beside.exists()


def test_a_replay_is_named_by_what_it_replays_and_a_session_by_its_start_too() -> None:
    replay = {**SESSION, "mode": "replay"}
    assert sessions.session_id(replay, 1) == sessions.session_id(replay, 2)
    assert sessions.session_id(SESSION, 1) != sessions.session_id(SESSION, 2)
