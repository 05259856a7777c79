"""Where a check can find anything at all, told by one pass over the bars.

A check of bars may say in its header what a block of bars has to look like for an offender to lie
in it. Then it runs over those blocks alone, and answers what its view answers over everything:

    -- fact: high_max = max(high)           an aggregate of a block, by name
    -- suspect: high_max > 2 * low_min      true where an offender may be; `before_NAME` is the
                                            fact of the block before
    -- reach: 2 hours                       how far around a block the check has to look

A block is an hour of bars shorter than 15 minutes and a day of others; bars of a day and longer
are few, so that every check looks at all of them. Known of each block besides: `bars`, `whole` (a
bar at each opening, once), `hole` (blocks missing before it), `newest` (none after it), `echo` (one
of the twelve blocks before it has the same greatest volume and close), `shift` (its week's volume a
bar over the week before's), `end_ts`, `block_ns`, `step_ns`.

An offender (its `ts`) lies in a block that is suspect, in the hole before one, or within `reach` of
one; what it is depends on bars within `reach` of it, and on the next block with a bar either side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from cq.errors import ConfigError
from cq.lake.views import View, quoted
from cq.utils.time import DAY, HOUR, MINUTE, interval_ns

SERIES = ("exchange", "symbol", "interval")
EVER = 2**63 - 1
FIELD = 2**40
"""How many blocks a series can have."""
LEAD = 35 * DAY
"""How much earlier than asked for the pass begins: what is told of a block needs two weeks."""
UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY}
Mask = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Suspicion:
    """What a check's header says of where its offenders can lie."""

    view: View
    facts: Mapping[str, str]
    suspect: str
    reach: tuple[int, str] = (0, "hour")

    @classmethod
    def of(cls, view: View) -> Suspicion | None:
        """What the header says; None where it does not, so that the check looks everywhere."""
        said = re.findall(r"^-- (fact|suspect|reach): *(.+?) *$", view.text, re.MULTILINE)
        suspects = [value for key, value in said if key == "suspect"]
        if not suspects:
            return None
        facts: dict[str, str] = {}
        for value in (value for key, value in said if key == "fact"):
            name, equals, aggregate = value.partition("=")
            if not equals or not name.strip().isidentifier():
                raise ConfigError(str(view.path), f"fact {value!r}; expected NAME = AGGREGATE")
            facts[name.strip()] = aggregate.strip()
        return cls(
            view,
            facts,
            " or ".join(f"({one})" for one in suspects),
            _reach(view, dict(said).get("reach", "0 hours")),
        )

    def reach_ns(self, interval: str) -> int:
        """How far around a block of such bars the check has to look."""
        count, unit = self.reach
        return count * (interval_ns(interval) if unit == "bar" else UNITS[unit])


def _reach(view: View, said: str) -> tuple[int, str]:
    found = re.fullmatch(r"(\d+) (bar|minute|hour|day)s?", said)
    if not found:
        raise ConfigError(str(view.path), f"reach {said!r}; expected such as 100 bars or 2 hours")
    return int(found[1]), found[2]


def block_ns(interval: str) -> int | None:
    """How long a block of bars of this length is; None where all bars are looked at."""
    step = interval_ns(interval)
    if interval == "1M" or step >= DAY:
        return None
    return HOUR if step < 15 * MINUTE else DAY


