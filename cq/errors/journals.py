"""Journals of live trading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cq.errors.roots import DataError, UsageError


class JournalDiffers(UsageError):
    """A journal was begun with another strategy, other costs or other cash."""

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        self.path, self.differences = path, tuple(differences)
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        super().__init__(
            f"{path} was begun with {differences[0]}{more}; "
            "go on in another file with --journal OTHER, or start anew with --fresh"
        )


class NoJournal(DataError):
    """A journal that was asked about but has not been begun."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: no journal there; `cq live --paper FILE` begins one")


class JournalBusy(DataError):
    """Another process trades on the same journal."""

    def __init__(self, path: Path, owner: str) -> None:
        self.path, self.owner = path, owner
        super().__init__(
            f"{path} is in use by {owner}; stop that one, or name another file with --journal OTHER"
        )


class JournalDamaged(DataError):
    """A journal from which the account cannot be told any more."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(
            f"{path}: the journal is damaged ({problem}); put it aside and begin anew with "
            "--fresh, or name another file with --journal OTHER"
        )


class JournalUnreadable(DataError):
    """A journal that cannot be opened for reading, or a path that cannot be one."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot read {path} ({reason}); check its permissions, "
            "or name another file with --journal OTHER"
        )
