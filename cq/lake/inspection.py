"""Checks run over what they can find something in, and over nothing else.

The view of a check is its definition. Where its header says what to suspect, the same view is asked
over the suspect blocks alone: in a connection of its own, `raw.ohlcv` holds the bars of these and
what the check needs around them, and only what is found inside them counts.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
import polars as pl

from cq.errors import ConfigError
from cq.lake.catalog import NO_LOOPS
from cq.lake.datasets import OHLCV
from cq.lake.lake import Lake
from cq.lake.parquet import ROW_GROUP
from cq.lake.raw import raw
from cq.lake.statements import first_line
from cq.lake.stillness import still
from cq.lake.suspects import EVER, SERIES, Blocks, Suspicion, block_ns, blocks_of, suspected
from cq.lake.views import View, text
from cq.utils.calls import interruptible
from cq.utils.time import interval_ns

MEMORY = "1GB"
"""What DuckDB may hold of suspect bars before it puts them on disk."""
SMALL = 200_000
"""Bars up to which looking at all of them is quicker than holding the suspect ones apart."""
FEW = 0.4
"""The part of all bars up to which suspect ones are held apart."""
SPAN = (*SERIES, "from_ts", "to_ts")
FAR = 4 * ROW_GROUP
"""Suspect bars that lie further apart than so many bars are read apart."""
TORN = """
union all
select bars.* from raw.ohlcv as bars
asof join torn_blocks as torn
on bars.exchange = torn.exchange and bars.symbol = torn.symbol
and bars.interval = torn.interval and bars.ts >= torn.from_ts
where bars.ts < torn.to_ts
"""
SEEN = f"""
create or replace view raw.ohlcv as
select bars.* from memory.main.looked_at as bars
asof join memory.main.seen_spans as spans
on {" and ".join(f"bars.{name} = spans.{name}" for name in SERIES)} and bars.ts >= spans.from_ts
where bars.ts < spans.to_ts
union all
select * from memory.main.looked_at where ts is null
"""


@dataclass(frozen=True)
class Spans:
    """Ranges of time of series: those that count for a check, and those that it has to see."""

    counted: pl.DataFrame
    seen: pl.DataFrame
    bars: int
    """How many bars lie in those that it has to see."""


@dataclass
class Inspection:
    """The bars of a lake, passed over once, and what each check has to look at."""

    lake: Lake
    asked: str
    """The names of the views that are asked for."""
    everything: duckdb.DuckDBPyConnection
    variables: Mapping[str, Any]
    folder: str
    spans: Mapping[str, Spans]
    blocks: Sequence[Blocks]
    few: int
    """Suspect bars above which a check may as well look at all of them."""

    def place(self, check: str) -> duckdb.DuckDBPyConnection | None:
        """Where to ask the check's view; None where it can find nothing.

        Only what it finds within `counted_spans` there counts, if that is not `everything`.
        """
        spans = self.spans.get(check)
        if spans is not None and spans.counted.is_empty():
            return None
        if spans is None or spans.bars > self.few:
            return self.everything
        _put(self._suspect, "seen_spans", spans.seen)
        _put(self._suspect, "counted_spans", spans.counted)
        return self._suspect

    @cached_property
    def _suspect(self) -> duckdb.DuckDBPyConnection:
        """The views over the suspect bars alone."""
        connection = duckdb.connect(
            ":memory:", config={"memory_limit": MEMORY, "temp_directory": self.folder}
        )
        interruptible(connection)
        connection.execute("set timezone='UTC'")
        connection.execute(f"set {NO_LOOPS}")
        connection.execute("set preserve_insertion_order=false")
        for statement in self.lake.views.statements(self.asked):
            connection.execute(statement)
        _set(connection, self.variables)
        seen = [one.seen for one in self.spans.values() if one.bars <= self.few]
        timeless = any(len(one.strange) for one in self.blocks)
        _look(self.lake, connection, merged(pl.concat(seen)), timeless=timeless)
        return connection

    def close(self) -> None:
        """Let go of the suspect bars."""
        if "_suspect" in self.__dict__:
            self._suspect.close()


@contextmanager
def inspection(
    lake: Lake,
    views: Sequence[View],
    symbols: Sequence[str],
    since: int | None,
    variables: Mapping[str, Any],
    small: int = SMALL,
    *,
    reads_rows: bool = True,
    besides: Sequence[str] = (),
) -> Iterator[Inspection]:
    """Pass over the bars once, and hold the suspect ones for the checks among `views`.

    Where these read no rows, nothing does. `besides` names views that are asked for, too.
    """
    suspicions = [one for view in views if (one := Suspicion.of(view))]
    asked = " ".join(["stg_ohlcv", *(view.name for view in views), *besides])
    everything = lake.views.cursor(asked)
    before = everything.execute("select current_setting('memory_limit')").fetchall()[0][0]
    with tempfile.TemporaryDirectory(prefix="cq-quality-") as folder:
        everything.execute("set memory_limit = ?", [MEMORY])
        _set(everything, variables)
        with still(lake.root):
            spans, blocks = (
                _passed(lake, everything, suspicions, symbols, since) if reads_rows else ({}, [])
            )
            _hold_gaps(lake, everything, views, None if symbols or since is not None else blocks)
        bars = sum(int(one.facts["bars"].sum()) for one in blocks)
        few = int(bars * FEW) if bars >= small else -1
        found = Inspection(lake, asked, everything, variables, folder, spans, blocks, few)
        try:
            yield found
        finally:
            found.close()
            everything.execute("set memory_limit = ?", [before])


def _hold_gaps(
    lake: Lake,
    cursor: duckdb.DuckDBPyConnection,
    views: Sequence[View],
    blocks: Sequence[Blocks] | None,
) -> None:
    """Class the gaps once for all checks that tell of them.

    A temporary table is of this cursor alone, and views see it in place of the view of its name.
    """
    every = {view.name: view for view in lake.views.views}
    if "gaps" not in every or not any(re.search(r"\bfrom gaps\b", view.text) for view in views):
        return
    try:
        if blocks is not None and "stg_spells" in every:
            _hold_spells(cursor, every["stg_spells"], blocks)
        cursor.execute("create temp table gaps as from memory.main.gaps")
    except duckdb.Error as error:
        problem = ConfigError(str(every["gaps"].path), first_line(error))
        raise lake.views.told(error, problem) from error


def _hold_spells(cursor: duckdb.DuckDBPyConnection, view: View, every: Sequence[Blocks]) -> None:
    """Which bars are neighbours: known of whole blocks, so the view is asked of others alone."""
    asked = re.sub(r"\braw\.ohlcv\b", "bars_to_place", view.text)
    asked = asked.replace("create or replace view stg_spells", "create temp view other_spells")
    if "bars_to_place" not in asked or "other_spells" not in asked:
        return
    torn = pl.concat([one.torn() for one in every]) if every else pl.DataFrame()
    cursor.execute("create temp table torn_blocks (exchange varchar, symbol varchar, "
                   "interval varchar, from_ts bigint, to_ts bigint)")  # fmt: skip
    if len(torn):
        cursor.register("rows_to_put", torn)
        cursor.execute("insert into torn_blocks from rows_to_put order by from_ts")
        cursor.unregister("rows_to_put")
    passed = ", ".join(text(one.interval) for one in every) or "''"
    few = f"from raw.ohlcv where interval not in ({passed})"
    cursor.execute(f"create temp view bars_to_place as {few}{TORN if len(torn) else ''}")
    cursor.execute(asked)
    cursor.execute("create temp table spells_found as from other_spells")
    for one in every:
        cursor.register("rows_to_put", one.whole_runs())
        cursor.execute("insert into spells_found by name from rows_to_put")
        cursor.unregister("rows_to_put")
    cursor.execute("create temp view stg_spells as from spells_found")


def _set(connection: duckdb.DuckDBPyConnection, variables: Mapping[str, Any]) -> None:
    for name, value in variables.items():
        connection.execute(f"set variable {name} = ?", [value])


def _passed(
    lake: Lake,
    cursor: duckdb.DuckDBPyConnection,
    suspicions: Sequence[Suspicion],
    symbols: Sequence[str],
    since: int | None,
) -> tuple[dict[str, Spans], list[Blocks]]:
    """The blocks of every interval of bars, and what each check has to look at."""
    stored = lake.stored().drop_nulls()
    wanted = stored.filter(pl.col("symbol").is_in(list(symbols))) if symbols else stored
    intervals = sorted(set(wanted["interval"]), key=interval_ns)
    few = [one for one in intervals if not block_ns(one)]
    always = wanted.filter(pl.col("interval").is_in(few)).select(
        *SERIES, from_ts=pl.lit(-EVER, pl.Int64), to_ts=pl.lit(EVER, pl.Int64)
    )
    try:
        every = [
            blocks_of(cursor, one, suspicions, wanted, since) for one in intervals if block_ns(one)
        ]
        found = {one.view.name: _spans(cursor, every, one, always) for one in suspicions}
    except duckdb.Error as error:
        raise lake.views.told(error, _unfit(cursor, suspicions, error)) from None
    return found, every


def _unfit(
    connection: duckdb.DuckDBPyConnection, suspicions: Sequence[Suspicion], error: duckdb.Error
) -> ConfigError:
    """The error of the check whose header is no SQL that fits."""
    for one in suspicions:
        try:
            blocks = blocks_of(
                connection, "1m", [one], pl.DataFrame(schema=dict.fromkeys(SERIES, pl.String))
            )
            suspected(connection, blocks, one)
        except duckdb.Error as mine:
            return ConfigError(str(one.view.path), f"its header cannot be used: {first_line(mine)}")
    return ConfigError("sql", first_line(error))


def _spans(
    connection: duckdb.DuckDBPyConnection,
    every: Sequence[Blocks],
    one: Suspicion,
    always: pl.DataFrame,
) -> Spans:
    """What counts for a check, and what it has to see."""
    counted, seen, bars = [always], [always], 0
    for blocks in every:
        reach = one.reach_ns(blocks.interval)
        mask = blocks.around(suspected(connection, blocks, one), reach)
        counted.append(blocks.spans(mask))
        sees = blocks.around(mask, reach)
        seen.append(blocks.spans(sees))
        bars += int(blocks.facts["bars"].to_numpy()[sees].sum())
    return Spans(pl.concat(counted), pl.concat(seen), bars)


def merged(spans: pl.DataFrame) -> pl.DataFrame:
    """The ranges with those that meet made one."""
    until = pl.col("to_ts").cum_max().shift(1).over(SERIES, order_by="from_ts")
    return (
        spans.unique()
        .sort(*SERIES, "from_ts")
        .with_columns(run=(pl.col("from_ts") > until).fill_null(value=True).cum_sum())
        .group_by(*SERIES, "run", maintain_order=True)
        .agg(pl.col("from_ts").min(), pl.col("to_ts").max())
        .select(*SPAN)
    )


def _look(
    lake: Lake, connection: duckdb.DuckDBPyConnection, spans: pl.DataFrame, *, timeless: bool
) -> None:
    """Hold the bars in these ranges; from now on `raw.ohlcv` shows only what a check has to see."""
    connection.execute("create temp table looked_at as from raw.ohlcv limit 0")
    _put(connection, "spans_to_read", spans)
    layout = lake.layouts[OHLCV.name]
    for (exchange, symbol, interval), group in spans.group_by(*SERIES, maintain_order=True):
        owner = {"exchange": exchange, "symbol": symbol, "interval": interval}
        for start, end in clusters(group, FAR * interval_ns(interval)):
            paths = layout.paths(
                lake.root,
                {name: value for name, value in owner.items() if name in layout.fields},
                None if start == -EVER else start,
                None if end == EVER else end,
            )
            if paths:
                connection.execute(
                    f"insert into looked_at select bars.* from "
                    f"({raw(lake.root, OHLCV, layout, paths)}) as bars "
                    "asof join spans_to_read as spans on bars.exchange = spans.exchange "
                    "and bars.symbol = spans.symbol and bars.interval = spans.interval "
                    "and bars.ts >= spans.from_ts "
                    "where bars.exchange = $exchange and bars.symbol = $symbol "
                    "and bars.interval = $interval and bars.ts < spans.to_ts "
                    "and bars.ts >= $start and bars.ts < $end",
                    {**owner, "start": start, "end": end},
                )
    if timeless:
        connection.execute("insert into looked_at from raw.ohlcv where ts is null")
    for name in ("seen_spans", "counted_spans"):
        _put(connection, name, spans.clear())
    connection.execute(SEEN.replace("memory.main.", ""))


def clusters(spans: pl.DataFrame, far: int) -> Iterator[tuple[int, int]]:
    """Ranges that hold all of `spans` (in order) and no stretch longer than `far` between two."""
    start, end = None, -EVER
    for from_ts, to_ts in spans.select("from_ts", "to_ts").iter_rows():
        if start is None:
            start = from_ts
        elif from_ts - end > far:
            yield start, end
            start = from_ts
        end = max(end, to_ts)
    if start is not None:
        yield start, end


def _put(connection: duckdb.DuckDBPyConnection, name: str, rows: pl.DataFrame) -> None:
    connection.register("rows_to_put", rows)
    connection.execute(f"create or replace temp table {name} as from rows_to_put")
    connection.unregister("rows_to_put")
