"""What an import is asked for, and what reading one file gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from cq.errors import UnknownLayout

BROKEN: dict[str, pl.DataType] = {
    "ts": pl.Int64(),
    "symbol": pl.String(),
    "exchange": pl.String(),
    "interval": pl.String(),
    "broken": pl.List(pl.String()),
    "row": pl.String(),
}


@dataclass(frozen=True)
class Request:
    """The options of an import; None where nothing was said."""

    dataset: str
    now_ns: int
    symbol: str | None = None
    exchange: str | None = None
    interval: str | None = None
    timezone: str | None = None
    default_timezone: str = "UTC"
    at_ns: int | None = None
    depth: int = 20


@dataclass(frozen=True)
class Piece:
    """One file in the lake's columns.

    `rows` are in the dataset's columns; `broken` are the rows that could not be read, as the file
    wrote them; `notes` say in words what was concluded rather than stated.
    """

    rows: pl.DataFrame
    broken: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BROKEN))
    layout: str = ""
    notes: tuple[str, ...] = ()

    def noting(self, *notes: str) -> Piece:
        """The same piece with `notes` first."""
        return replace(self, notes=(*(note for note in notes if note), *self.notes))


def with_lines(piece: Piece, lines: pl.Series | None, rule: str) -> Piece:
    """`piece` with whole lines of the file among its broken rows, all for breaking `rule`."""
    if lines is None or not len(lines):
        return piece
    more = pl.DataFrame({"row": lines}).with_columns(broken=pl.lit([rule], pl.List(pl.String)))
    broken = pl.concat([piece.broken, more], how="diagonal").select(*BROKEN)
    return replace(piece, broken=broken)


def as_written(rows: pl.DataFrame) -> pl.Series:
    """Each row as JSON text; NaN and infinities, which JSON lacks, as text in it."""
    if rows.is_empty():
        return pl.Series("row", [], pl.String)
    strange = [
        name for name, kind in rows.schema.items() if kind.is_float() and not _finite(rows[name])
    ]
    whole = rows.with_columns(pl.col(strange).cast(pl.String)) if strange else rows
    return whole.select(pl.struct(pl.all()).struct.json_encode().alias("row")).to_series()


def _finite(numbers: pl.Series) -> bool:
    return bool(numbers.drop_nulls().is_finite().all())


def decided(
    path: Path, what: str, option: str | None, found: pl.Series | None, default: str | None
) -> tuple[pl.Series | str, str]:
    """The value of `symbol` or `exchange`: option before column before layout, and a note.

    A column of several values next to an option is a contradiction; nothing at all is an error
    that names the option.
    """
    if option is not None:
        if found is not None and (several := sorted(found.drop_nulls().unique().to_list()))[1:]:
            named = ", ".join(several[:5]) + (", …" if len(several) > 5 else "")
            raise UnknownLayout(
                path,
                f"holds {len(several)} {what}s ({named}) but --{what} says {option}; "
                f"leave --{what} away, or split the file",
            )
        return option, ""
    if found is not None:
        return found, ""
    if default is not None:
        return default, f"{what} {default}"
    raise UnknownLayout(path, f"does not say which {what} it holds; add --{what} {_EXAMPLE[what]}")


_EXAMPLE = {"symbol": "BASE-QUOTE", "exchange": "NAME"}
