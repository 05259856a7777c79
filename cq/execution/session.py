"""Who may write a journal: one process at a time, and only the session that began it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from cq.errors import (
    JournalBusy,
    JournalDamaged,
    JournalDiffers,
    JournalUnreadable,
    LakeUnwritable,
)
from cq.execution.journal import Journal
from cq.utils.ids import digest
from cq.utils.time import from_ns, iso

if TYPE_CHECKING:
    from cq.execution.plan import Terms
    from cq.strategies import Strategy

COMPARED = ("mode", "strategy", "costs", "fill", "max_position", "cash", "since", "until")
"""What a restart must agree on; anything else (risk limits, poll interval) may change."""

REPLAYED = (*COMPARED, "limits", "bars")
"""What a replay's trades, and so its name, follow from: its risk limits and its bars as well.

Of a replay without an end more bars may come before it goes on.
"""


def described(
    mode: Literal["paper", "replay"],
    strategy: Strategy,
    symbols: Sequence[str],
    terms: Terms,
    *,
    since: int | None = None,
    until: int | None = None,
) -> dict[str, Any]:
    """What a session is made of, as a journal remembers it."""
    said = strategy.config.model_dump(mode="json", exclude={"backtest"})
    code, gate = strategy.code, strategy.config.gate_config
    if code is not None:
        said["python_sha256"] = code.digest
        if code.imports:
            said["imports_sha256"] = dict(code.imports)
    if gate is not None and gate.trained is not None:
        said["gate_sha256"] = hashlib.sha256(Path(gate.trained).read_bytes()).hexdigest()
    return {
        "mode": mode,
        "strategy": said | {"symbols": list(symbols)},
        "costs": terms.costs._asdict(),
        "fill": terms.fill,
        "max_position": terms.max_position,
        "cash": terms.cash,
        "since": since,
        "until": until,
    }


@contextmanager
def opened(
    path: Path, session: Mapping[str, Any], *, now_ns: int, fresh: bool = False
) -> Iterator[Journal]:
    """The journal at `path`, locked, for `session`; `fresh` puts an older one aside first.

    By whichever links it is named, it is one journal with one lock. JournalBusy when another
    process holds it, JournalDiffers when it was begun with another strategy, other costs or other
    cash, JournalDamaged when it cannot be trusted, or holds already what comes to be written.
    """
    if path.is_dir():
        raise JournalUnreadable(path, "it is a folder")
    path = Path(os.path.realpath(path))  # which leaves links that lead nowhere to whoever opens
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path))
        except OSError as error:
            raise LakeUnwritable(path, error.strerror or str(error)) from None
        if path.exists():
            _refuse_names(path)
            if fresh:
                put_aside(path, now_ns)
        with Journal.open(path) as journal:
            begun = journal.begun()
            found = differences(begun, session)
            if not begun or (found and journal.is_untouched()):
                started = {"started_ts": now_ns, "id": session_id(session, now_ns)}
                journal.begin({**session, **started})
            elif found:
                raise JournalDiffers(path, found)
            with _alone(path):
                yield journal


def _refuse_names(path: Path) -> None:
    """JournalUnreadable for a file of several names: each has its own lock and log beside it.

    What the log of another name holds would be passed over.
    """
    if (names := path.stat().st_nlink) > 1:
        raise JournalUnreadable(
            path, f"it has {names} names; remove the other hard links to it, or copy it"
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """What only somebody else's rows in the journal can lead to, as one line."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise JournalDamaged(path, f"its rows do not agree with what comes now: {error}") from error


def session_id(session: Mapping[str, Any], now_ns: int) -> str:
    """A name for the session: of a replay all that it follows from, else its start counts as well.

    So two replays that may trade differently never share an account in the lake.
    """
    replay = session.get("mode") == "replay"
    parts = {name: session.get(name) for name in (REPLAYED if replay else COMPARED)}
    return digest(parts if replay else [parts, now_ns])[:12]


def differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What the two sessions disagree on, such as `strategy.fast 10 (now 12)`."""
    names: tuple[str, ...] = COMPARED
    if begun.get("mode") == now.get("mode") == "replay":
        names = REPLAYED if now.get("until") is not None else (*COMPARED, "limits")
    was = dict(_leaves("", {name: begun.get(name) for name in names}))
    is_now = dict(
        _leaves("", json.loads(json.dumps({name: now.get(name) for name in names}, default=str)))
    )
    return [
        f"{key} {_shown(key, was.get(key))} (now {_shown(key, is_now.get(key))})"
        for key in sorted({*was, *is_now}, key=lambda key: (names.index(key.split(".")[0]), key))
        if was.get(key) != is_now.get(key)
    ]


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else key, inner)
    else:
        yield prefix, value


def _shown(key: str, value: Any) -> str:
    if value is None:
        return "unset"
    if key in ("since", "until") and isinstance(value, int):
        return iso(value)
    return value if isinstance(value, str) else json.dumps(value)


def put_aside(path: Path, now_ns: int) -> Path:
    """Rename the journal at `path`, nothing lost: `paper.db` becomes `paper.until-….db`."""
    with suppress(JournalDamaged), Journal.open(path):
        pass  # refuses what is no journal; closing folds the write-ahead log into the file
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    target = path.with_name(f"{path.stem}.until-{from_ns(now_ns):%Y%m%dT%H%M%S%fZ}{path.suffix}")
    try:
        for end in ("-wal", "-shm"):  # what a damaged one does not fold stays with it
            beside = path.with_name(path.name + end)
            if beside.exists():
                beside.rename(target.with_name(target.name + end))
        return path.rename(target)
    except OSError as error:
        raise LakeUnwritable(path, error.strerror or str(error)) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside `path`, which dies with its process; JournalBusy when it is taken.

    The file goes while the lock is held, so whoever gets a lock makes sure that its file is still
    there: a file that went in between is nobody's lock.
    """
    beside = path.with_name(path.name + ".lock")
    with _taken(path, beside) as handle:
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        try:
            yield
        finally:
            beside.unlink(missing_ok=True)


def _taken(path: Path, beside: Path) -> TextIO:
    """The file `beside`, open and locked."""
    while True:
        try:
            beside.parent.mkdir(parents=True, exist_ok=True)
            handle = beside.open("a+")
        except OSError as error:
            raise LakeUnwritable(beside, error.strerror or str(error)) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with handle:
                handle.seek(0)
                owner = handle.read().strip() or "another process"
            raise JournalBusy(path, owner) from None
        if _is_still(beside, handle):
            return handle
        handle.close()


def _is_still(path: Path, handle: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False
