"""Other people's time stamps, turned into nanoseconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from cq.utils.time import DAY, HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND

Unit = Literal["auto", "s", "ms", "us", "ns", "yyyymmdd"]

UNITS: Final = {"s": SECOND, "ms": MILLISECOND, "us": MICROSECOND, "ns": 1}
SHOWN: Final = {"s": "s", "ms": "ms", "us": "µs", "ns": "ns"}
GENESIS: Final = 1_230_940_800 * SECOND  # 2009-01-03: nothing in this field is older

SINCE: Final = "ts_not_before_2009"  # the rule that says so

_ZONED: Final = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")
_NAIVE: Final = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%Y-%m-%dT%I:%M %p",
    "%Y-%m-%dT%I:%M:%S %p",
    "%Y%m%dT%H:%M:%S%.f",
    "%Y%m%dT%H:%M",
)


@dataclass(frozen=True)
class Stamp:
    """How a column says time.

    `unit` is of numbers (auto: by magnitude, row by row), `pattern` of text (None: ISO and its
    relatives, year first), `timezone` of text without a zone (None: as the import says), `day_ns`
    is added to every stamp (numbers that count from midnight).
    """

    unit: Unit = "auto"
    pattern: str | None = None
    timezone: str | None = None
    day_ns: int = 0


@dataclass(frozen=True)
class Stamps:
    """The stamps of a file: `ts` (null where unreadable), and what was understood, in words.

    A moment that int64 nanoseconds cannot hold (after 2262) is unreadable, however it is written.
    """

    ts: pl.Series
    said: str


def nanoseconds(column: pl.Series, stamp: Stamp, timezone: str = "UTC") -> Stamps:
    """`column` as int64 nanoseconds UTC, and how it was read."""
    zone = stamp.timezone or timezone
    if column.dtype in (pl.Datetime, pl.Date):
        return _from_datetime(column, zone)
    if column.dtype.is_numeric():
        return _from_numbers(column, stamp)
    text = column.cast(pl.String).str.strip_chars()
    text = text.set(text == "", None)
    if stamp.pattern is None:
        numbers = text.cast(pl.Decimal(38, 9), strict=False)
        if stamp.unit != "auto" or 0 < text.count() <= 2 * numbers.count():
            return _from_numbers(numbers, stamp)
    return _from_text(text, stamp.pattern, zone)


def _from_datetime(column: pl.Series, zone: str) -> Stamps:
    naive = column.dtype == pl.Date or getattr(column.dtype, "time_zone", None) is None
    moments = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
    if naive:
        moments = _in_zone(moments, zone)
    return Stamps(moments.dt.epoch("ns").alias("ts"), f"datetimes{f' in {zone}' if naive else ''}")


def _from_numbers(numbers: pl.Series, stamp: Stamp) -> Stamps:
    if stamp.unit == "yyyymmdd" or (stamp.unit == "auto" and _are_days(numbers)):
        days = numbers.cast(pl.Int64, strict=False).cast(pl.String)
        moments = days.str.to_datetime("%Y%m%d", strict=False, time_unit="us")
        return Stamps(moments.dt.epoch("ns").alias("ts"), "days as YYYYMMDD")
    if stamp.unit != "auto":
        ts = _times(numbers, UNITS[stamp.unit]) + stamp.day_ns
        return Stamps(ts.alias("ts"), f"epoch {SHOWN[stamp.unit]}")
    whole = numbers.cast(pl.Int64, strict=False)
    ends = _unit_of(pl.Series([whole.min(), whole.max()], dtype=pl.Int64)).to_list()
    if ends[0] == ends[1]:
        said = ends[0] or "s"
        return Stamps(_times(numbers, UNITS[said]).alias("ts"), f"epoch {SHOWN[said]}")
    unit = _unit_of(whole)
    counts = dict(unit.drop_nulls().value_counts().iter_rows())
    ts = pl.Series("ts", [None] * len(numbers), pl.Int64)
    for name in counts:
        ts = _times(numbers, UNITS[name]).zip_with((unit == name).fill_null(False), ts)
    rows = " and ".join(
        f"{SHOWN[name]} ({counts[name]:,} rows)" for name in UNITS if name in counts
    )
    return Stamps(ts.alias("ts"), f"epoch {rows}")


def _unit_of(whole: pl.Series) -> pl.Series:
    size = pl.col("n").abs()
    return (
        pl.DataFrame({"n": whole})
        .select(
            pl.when(size < 10**11)
            .then(pl.lit("s"))
            .when(size < 10**14)
            .then(pl.lit("ms"))
            .when(size < 10**17)
            .then(pl.lit("us"))
            .when(size.is_not_null())
            .then(pl.lit("ns"))
        )
        .to_series()
    )


def _are_days(numbers: pl.Series) -> bool:
    """At least half of `numbers` are days of 1990 to 2099, which no epoch number would be."""
    whole = numbers.cast(pl.Int64, strict=False)
    likely = whole.filter(whole.is_between(19_900_000, 21_000_000))
    if likely.is_empty() or 2 * len(likely) < numbers.count():
        return False
    days = likely.cast(pl.String).str.to_datetime("%Y%m%d", strict=False, time_unit="us")
    return days.null_count() == 0


def _times(numbers: pl.Series, factor: int) -> pl.Series:
    """`numbers` × `factor` in integers; a fraction of a unit keeps its nanoseconds."""
    if numbers.dtype.is_integer():
        whole = numbers.cast(pl.Int64, strict=False)
        ts = whole * factor
    else:
        whole = numbers.floor().cast(pl.Int64, strict=False)
        rest = (numbers - numbers.floor()).cast(pl.Float64) * factor
        ts = whole * factor + rest.round().cast(pl.Int64, strict=False)
    most = (2**63 - 1) // factor
    in_range = whole.is_between(-most, most).fill_null(value=False)
    return ts if in_range.all() else ts.zip_with(in_range, pl.Series([None], dtype=pl.Int64))


def _from_text(text: pl.Series, pattern: str | None, zone: str) -> Stamps:
    if pattern is not None:
        zoned = "%z" in pattern or "%#z" in pattern
        moments = _parsed(text, pattern, zone, zoned)
        return Stamps(moments.alias("ts"), f"text as {pattern}{'' if zoned else f' in {zone}'}")
    if (quick := _in_one_form(text, zone)) is not None:
        return quick
    text = (
        text.str.replace(r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", "$1-$2-$3")
        .str.replace(r"^(\d{4}-\d\d-\d\d|\d{8}) ", "${1}T")
        .str.replace(r"T(\d\d)-([AP]M)$", "T$1:00 $2")
        .str.replace(r" ?(UTC|Z|z)$", "+00:00")
        .str.replace(r" ([+-]\d\d:?\d\d)$", "$1")
    )
    ts, zones = pl.Series([None] * len(text), dtype=pl.Int64), set()
    for form in (*_ZONED, *_NAIVE):
        left = text.zip_with(ts.is_null(), pl.Series([None], dtype=pl.String))
        if left.null_count() == len(left):
            break
        found = _parsed(left, form, zone, form in _ZONED)
        if found.count():
            zones.add("UTC offsets" if form in _ZONED else zone)
            ts = ts.fill_null(found) if ts.count() else found
    return Stamps(ts.alias("ts"), f"ISO text in {' and '.join(sorted(zones)) or zone}")


def _in_one_form(text: pl.Series, zone: str) -> Stamps | None:
    """Stamps that are all in the usual form of the first one, without a detour; else None."""
    first = text.drop_nulls().head(1)
    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d"):
        if len(first) and first.str.to_datetime(form, strict=False).count():
            ts = _parsed(text, form, zone, zoned=False)
            whole = ts.null_count() == text.null_count()
            return Stamps(ts.alias("ts"), f"ISO text in {zone}") if whole else None
    return None


def _parsed(text: pl.Series, form: str, zone: str, zoned: bool) -> pl.Series:
    """Nanoseconds of text; read as microseconds, which hold every year: nanoseconds would wrap."""
    moments = text.str.to_datetime(form, strict=False, time_unit="us")
    ts = (moments if zoned else _instants(moments, form, zone)).dt.epoch("ns")
    if "f" in form and text.str.contains(r"\d{7}").any():
        finer = text.str.to_datetime(form, strict=False, time_unit="ns")
        ts = ts + finer.dt.epoch("ns") % MICROSECOND
    return ts


def _instants(moments: pl.Series, form: str, zone: str) -> pl.Series:
    instants = _in_zone(moments, zone)
    if "%H" not in form and "%I" not in form and instants.null_count() > moments.null_count():
        # a day whose midnight the clock skipped (summer time in Brazil) starts an hour later
        instants = instants.fill_null(_in_zone(moments.dt.offset_by("1h"), zone))
    return instants


def _in_zone(moments: pl.Series, zone: str) -> pl.Series:
    """Local moments as instants; one that the clock skipped or showed twice is null."""
    if zone == "UTC":
        return moments.dt.replace_time_zone("UTC")
    return moments.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")


_NAMED: Final = {MINUTE: "m", HOUR: "h", DAY: "d"}


def interval_of_step(step_ns: int) -> str | None:
    """The name of a bar length in nanoseconds: `1m`, `4h`, `1d`, `1w`, `1M`; None for odd ones."""
    if 28 * DAY <= step_ns <= 31 * DAY:
        return "1M"
    if step_ns == 7 * DAY:
        return "1w"
    for unit in (DAY, HOUR, MINUTE):
        if step_ns >= unit and step_ns % unit == 0:
            return f"{step_ns // unit}{_NAMED[unit]}"
    return None


def most_common_step(bars: pl.DataFrame) -> int | None:
    """The most common distance between neighbouring stamps of one market; None below two bars."""
    keys = [name for name in ("exchange", "symbol") if name in bars.columns]
    ordered = bars.select(*keys, "ts").drop_nulls("ts").sort(*keys, "ts")
    same = pl.all_horizontal(pl.col(key) == pl.col(key).shift() for key in keys) if keys else True
    steps = ordered.select(step=pl.when(same).then(pl.col("ts").diff())).to_series().drop_nulls()
    steps = steps.filter(steps > 0)
    if steps.is_empty():
        return None
    counted = steps.value_counts(sort=True)
    most = counted.filter(pl.col("count") == counted["count"].max())["step"].min()
    return int(str(most))
