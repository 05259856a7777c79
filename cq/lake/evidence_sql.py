"""Fingerprints of any SQL view, in batches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import polars as pl

from cq.errors import UsageError
from cq.lake.answers import plain
from cq.lake.datasets import DATASETS, Dataset
from cq.lake.evidence import (
    BARS,
    Question,
    blocks_of,
    counted,
    described,
    paths_of,
    sources_of,
    together,
)
from cq.lake.fingerprint import NO_TIME, Block, File, Owner
from cq.lake.rowhash import row_hashes, total
from cq.lake.statements import check_question, first_line
from cq.lake.stillness import still
from cq.lake.template import OWNERS
from cq.lake.views import quoted, text
from cq.lake.windows import FOREVER

if TYPE_CHECKING:
    from cq.lake.lake import Lake

BATCH: Final = 250_000


def answered(
    lake: Lake, asked: Question, by: str, columns: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[Owner, tuple[Block, ...]]]:
    """The columns that count, and the blocks of the answer."""
    contract = asked.dataset
    if contract is None:
        lake.scan(asked.view)
    source = _source(asked)
    cursor = lake.views.cursor(f"{source} {asked.where}")
    try:
        with still(lake.root):
            held = cursor.sql(f"from {source}").columns
            query = _query(asked, source, held)
            check_question(query)
            relation = plain(cursor.sql(query))
            owners = [name for name in OWNERS if name in held]
            plainly = counted(contract) if contract else [one for one in held if one not in owners]
            names = tuple(columns or plainly)
            found = together(
                one
                for batch in relation.to_arrow_reader(BATCH)
                for one in _blocks(pl.DataFrame(pl.from_arrow(batch)), owners, names, by)
            )
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise lake.views.told(error, UsageError(f"{asked.view}: {first_line(error)}")) from error
    return names, found


def _source(asked: Question) -> str:
    """What is asked, in SQL: a view, or bars of an interval, made where they are not stored."""
    if asked.view == BARS and asked.interval is not None:
        step = text(asked.interval)
        return f"(select * exclude (bars), {step} as interval from bars_at({step}))"
    return f"raw.{quoted(asked.view)}" if asked.view in DATASETS else quoted(asked.view)


def _query(asked: Question, source: str, held: Sequence[str]) -> str:
    """The question in SQL."""
    conditions = [f"({asked.where}\n)"] if asked.where else []
    for name, values in asked.wanted().items():
        if name not in held:
            raise UsageError(f"{asked.view} has no column {name}; it has {', '.join(held)}")
        conditions.append(f"{quoted(name)} in ({', '.join(text(one) for one in values)})")
    if asked.start:
        conditions.append(f"ts >= {asked.start}")
    if asked.end != FOREVER:
        conditions.append(f"ts < {asked.end}")
    conditions += [
        f"(symbol <> {text(symbol)} or exchange = {text(exchange)})"
        for symbol, exchange in asked.exchanges.items()
    ]
    return f"select * from {source} where {' and '.join(conditions) or 'true'}"


def _blocks(
    rows: pl.DataFrame, owners: Sequence[str], names: Sequence[str], by: str
) -> Iterator[tuple[Owner, tuple[Block, ...]]]:
    """A batch, owner by owner; rows without a moment are a block of their own."""
    apart: dict[Any, pl.DataFrame] = (
        rows.partition_by(owners, as_dict=True) if owners else {(): rows}
    )
    for values, mine in apart.items():
        owner = Owner(**dict(zip(owners, values, strict=True)))
        timed = "ts" in mine.columns and mine.schema["ts"].is_integer()
        never = mine.filter(pl.col("ts").is_null()) if timed else mine
        if never.height:
            yield owner, (Block(NO_TIME, never.height, total(row_hashes(never, names))),)
        if timed and never.height < mine.height:
            dated = mine.filter(pl.col("ts").is_not_null()) if never.height else mine
            yield owner, blocks_of(dated.with_columns(pl.col("ts").cast(pl.Int64)), names, by)


def files_behind(lake: Lake, asked: Question) -> tuple[File, ...]:
    """The files of the datasets that the view builds on, of the symbols and times asked for.

    A view over a dataset that it is named after is pruned by interval and time too.
    """
    return tuple(
        file
        for name in sorted(behind(lake, asked.view))
        for file in described(lake.root, partial(_paths, lake, asked, DATASETS[name]))
    )


def _paths(lake: Lake, asked: Question, contract: Dataset) -> list[Path]:
    same = asked.dataset is contract
    narrowed = asked if same else Question(contract.name, asked.symbols, exchange=asked.exchange)
    return paths_of(lake, narrowed, contract, sources_of(lake, narrowed, contract))


def behind(lake: Lake, view: str) -> set[str]:
    """The datasets that a view builds on, by the names in its text."""
    texts = {one.name: one.text for one in (*lake.views.views, *lake.views.macros)}
    seen: set[str] = set()
    waiting, found = [view.removeprefix("raw.")], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in DATASETS:
            found.add(name)
        words = set(re.findall(r"\w+", re.sub(r"--.*", "", texts.get(name, ""))))
        waiting += [word for word in words if word in texts or word in DATASETS]
    return found
