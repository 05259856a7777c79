"""Where the rows of a file come from: said in the file itself, as Parquet key-value metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import polars as pl

from cq import __version__

PREFIX = "cq."
JOINER = "; "


@dataclass(frozen=True)
class Origin:
    """Who brought the rows of a file, what was asked for, when, and with which code.

    Asked for was [`asked_start_ts`, `asked_end_ts`); None where nothing that has two ends was,
    as with streams and imported files.
    """

    source: str
    ingested_ts: int
    asked_start_ts: int | None = None
    asked_end_ts: int | None = None
    version: str = __version__

    @classmethod
    def of(cls, source: str, now_ns: int, asked: tuple[int, int] | None = None) -> Origin:
        """What `Lake.write` is told."""
        start, end = asked or (None, None)
        return cls(source, now_ns, start, end)

    @classmethod
    def merged(cls, origins: Iterable[Origin]) -> Origin:
        """What a file says that holds the rows of others: every source, the hull of what was asked.

        The time and the version are the newest, so that the same files say the same, whenever they
        are merged.
        """
        parts = list(origins)
        sources = sorted({word for one in parts for word in one.source.split(JOINER)})
        starts = [one.asked_start_ts for one in parts if one.asked_start_ts is not None]
        ends = [one.asked_end_ts for one in parts if one.asked_end_ts is not None]
        newest = max(parts, key=lambda one: (one.ingested_ts, one.version))
        return cls(
            JOINER.join(sources),
            newest.ingested_ts,
            min(starts, default=None),
            max(ends, default=None),
            newest.version,
        )

    def as_metadata(self) -> dict[str, str]:
        """As key-value metadata; what is not known is left out."""
        return dict(self._said)

    @cached_property
    def _said(self) -> dict[str, str]:
        said = asdict(self).items()
        return {f"{PREFIX}{name}": str(value) for name, value in said if value is not None}

    @classmethod
    def said(cls, metadata: Mapping[Any, Any]) -> Origin | None:
        """What key-value metadata (text, or bytes as pyarrow gives them) tell; None if nothing."""
        found = {_text(key).removeprefix(PREFIX): _text(metadata[key]) for key in metadata}
        if "source" not in found or not found.get("ingested_ts", "").lstrip("-").isdigit():
            return None
        asked = [found.get(f"asked_{which}_ts") for which in ("start", "end")]
        start, end = (None if one is None else int(one) for one in asked)
        return cls(
            found["source"], int(found["ingested_ts"]), start, end, found.get("version", "unknown")
        )


def origin_of(path: Any) -> Origin | None:
    """What a Parquet file says of its rows; None where somebody else wrote it."""
    return Origin.said(pl.read_parquet_metadata(path))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
