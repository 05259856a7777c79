"""Everything that can go wrong for a user, as one tree.

    CqError                      exit code
    ├── CheckFailed                      1
    ├── UsageError                       2
    │   ├── ConfigError
    │   ├── StrategyError
    │   └── JournalDiffers
    ├── DataError                        3
    │   ├── NoSuchFile
    │   ├── UnknownLayout
    │   ├── Stumbled
    │   ├── UnknownSymbol
    │   ├── EmptyDataset
    │   ├── NoBars
    │   ├── LakeBusy
    │   ├── Unreadable
    │   ├── LakeUnwritable
    │   │   └── CatalogUnwritable
    │   ├── NoJournal
    │   ├── JournalBusy
    │   ├── JournalDamaged
    │   └── JournalUnreadable
    ├── ExchangeError                    4
    │   ├── Transient
    │   │   ├── RateLimited
    │   │   ├── Unavailable
    │   │   └── Unreachable
    │   ├── NeverConnected
    │   ├── OutcomeUnknown
    │   ├── Refused
    │   │   ├── NoSuchMarket
    │   │   └── LoginRefused
    │   └── TradesMissing
    └── RiskStopped                      5

A message is one line: what was found, what was expected, what to type next.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


class CqError(Exception):
    """The root: carries the exit code that a command ends with."""

    exit_code = 1


class CheckFailed(CqError):
    """A check ran to its end and found problems."""


class UsageError(CqError):
    """Wrong usage: arguments that make no sense together."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file, variable or option that cannot be used."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class StrategyError(UsageError):
    """A strategy file that cannot be used."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class JournalDiffers(UsageError):
    """A journal was begun with another strategy, other costs or other cash."""

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        self.path, self.differences = path, tuple(differences)
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        super().__init__(
            f"{path} was begun with {differences[0]}{more}; "
            "go on in another file with --journal OTHER, or start anew with --fresh"
        )


class DataError(CqError):
    """Data that is missing or broken."""

    exit_code = 3


class NoSuchFile(DataError):
    """A path that was named but is not there."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        super().__init__(f"no such file: {path}")


class UnknownLayout(DataError):
    """A file whose columns or stamps cannot be understood."""

    def __init__(self, path: Path | str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class Stumbled(DataError):
    """A file that cq has no answer to: a fault of cq, told as one of the file."""

    def __init__(self, path: Path, error: BaseException) -> None:
        self.path, self.error = path, error
        said = (str(error).splitlines() or [""])[0]
        super().__init__(
            f"{path}: cq stumbles over it ({type(error).__name__}: {said}); describe it with "
            "--mapping FILE, and please report it (CQ_DEBUG=1 shows where)"
        )


class UnknownSymbol(DataError):
    """A symbol that the lake (or the exchange) does not have."""

    def __init__(self, symbol: str, known: Iterable[str], advice: str) -> None:
        from difflib import get_close_matches  # not for every `cq --help`

        self.symbol, self.known = symbol, sorted(known)
        near = get_close_matches(symbol.upper(), self.known, n=1, cutoff=0.8)
        meant = f" (did you mean {near[0]}?)" if near else ""
        have = ", ".join(self.known[:8]) + (", …" if len(self.known) > 8 else "")
        super().__init__(f"no {symbol} here{meant}; there is {have or 'nothing yet'}; {advice}")


class EmptyDataset(DataError):
    """A dataset is known but the lake holds no file of it yet."""

    def __init__(self, dataset: str, root: Path) -> None:
        self.dataset, self.root = dataset, root
        super().__init__(
            f"no {dataset} under {root}; fetch some with `cq lake ingest SYMBOL` "
            "or `cq lake import PATH`"
        )


class NoBars(DataError):
    """The lake has the symbol but no bar in the period that was asked for."""

    def __init__(self, what: str, asked: str, held: str) -> None:
        self.what, self.asked, self.held = what, asked, held
        super().__init__(f"no bars of {what} {asked}; the lake holds {held}")


class LakeBusy(DataError):
    """Another process is writing the same dataset and symbol."""

    def __init__(self, what: str, owner: str) -> None:
        self.what, self.owner = what, owner
        super().__init__(f"{what} is being written by {owner}; wait for it to end and try again")


class Unreadable(DataError):
    """A file or folder of the lake that is there but cannot be read."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        denied = reason in (os.strerror(errno.EACCES), os.strerror(errno.EPERM))
        advice = (
            "check its permissions"
            if denied
            else "move it away and bring its rows back with `cq lake import`, "
            "or `cq lake ingest --refetch`"
        )
        super().__init__(f"{path} cannot be read ({reason}); {advice}")


class LakeUnwritable(DataError):
    """The lake's folder cannot be written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"cannot write to {path} ({reason}); check its permissions and free space")


class NoJournal(DataError):
    """A journal that was asked about but has not been begun."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: no journal there; `cq live --paper FILE` begins one")


class CatalogUnwritable(LakeUnwritable):
    """The views in `lake.db` cannot be written; the lake itself does without them."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.args = (
            f"{path} cannot be written ({reason}); it holds views only: move it away, "
            "or see to its permissions and free space, and run the same command again",
        )


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


