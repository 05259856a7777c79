"""Any other layout, described by a small YAML file; `docs/import.md` shows one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cq.errors import ConfigError, UnknownLayout, UsageError
from cq.ingest.delimited import Shape, read_delimited, shape_of, unique_names
from cq.ingest.json_forms import column_arrays, record_lines, rows_like
from cq.ingest.layout import Layout, decimal_in
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import Kind, Source
from cq.ingest.stamps import Stamp, Unit
from cq.ingest.symbols import normalised
from cq.ingest.tables import NUMBERS, Table, normalise
from cq.lake.rules import PLAIN_NAME, SYMBOL
from cq.utils.time import interval_ns
from cq.utils.yamls import read_yaml

FORMATS: dict[str, Kind] = {
    "csv": "delimited",
    "json": "json",
    "lines": "lines",
    "parquet": "parquet",
    "feather": "feather",
}


Column = str | int


class Stamps(BaseModel):
    """How the column of `ts` says time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Unit = Field("auto", description="of numbers; auto tells it by magnitude")
    format: str | None = Field(None, description="strftime pattern of text, such as %d/%m/%Y %H:%M")
    timezone: str | None = Field(
        None, description="of stamps without one, such as America/Sao_Paulo"
    )

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError):
                raise ValueError(f"{name!r} is no time zone; expected a name such as UTC") from None
        return name


class Mapping(BaseModel):
    """A layout in words: where the file's rows are, and which of its columns is which of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    columns: dict[str, Column | list[Column]] = Field(
        description="our names and the file's; a number is a position, from 1; several are joined"
    )
    dataset: Literal["ohlcv", "trades"] | None = Field(
        None, description="refuse any other --dataset"
    )
    format: Literal["csv", "json", "lines", "parquet", "feather"] | None = Field(
        None, description="told from the content by default"
    )
    separator: str | None = Field(None, min_length=1, max_length=1, description="of a CSV")
    decimal: Literal[".", ","] | None = Field(
        None, description="a comma makes the point a separator; told by the numbers by default"
    )
    encoding: str | None = Field(
        None, description="of the text, such as cp1252; told by the bytes by default"
    )
    header: bool | None = Field(None, description="whether a CSV names its columns")
    skip_rows: int = Field(0, ge=0, description="lines before the header or the first row")
    rows: str | None = Field(
        None, alias="json", description="path to the rows, such as data.result"
    )
    ts: Stamps = Stamps.model_construct(unit="auto", format=None, timezone=None)
    maker_side: bool = Field(False, description="side says whether the buyer was the maker")
    symbol: str | None = Field(None, description="of all rows, BASE-QUOTE")
    exchange: str | None = Field(None, description="of all rows")
    interval: str | None = Field(None, description="of all bars")

    @field_validator("columns")
    @classmethod
    def _ours(cls, columns: dict[str, Column | list[Column]]) -> dict[str, Column | list[Column]]:
        known = {"ts", "symbol", "exchange", "interval", "side", "trade_id"}.union(
            *NUMBERS.values()
        )
        if strangers := sorted(set(columns) - known):
            raise ValueError(
                f"{', '.join(strangers)} is no column here; ours are {', '.join(sorted(known))}"
            )
        for name, said in columns.items():
            if not _each(said):
                raise ValueError(f"{name}: names no column")
            if any(isinstance(one, int) and one < 1 for one in _each(said)):
                raise ValueError(f"{name}: positions count from 1")
        return columns

    @field_validator("encoding")
    @classmethod
    def _an_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                "".encode(encoding)
            except LookupError:
                raise ValueError(
                    f"{encoding!r} is no encoding; expected one such as utf-8 or cp1252"
                ) from None
        return encoding

    @field_validator("symbol")
    @classmethod
    def _a_market(cls, symbol: str | None) -> str | None:
        if symbol is None:
            return None
        known = symbol if re.fullmatch(SYMBOL, symbol) else normalised(symbol)
        if known is None:
            raise ValueError(f"{symbol!r} is no market; expected BASE-QUOTE, such as BTC-BRL")
        return known

    @field_validator("exchange")
    @classmethod
    def _a_plain_name(cls, exchange: str | None) -> str | None:
        if exchange is not None and not re.fullmatch(PLAIN_NAME, exchange):
            raise ValueError(f"{exchange!r} is no plain name; expected one such as binance")
        return exchange

    @field_validator("interval")
    @classmethod
    def _an_interval(cls, interval: str | None) -> str | None:
        if interval is not None:
            try:
                interval_ns(interval)
            except UsageError as error:
                raise ValueError(str(error)) from None
        return interval

    def over(self, raw: pl.DataFrame) -> tuple[pl.DataFrame, Table]:
        """The file's table, with joined columns where several are meant, and how to read it."""
        columns = {}
        for ours, said in self.columns.items():
            names = [_named(raw.columns, ours, one) for one in _each(said)]
            columns[ours] = " ".join(names)
            if len(names) > 1 and set(names) <= set(raw.columns):
                joined = pl.concat_str(
                    *(pl.col(name).cast(pl.String) for name in names), separator=" "
                )
                raw = raw.with_columns(joined.alias(columns[ours]))
        return raw, Table(
            columns,
            Stamp(self.ts.unit, self.ts.format, self.ts.timezone),
            symbol=self.symbol,
            exchange=self.exchange,
            interval=self.interval,
            maker_side=self.maker_side,
            decimal=self.decimal or ".",
        )


