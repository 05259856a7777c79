"""What a query read, as a value: its files, and digests of its rows, block by block."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cq.errors import DataError
from cq.lake.rowhash import RECIPE, Words

FORMAT: Final = 1
PERIODS: Final = ("day", "month")
NO_TIME: Final = "none"


class Owner(NamedTuple):
    """Whose rows they are; None where the rows do not say."""

    exchange: str | None = None
    symbol: str | None = None
    interval: str | None = None

    def __str__(self) -> str:
        return " ".join(word for word in self if word) or "all"

    def sortable(self) -> tuple[str, ...]:
        """In the order of its words, absent ones first."""
        return tuple(word or "" for word in self)


class Block(NamedTuple):
    """The rows of one UTC day or month: how many, and their digest."""

    period: str
    rows: int
    digest: int


class File(NamedTuple):
    """A file that was read; `digest` is of its bytes."""

    path: str
    rows: int
    bytes: int
    digest: str


class Fingerprint(NamedTuple):
    """What a query read: `view` and `filter` say what was asked, `columns` which columns count.

    `blocks` (and so `digest`) do not depend on how the rows lie in files, `files` do.
    """

    view: str
    filter: Mapping[str, Any]
    columns: tuple[str, ...]
    by: str
    blocks: Mapping[Owner, tuple[Block, ...]]
    files: tuple[File, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows."""
        return sum(block.rows for blocks in self.blocks.values() for block in blocks)

    @property
    def digest(self) -> str:
        """32 digits that name the rows, whatever their order, files and blocks."""
        said = [RECIPE, *sorted(self.columns)]
        said += [f"{owner!r} {rows} {value:016x}" for owner, rows, value in self._totals()]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]

    def _totals(self) -> Iterable[tuple[Owner, int, int]]:
        for owner in sorted(self.blocks, key=Owner.sortable):
            blocks = self.blocks[owner]
            value = sum(block.digest for block in blocks) % 2**64
            if rows := sum(block.rows for block in blocks):
                yield owner, rows, value

    def coarser(self) -> Fingerprint:
        """The same by months."""
        blocks = {owner: months(blocks) for owner, blocks in self.blocks.items()}
        return Fingerprint(self.view, self.filter, self.columns, "month", blocks, self.files)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        totals = {owner: value for owner, _, value in self._totals()}
        return {
            "format": FORMAT,
            "recipe": RECIPE,
            "view": self.view,
            "filter": dict(self.filter),
            "columns": list(self.columns),
            "by": self.by,
            "rows": self.rows,
            "digest": self.digest,
            "series": [
                {
                    **owner._asdict(),
                    "rows": sum(block.rows for block in self.blocks[owner]),
                    "digest": f"{totals.get(owner, 0):016x}",
                    "blocks": {
                        one.period: f"{one.rows} {one.digest:016x}" for one in self.blocks[owner]
                    },
                }
                for owner in sorted(self.blocks, key=Owner.sortable)
            ],
            "files": [one._asdict() for one in self.files],
        }

    def as_json(self) -> str:
        """As text; the same fingerprint gives the same."""
        return json.dumps(self.as_dict(), indent=1) + "\n"

    @classmethod
    def of_dict(cls, found: Mapping[str, Any]) -> Fingerprint:
        """What `as_dict` gave; ValueError, KeyError or TypeError where it is something else."""
        if (found["format"], found["recipe"]) != (FORMAT, RECIPE):
            raise ValueError(f"format {found['format']}, {found['recipe']}; this cq reads {RECIPE}")
        blocks = {
            Owner(one["exchange"], one["symbol"], one["interval"]): tuple(
                Block(period, int(said.split()[0]), int(said.split()[1], 16))
                for period, said in one["blocks"].items()
            )
            for one in found["series"]
        }
        made = cls(
            found["view"],
            dict(found["filter"]),
            tuple(found["columns"]),
            found["by"],
            blocks,
            tuple(File(**one) for one in found["files"]),
        )
        if made.digest != found["digest"]:
            raise ValueError(f"its digest is {made.digest}, it says {found['digest']}")
        return made


def load(path: Path) -> Fingerprint:
    """The fingerprint in a file."""
    try:
        return Fingerprint.of_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path} is no fingerprint ({type(error).__name__}: {error}); "
            "make one with `cq lake fingerprint --out FILE`"
        ) from error


def months(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Days put together."""
    return merged(Block(one.period[:7], one.rows, one.digest) for one in blocks)


def merged(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Each period once, in order; those without a row are left out."""
    together = groupby(sorted(blocks), key=lambda one: one.period)
    found = ((period, list(ones)) for period, ones in together)
    return tuple(
        Block(period, sum(one.rows for one in ones), sum(one.digest for one in ones) % 2**64)
        for period, ones in found
        if sum(one.rows for one in ones)
    )


def cut(ts: npt.NDArray[np.int64], hashes: Words, by: str) -> list[Block]:
    """Rows as blocks: `ts` are their moments, in any order."""
    if not ts.size:
        return []
    if not bool(np.all(ts[1:] >= ts[:-1])):
        order = np.argsort(ts, kind="stable")
        ts, hashes = ts[order], hashes[order]
    unit = "D" if by == "day" else "M"
    first, last = (np.datetime64(int(ts[at]), "ns").astype(f"M8[{unit}]") for at in (0, -1))
    periods = np.arange(first, last + 1)
    starts = np.searchsorted(ts, periods.astype("M8[ns]").astype(np.int64))
    ends = np.append(starts[1:], ts.size)
    held = np.flatnonzero(ends > starts)
    sums = np.add.reduceat(hashes, starts[held])
    return [
        Block(str(periods[at]), int(ends[at] - starts[at]), int(value))
        for at, value in zip(held, sums, strict=True)
    ]