@dataclass
class Blocks:
    """Every block of bars of one interval, by series and time, with the facts of each."""

    interval: str
    length: int
    facts: pl.DataFrame
    strange: pl.DataFrame = field(default_factory=pl.DataFrame)
    """exchange and symbol of series with a bar that has no ts."""
    before: pl.DataFrame | None = None
    """Where not all history was passed over: exchange, symbol and the newest ts before it."""

    @cached_property
    def starts(self) -> Whole:
        """When each block begins."""
        return self.facts["block"].to_numpy() * self.length

    @cached_property
    def series(self) -> Whole:
        """The number of each block's series."""
        return self.facts["series"].to_numpy().astype(np.int64)

    @cached_property
    def _edges(self) -> tuple[Whole, Whole]:
        """The first position of each block's series, and the one after its last."""
        return (
            np.searchsorted(self.series, self.series, "left"),
            np.searchsorted(self.series, self.series, "right"),
        )

    def around(self, mask: Mask, reach_ns: int) -> Mask:
        """The blocks within reach of those in `mask`, and the next one either side of these."""
        hits = np.flatnonzero(mask)
        if not len(hits):
            return mask
        far = -(-reach_ns // self.length)
        blocks = self.facts["block"].to_numpy()
        low = int(blocks.min()) - far
        width = int(blocks.max()) - low + 2 * far + 2
        keys = self.series * width + (blocks - low)
        first, end = self._edges
        begin = np.searchsorted(keys, keys[hits] - far, "left") - 1
        until = np.searchsorted(keys, keys[hits] + far, "right") + 1
        begin, until = np.maximum(begin, first[hits]), np.minimum(until, end[hits])
        change = np.zeros(len(mask) + 1, np.int64)
        np.add.at(change, begin, 1)
        np.add.at(change, until, -1)
        return np.cumsum(change[:-1]) > 0

    @cached_property
    def _begin(self) -> Whole:
        """Where the first block of each block's series begins: at the bar before it, or ever."""
        if self.before is None:
            return np.full(self.facts.height, -EVER, np.int64)
        joined = self.facts.select("exchange", "symbol").join(
            self.before, on=["exchange", "symbol"], how="left", maintain_order="left"
        )
        return joined["ts"].fill_null(-EVER).to_numpy()

    def spans(self, mask: Mask) -> pl.DataFrame:
        """Ranges of time of the blocks in `mask`: neighbours joined, holes before them included.

        A series' first block begins at the bar before it, its last one never ends.
        """
        first, end = self._edges
        position = np.arange(len(mask))
        starts = np.where(position == first, self._begin, np.roll(self.starts, 1) + self.length)
        ends = np.where(position == end - 1, EVER, self.starts + self.length)
        hits = np.flatnonzero(mask)
        new = np.ones(len(hits), np.bool_)
        new[1:] = (np.diff(hits) != 1) | (np.diff(self.series[hits]) != 0)
        begins = np.flatnonzero(new)
        lasts = np.append(begins[1:], len(hits)) - 1 if len(hits) else begins
        owners: pl.DataFrame = self.facts.select("exchange", "symbol")[hits[begins].tolist()]
        return owners.select(
            "exchange",
            "symbol",
            interval=pl.lit(self.interval),
            from_ts=pl.Series(starts[hits[begins]], dtype=pl.Int64),
            to_ts=pl.Series(ends[hits[lasts]], dtype=pl.Int64),
        )

    def whole_runs(self) -> pl.DataFrame:
        """Runs of whole blocks as stretches of neighbouring bars, as `stg_spells` has them."""
        facts = self.facts.filter("whole")
        step = pl.col("step_ns").cast(pl.Int64)
        follows = (pl.col("series").diff() == 0) & (pl.col("block").diff() == 1)
        runs = facts.with_columns(run=(~follows.fill_null(value=False)).cum_sum())
        return runs.group_by("run", "exchange", "symbol", maintain_order=True).agg(
            interval=pl.lit(self.interval),
            step_ns=step.first(),
            phase_ns=pl.lit(0, pl.Int64),
            from_slot=pl.col("block").min() * self.length // step.first(),
            to_slot=(pl.col("block").max() + 1) * self.length // step.first(),
        ).drop("run")  # fmt: skip

    def torn(self) -> pl.DataFrame:
        """exchange, symbol, interval and span of the blocks that are not whole."""
        begins = pl.col("block") * self.length
        return self.facts.filter(~pl.col("whole")).select(
            "exchange",
            "symbol",
            interval=pl.lit(self.interval),
            from_ts=begins,
            to_ts=begins + self.length,
        )


def blocks_of(
    cursor: duckdb.DuckDBPyConnection,
    interval: str,
    suspicions: Iterable[Suspicion],
    stored: pl.DataFrame,
    since: int | None = None,
) -> Blocks:
    """One pass over the bars of an interval, of the series in `stored`: the facts of each block."""
    length, step = block_ns(interval), interval_ns(interval)
    assert length is not None
    owners = stored.filter(pl.col("interval") == interval).select("exchange", "symbol").unique()
    where, before = "interval = $interval and symbol in (select unnest($symbols::varchar[]))", None
    params: dict[str, Any] = {"interval": interval, "symbols": sorted(set(owners["symbol"]))}
    if since is not None:
        params["since"] = since // DAY * DAY - LEAD
        before = cursor.sql(
            f"select exchange, symbol, max(ts) as ts from stg_ohlcv where {where} and ts < $since "
            "group by exchange, symbol",
            params=params,
        ).pl()
        where += " and (ts is null or ts >= $since)"
    facts = dict.fromkeys(sql for one in suspicions for sql in one.facts.values())
    found = _passed(cursor, length, facts, where, params, owners)
    if found["key"].null_count():  # a bar without ts, or a series that no folder's name tells of
        owners = cursor.sql(
            f"select distinct exchange, symbol from stg_ohlcv where {where}", params=params
        ).pl()
        found = _passed(cursor, length, facts, where, params, owners)
    timeless = cursor.sql(
        f"select distinct exchange, symbol from stg_ohlcv where {where} and ts is null",
        params=params,
    ).pl() if found["key"].null_count() else owners.clear()  # fmt: skip
    expected = cursor.execute(
        f"select bit_xor(hash(i * {step})) from range({length // step}) as t(i)"
    ).fetchall()[0][0]
    return Blocks(interval, length, _known(found, owners, length, step, expected), timeless, before)


def _passed(
    cursor: duckdb.DuckDBPyConnection,
    length: int,
    facts: Iterable[str],
    where: str,
    params: Mapping[str, Any],
    owners: pl.DataFrame,
) -> pl.DataFrame:
    """The pass itself; `key` is one whole number for series and block, cheaper than three texts."""
    named = [f"{exchange} {symbol}" for exchange, symbol in owners.rows()]
    own = "".join(f", {sql} as {quoted(sql)}" for sql in facts)
    rows: pl.DataFrame = cursor.sql(
        f"select list_position($owners, exchange || ' ' || symbol) * {FIELD} + ts // {length} "
        f"as key, count(*) as bars, bit_xor(hash(ts - ts // {length} * {length})) as slots, "
        f"max(volume) as volume_most, max(close) as close_most, sum(volume) as volume_sum{own} "
        f"from stg_ohlcv where {where} group by key",
        params={**params, "owners": named},
    ).pl()
    return rows


def _known(
    found: pl.DataFrame, owners: pl.DataFrame, length: int, step: int, expected: int
) -> pl.DataFrame:
    """The blocks in order, with what follows for each from its neighbours."""
    names = owners.with_row_index("series", 1).cast({"series": pl.Int64})
    blocks = (
        found.drop_nulls("key")
        .sort("key")
        .with_columns(series=pl.col("key") // FIELD, block=pl.col("key") % FIELD)
        .join(names, on="series", how="left", maintain_order="left")
        .with_columns(
            first=pl.col("series").diff().fill_null(1) != 0,
            whole=(pl.col("bars") == length // step)
            & (pl.col("slots") == expected)
            & (length % step == 0),
        )
    )
    alike = ("volume_most", "close_most", "series")
    echo = [
        pl.all_horizontal(pl.col(name) == pl.col(name).shift(by) for name in alike)
        for by in range(1, 13)
    ]
    return blocks.with_columns(
        hole=pl.when("first").then(0).otherwise(pl.col("block").diff() - 1),
        newest=pl.col("first").shift(-1, fill_value=True),
        echo=pl.any_horizontal(one.fill_null(value=False) for one in echo),
        shift=_shift(blocks, length),
        end_ts=(pl.col("block") + 1) * length,
        block_ns=pl.lit(length),
        step_ns=pl.lit(step),
    )


def _shift(blocks: pl.DataFrame, length: int) -> pl.Series:
    """For each block: the volume a bar of its week over that of the week before; 1 at first.

    A week's is the median of its days', a day's the mean of its bars'. NaN where that is not known.
    """
    if not blocks["volume_sum"].fill_null(0.0).is_finite().all():
        return pl.Series([float("nan")]).new_from_index(0, blocks.height)
    when = pl.col("block") * length // DAY
    blocks = blocks.with_columns(day=when, week=(when - 4) // 7)
    days = blocks.group_by("series", "week", "day").agg(
        mean=pl.col("volume_sum").sum() / pl.col("bars").sum()
    )
    weeks = days.group_by("series", "week").agg(pl.col("mean").median()).sort("series", "week")
    before = pl.col("mean").shift(1)
    follows = (pl.col("series") == pl.col("series").shift(1)) & (before > 0) & (pl.col("mean") > 0)
    ratio = pl.when(follows).then(pl.col("mean") / before).otherwise(1.0)
    weeks = weeks.select("series", "week", ratio=ratio)
    joined = blocks.join(weeks, on=["series", "week"], how="left", maintain_order="left")
    return joined["ratio"]


def suspected(cursor: duckdb.DuckDBPyConnection, blocks: Blocks, one: Suspicion) -> Mask:
    """Which blocks an offender of the check may lie in."""
    names = {name: pl.col(sql) for name, sql in one.facts.items()}
    before = [pl.when(~pl.col("first")).then(pl.col(sql).shift(1)) for sql in one.facts.values()]
    builtin = ("bars", "whole", "hole", "newest", "echo", "shift", "end_ts", "block_ns", "step_ns")
    table = blocks.facts.select(
        *builtin,
        **names,
        **{f"before_{name}": expr for name, expr in zip(names, before, strict=True)},
    )
    cursor.register("suspect_blocks", table)
    try:
        # what is undecided is suspect
        found = cursor.execute(
            f"select coalesce(({one.suspect}), true) as found from suspect_blocks"
        ).fetchnumpy()["found"]
    finally:
        cursor.unregister("suspect_blocks")
    mask: Mask = np.asarray(found, np.bool_)
    if blocks.before is not None:
        mask = mask | blocks.facts["first"].to_numpy()
    if not blocks.strange.is_empty():
        odd = blocks.facts.join(
            blocks.strange.with_columns(odd=True), on=["exchange", "symbol"], how="left",
            maintain_order="left",
        )["odd"]  # fmt: skip
        mask = mask | odd.fill_null(value=False).to_numpy()
    return mask