def _each(said: Column | list[Column]) -> list[Column]:
    return said if isinstance(said, list) else [said]


def _named(names: list[str], ours: str, said: Column) -> str:
    if isinstance(said, str):
        return said
    return names[said - 1] if said <= len(names) else f"column {said} ({ours})"


def read_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file; ConfigError names file, line and key of what is wrong."""
    document = read_yaml(path)
    try:
        return Mapping.model_validate(document.value)
    except ValidationError as error:
        found = error.errors()
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        forms = ("str", "int", "list[union[str,int]]")  # of a column: no keys of the file
        keys = tuple(str(key) for key in first["loc"] if key not in forms)
        raise ConfigError(document.where(keys), _problem(first, keys)) from None


def _problem(error: Any, keys: tuple[str, ...]) -> str:
    key = ".".join(keys)
    if error["type"] == "extra_forbidden":
        model = Stamps if keys[:-1] == ("ts",) else Mapping
        known = [field.alias or name for name, field in model.model_fields.items()]
        return f"unknown key {key}; there is {', '.join(known)}"
    if error["type"] == "missing":
        return f"{key} is missing"
    return f"{key}: {str(error['msg']).removeprefix('Value error, ')}"


def layout_of(path: Path, mapping: Mapping) -> Layout:
    """The layout that a mapping describes."""

    def read(source: Source, asked: Request) -> Piece:
        if mapping.dataset is not None and mapping.dataset != asked.dataset:
            raise ConfigError(str(path), f"describes {mapping.dataset}, not {asked.dataset}")
        if mapping.format is not None:
            source = replace(source, kind=FORMATS[mapping.format])
        raw, spoiled = _raw(source, mapping)
        raw, table = mapping.over(raw)
        if mapping.decimal is None:
            separator = mapping.separator
            decimal = decimal_in(source, raw, table, asked.dataset, separator)
            table = replace(table, decimal=decimal)
        return normalise(source.path, raw, table, asked, spoiled)

    name, encoding = f"mapping {path.name}", mapping.encoding
    return Layout(name, ("ohlcv", "trades"), "a mapping", lambda _: True, read, encoding)


def _raw(source: Source, mapping: Mapping) -> tuple[pl.DataFrame, pl.Series | None]:
    if source.kind in ("parquet", "feather"):
        read = pl.read_parquet if source.kind == "parquet" else pl.read_ipc
        return read(source.path), None
    if source.kind == "delimited":
        return read_delimited(source.content, _shape(source, mapping))
    if source.kind == "lines":
        return record_lines(source.path, source.lines, tuple(unique_names(source.columns))), None
    return _json_rows(source, mapping.rows)


def _shape(source: Source, mapping: Mapping) -> Shape:
    lines = source.head.splitlines(keepends=True)
    told = shape_of("".join(lines[mapping.skip_rows :]), mapping.separator)
    shape = replace(told, banner=told.banner + mapping.skip_rows)
    if mapping.header is False:
        return replace(shape, header=None)
    if mapping.header and shape.header is None:
        return replace(shape, header=tuple(told.first_fields))
    return shape


def _json_rows(source: Source, where: str | None) -> tuple[pl.DataFrame, pl.Series | None]:
    value = source.json
    for key in where.split(".") if where else ():
        if not isinstance(value, dict) or key not in value:
            held = ", ".join(value) if isinstance(value, dict) else "no keys"
            raise UnknownLayout(source.path, f"has no {key!r} of json: {where}; there is {held}")
        value = value[key]
    if isinstance(value, dict):
        names = tuple(name for name in value if isinstance(value[name], list))
        return column_arrays(source.path, value, names), None
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, list | dict):
        return rows_like(source.path, json.dumps(value), first)
    raise UnknownLayout(
        source.path, "holds no rows there; say where they are with json: in the mapping"
    )