class ExchangeError(CqError):
    """The exchange refused or is out of reach."""

    exit_code = 4
    request_id: str | None = None


class Transient(ExchangeError):
    """Worth another try in a moment; `brief` says why in two or three words."""

    brief = "no answer"
    retry_after_s: float | None = None


class RateLimited(Transient):
    """The exchange asks for fewer requests."""

    brief = "too many requests"

    def __init__(self, path: str, retry_after_s: float | None) -> None:
        self.path, self.retry_after_s = path, retry_after_s
        wait = f" for {retry_after_s:g} s" if retry_after_s is not None else ""
        super().__init__(f"{path}: too many requests; the exchange asks for a pause{wait}")


class Unavailable(Transient):
    """The exchange answered with a fault of its own."""

    def __init__(self, path: str, status: int) -> None:
        self.path, self.status, self.brief = path, status, f"status {status}"
        super().__init__(f"{path}: the exchange answers with status {status}; try again later")


class Unreachable(Transient):
    """No answer: no connection, a time-out, a broken one; `sent` if the request may have left."""

    def __init__(self, url: str, reason: str, *, sent: bool = True) -> None:
        self.url, self.reason, self.sent = url, reason, sent
        super().__init__(
            f"{url} is out of reach ({reason}); check the network and `ingestion.rest_base_url`"
        )


class NeverConnected(ExchangeError):
    """A stream ended before any of its sockets was open."""

    def __init__(self, url: str, caught_up: str = "") -> None:
        self.url = url
        super().__init__(
            f"no socket to {url} was ever open, so nothing was streamed"
            f"{caught_up and f' ({caught_up})'}; check the network and `ingestion.ws_url`"
        )


class OutcomeUnknown(ExchangeError):
    """A request that must not be sent twice was sent, and what became of it is not known."""

    def __init__(self, action: str, reason: str) -> None:
        self.action, self.reason = action, reason
        super().__init__(
            f"{action}: unknown whether it arrived ({reason}); "
            "ask the exchange what became of it before sending it again"
        )


class Refused(ExchangeError):
    """The exchange understood and said no."""

    def __init__(self, path: str, status: int, code: str, message: str) -> None:
        self.path, self.status, self.code, self.message = path, status, code, message
        super().__init__(f"{path}: the exchange refused with {status} {code}: {message}")


class NoSuchMarket(Refused):
    """The exchange does not know the symbol."""

    def __init__(self, symbol: str, path: str, status: int, code: str, message: str) -> None:
        super().__init__(path, status, code, message)
        self.symbol = symbol
        self.args = (
            f"{symbol}: the exchange has no such market ({code}: {message}); "
            "expected BASE-QUOTE as it lists them, such as BTC-BRL",
        )


class TradesMissing(ExchangeError):
    """The exchange's ids say that there were trades which it does not give.

    `runs` are their ids, first and last; `found` are the trades that it did give.
    """

    def __init__(self, symbol: str, runs: Sequence[tuple[int, int]], found: Any = None) -> None:
        self.symbol, self.runs, self.found = symbol, tuple(runs), found
        count = sum(last - first + 1 for first, last in runs)
        first, last = runs[0]
        which = f"{first}" if first == last else f"{first} to {last}"
        more = f" and {len(runs) - 1} more runs" if len(runs) > 1 else ""
        trades = "trade" if count == 1 else "trades"
        super().__init__(
            f"{symbol}: the exchange does not give {count:,} {trades} (ids {which}{more}); "
            "asking again later may bring them"
        )


class LoginRefused(Refused):
    """The exchange does not take the API key, or not for what was asked."""

    def __init__(self, path: str, status: int, code: str, message: str, advice: str) -> None:
        super().__init__(path, status, code, message)
        self.args = (f"{path}: the exchange refused with {status} {code}: {message}; {advice}",)


class RiskStopped(CqError):
    """A risk rule stopped the work."""

    exit_code = 5
