"""Files and the lake: what is missing, broken, or cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from cq.errors.roots import DataError


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
            "or `cq lake import PATH --dataset ohlcv`"
        )


class NoLake(DataError):
    """There is no folder where the settings say that the lake is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(
            f"no lake at {root}; correct data_root (`cq config show` says where it is set), or "
            "begin one there with `cq lake ingest SYMBOL` or "
            "`cq lake import PATH --dataset ohlcv`"
        )


class NoBars(DataError):
    """The lake has the symbol but no bar in the period that was asked for."""

    def __init__(self, what: str, asked: str, held: str) -> None:
        self.what, self.asked, self.held = what, asked, held
        super().__init__(f"no bars of {what} {asked}; the lake holds {held}")


class TooFew(DataError):
    """A run has too little of something for other histories to be drawn from it."""

    def __init__(self, run: str, found: str, advice: str) -> None:
        self.run, self.found = run, found
        super().__init__(f"{run} has {found}; expected at least two: {advice}")


class LakeBusy(DataError):
    """Another process is writing the same dataset and symbol, or compacting the same lake."""

    def __init__(self, what: str, owner: str, doing: str = "written") -> None:
        self.what, self.owner = what, owner
        super().__init__(f"{what} is being {doing} by {owner}; wait for it to end and try again")


class CompactionFailed(DataError):
    """The rows that compaction made are not those it read; a fault of cq that changed nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder}: the merged rows are not those of its files; nothing was changed, "
            "please report it"
        )


class Unreadable(DataError):
    """A file or folder of the lake that is there but cannot be read."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        denied = reason in (os.strerror(errno.EACCES), os.strerror(errno.EPERM))
        advice = (
            "check its permissions"
            if denied
            else "move it away with `cq lake verify --quarantine` and bring its rows back "
            "with `cq lake ingest` or `cq lake import`"
        )
        super().__init__(f"{path} cannot be read ({reason}); {advice}")


class LakeUnwritable(DataError):
    """The lake's folder cannot be written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"cannot write to {path} ({reason}); check its permissions and free space")


class CannotExchange(LakeUnwritable):
    """The file system cannot let two folders exchange their names; nothing was changed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "its file system cannot exchange two folders in one step")
        self.args = (
            f"{path} stays as it is: its file system cannot exchange two folders in one step; "
            "keep the lake on one that can, such as ext4, xfs, btrfs or apfs",
        )


class CatalogUnwritable(LakeUnwritable):
    """The views in `lake.db` cannot be written; the lake itself does without them."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        if ".wal?" in reason:  # DuckDB puts the end of its log's name before the mark
            self.args = (
                f"{path} cannot be written, since DuckDB cannot take the ? in its path; all else "
                "works, `cq lake sql` too. Rename the folder to have the views in a DuckDB shell",
            )
            return
        self.args = (
            f"{path} cannot be written ({reason}); it holds views only: move it away, "
            "or see to its permissions and free space, and run the same command again",
        )


class MissingExtra(DataError):
    """A package that an optional part of cq needs is not installed."""

    def __init__(self, what: str, extra: str, package: str) -> None:
        self.what, self.extra, self.package = what, extra, package
        super().__init__(
            f"{what} needs the package {package}, which is not installed; "
            f"type `pip install 'cq[{extra}]'`"
        )


class StorageUnreachable(DataError):
    """The storage that a lake lies on does not answer."""

    def __init__(self, endpoint: str, reason: str) -> None:
        self.endpoint, self.reason = endpoint, reason
        super().__init__(
            f"the storage at {endpoint} does not answer ({reason}); "
            "check the network and AWS_ENDPOINT_URL, AWS_REGION and the other AWS_ variables"
        )


class CannotDo(DataError):
    """Something that object storage cannot do without losing the lake's promises."""

    def __init__(self, root: Path, what: str, instead: str) -> None:
        self.root, self.what, self.instead = root, what, instead
        super().__init__(f"{what} is not possible on {root}: {instead}")
