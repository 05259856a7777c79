"""SQL that follows from where things lie: the schema `raw`, typed globs over the files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import polars as pl

from cq.errors import LakeUnwritable
from cq.lake.datasets import DATASETS, LEVELS, OHLCV, Dataset
from cq.lake.layout import Layout
from cq.lake.template import OWNERS, TIMES
from cq.lake.views import escaped, quoted, text
from cq.lake.walk import ANCHOR_FILE

SQL_TYPES: dict[pl.DataType, str] = {
    pl.Int64(): "bigint",
    pl.Float64(): "double",
    pl.String(): "varchar",
    pl.List(pl.String): "varchar[]",
    LEVELS: "struct(price double, size double)[]",
}
EQUITY: dict[str, pl.DataType] = {
    "ts": pl.Int64(), "equity": pl.Float64(), "cash": pl.Float64(), "exposure": pl.Float64(),
}  # fmt: skip
FIGURES = (
    *("total_return", "buy_and_hold", "annualized_return", "sharpe", "max_dd", "hit_rate"),
    *("payoff", "turnover", "trades", "round_trips", "fees", "slippage", "exposure"),
)
"""What is kept of each trial of a sweep."""
COUNTS = ("trial", "first_ts", "last_ts", "rows", "trades", "round_trips")
TRIALS: dict[str, pl.DataType] = {
    **dict.fromkeys(("started", "strategy", "interval"), pl.String()),
    "symbols": pl.List(pl.String),
    **{
        name: pl.Int64() if name in COUNTS else pl.Float64()
        for name in ("trial", "first_ts", "last_ts", "rows", *FIGURES, "cash")
    },
    "config": pl.String(),
}
"""One row a trial: what a sweep keeps in its `trials.parquet`."""
PLACES: dict[str, dict[str, str]] = {
    "series": {**dict.fromkeys(OWNERS, "varchar"), "year": "integer"},
    "files": {
        **dict.fromkeys(("dataset", "path", "file", *OWNERS), "varchar"),
        **dict.fromkeys(("rows", "bytes", "first_ts", "last_ts"), "bigint"),
    },
    "file_words": dict.fromkeys(("path", "key", "value"), "varchar"),
    "runs": dict.fromkeys(("run", "file", "content"), "varchar"),
    "equity": {"run": "varchar", **{name: SQL_TYPES[kind] for name, kind in EQUITY.items()}},
    "trials": {"run": "varchar", **{name: SQL_TYPES[kind] for name, kind in TRIALS.items()}},
}
"""Columns of the views that say what lies where."""
RUN_FILES = ("config.json", "metrics.json", "run.json", "trades.csv")
ANCHORS: dict[str, dict[str, pl.DataType]] = {
    ".anchor/equity.parquet": EQUITY, ".anchor/trials.parquet": TRIALS,
}  # fmt: skip
"""Below the folder of runs: empty files that let views over the runs' Parquet files bind."""


def stubs(root: Path, layouts: Mapping[str, Layout]) -> Iterator[str]:
    """Empty views of the schema `raw` with the columns of the true ones.

    Other views are made upon these, since each would list and open files to be made upon the true
    ones; those take the stubs' places afterwards.
    """
    yield "create schema if not exists raw"
    kinds = {name: kinds_of(DATASETS[name], layout) for name, layout in layouts.items()}
    for name, columns in {**kinds, "newest": kinds[OHLCV.name], **PLACES}.items():
        yield f"create or replace view raw.{name} as {_nothing(columns)}"
    yield from _of_one(bars_by_path(root, layouts[OHLCV.name]))


def raw_views(root: Path, layouts: Mapping[str, Layout], runs: Path) -> Iterator[str]:
    """Statements for the schema `raw`: each dataset as its files hold it, and what lies where."""
    for name, layout in layouts.items():
        grain = f"One row per row of {name} as its files hold it."
        yield from _made(name, raw(root, DATASETS[name], layout), grain)
    bars = layouts[OHLCV.name]
    yield from _made("series", series(root, bars), "One row per stored series of bars.")
    grain = "One row per bar of the years that the newest bar of any series may lie in."
    yield from _made("newest", newest(root, bars), grain)
    bound = {name: one for name, one in layouts.items() if is_bound(root, one)}
    yield from _made("files", files(root, bound), "One row per Parquet file of the lake.")
    grain = "One row per note that cq left inside a Parquet file."
    yield from _made("file_words", file_words(root, bound), grain)
    yield from _made("runs", run_files(runs), "One row per text file of a run, with its content.")
    grain = "One row per run and bar: what the account was worth."
    yield from _made("equity", of_runs(runs, "equity", EQUITY), grain)
    yield from _made("trials", of_runs(runs, "trials", TRIALS), "One row per trial of a sweep.")


def _made(name: str, query: str, grain: str) -> Iterator[str]:
    yield f"create or replace view raw.{name} as {query}"
    yield f"comment on view raw.{name} is {text(grain)}"


def _of_one(rows: str) -> Iterator[str]:
    yield f"create or replace macro raw.ohlcv_of(of_symbol, of_interval) as table {rows}"
    grain = text("One row per stored bar of one symbol and interval, found by its path.")
    yield f"comment on macro table raw.ohlcv_of is {grain}"


def kinds_of(contract: Dataset, layout: Layout) -> dict[str, str]:
    """The columns of a dataset and of its calendar folders, with their types in SQL."""
    known = {name: SQL_TYPES[kind] for name, kind in contract.schema.items()}
    hive = {} if contract.free_form else layout.hive
    return known | {name: _hive_type(field) for name, field in hive.items() if name not in known}


def raw(root: Path, contract: Dataset, layout: Layout, paths: Sequence[str] = ()) -> str:
    """The typed rows of one dataset, or of these files; none where there is no file to bind to."""
    kinds = kinds_of(contract, layout)
    if not (paths or is_bound(root, layout)):
        return _nothing(kinds)
    hive = {} if contract.free_form else layout.hive
    names = ", ".join(quoted(name) for name in kinds)
    place = text(_glob(root, layout))
    if paths:
        place = f"[{', '.join(text(escaped(path)) for path in paths)}]"
    return f"select {names} from read_parquet({place}, {_options(hive)})"


def glob_of(root: Path, layout: Layout) -> str:
    """The glob over the files of a dataset, as a string in SQL."""
    return text(_glob(root, layout))


def _glob(root: Path, layout: Layout) -> str:
    levels = [re.sub(r"\{\w+\}", "*", level) for level in layout.folders]
    return "/".join([escaped(str(root)), *levels, "*.parquet"])


def _options(hive: Mapping[str, str]) -> str:
    types = ", ".join(f"{quoted(c)}: {_hive_type(field)}" for c, field in hive.items())
    return f"hive_partitioning=true, hive_types={{{types}}}" if hive else "hive_partitioning=false"


def series(root: Path, layout: Layout) -> str:
    """Which bars are stored, and in which year's folder the newest lie where there are such.

    Read off the folders' names, or off the rows where those do not say it all.
    """
    folders = {field: column for column, field in layout.hive.items()}
    year = folders.get("YYYY")
    if not is_bound(root, layout) or not set(OWNERS) <= set(folders):
        names = ", ".join(f"stored.{name}" for name in OWNERS)  # a macro may have a `symbol`, too
        return f"select {names}, null::integer as year from raw.ohlcv as stored group by all"
    found = [f"{_named(folders[name])} as {name}" for name in OWNERS]
    found.append(f"max({_named(year)}::integer) as year" if year else "null::integer as year")
    return (
        f"select {', '.join(found)} from glob({text(_glob(root, layout))}) "
        f"where not suffix(file, '/{ANCHOR_FILE}') group by all"
    )


def _named(column: str) -> str:
    return f"regexp_extract(file, '/{column}=([^/]*)/', 1)"


def newest(root: Path, layout: Layout) -> str:
    """The bars of the years that the newest bar of any series may lie in."""
    year = next((column for column, field in layout.hive.items() if field == "YYYY"), None)
    rows = f"select * from raw.{layout.dataset}"
    if year is None or not is_bound(root, layout) or not set(OWNERS) <= set(layout.hive.values()):
        return rows
    return f"{rows} where {quoted(year)} >= (select min(year) from raw.series)"


def bars_by_path(root: Path, layout: Layout) -> str:
    """The bars of `of_symbol` and `of_interval`, by path where the folders are named for them."""
    columns = ", ".join(f"stored.{name}" for name in OHLCV.schema)
    wanted = "stored.symbol = of_symbol and stored.interval = of_interval"
    folders = {field: column for column, field in layout.hive.items()}
    if not is_bound(root, layout) or not {"symbol", "interval"} <= set(folders):
        return f"select {columns} from raw.ohlcv as stored where {wanted}"
    place = text(_glob(root, layout))
    for name in ("symbol", "interval"):
        place = place.replace(f"{folders[name]}=*/", f"{folders[name]}=' || of_{name} || '/")
    return f"select {columns} from read_parquet({place}, {_options(layout.hive)}) as stored"


def files(root: Path, bound: Mapping[str, Layout]) -> str:
    """What the footers of the lake's files say."""
    if not bound:
        return _nothing(PLACES["files"])
    return " union all ".join(_files_of(root, name, layout) for name, layout in bound.items())


def _files_of(root: Path, name: str, layout: Layout) -> str:
    contract = DATASETS[name]
    time = text("ts" if "ts" in contract.schema else contract.time)
    glob = text(_glob(root, layout))
    named = ", ".join(text(one) for one in OWNERS)
    low, high = (f"try_cast(stats_{end}_value as bigint)" for end in ("min", "max"))
    owners = ", ".join(
        f"case when min(stats_min_value) filter (path_in_schema = {text(one)}) "
        f"= max(stats_max_value) filter (path_in_schema = {text(one)}) "
        f"then min(stats_min_value) filter (path_in_schema = {text(one)}) end as {one}"
        for one in OWNERS
    )
    return (
        f"select {text(name)} as dataset, file_name as path, "
        f"substr(file_name, {len(str(root)) + 2}) as file, {owners}, "
        "any_value(num_rows) as rows, any_value(file_size_bytes) as bytes, "
        "min(first_ts) as first_ts, max(last_ts) as last_ts "
        f"from parquet_file_metadata({glob}) left join ("
        "select file_name, path_in_schema, stats_min_value, stats_max_value, "
        f"case when path_in_schema = {time} then {low} end as first_ts, "
        f"case when path_in_schema = {time} then {high} end as last_ts "
        f"from parquet_metadata({glob}) where path_in_schema in ({named}, {time})"
        f") using (file_name) where not suffix(file_name, '/{ANCHOR_FILE}') group by file_name"
    )


def file_words(root: Path, bound: Mapping[str, Layout]) -> str:
    """The notes that cq writes into its files, such as where the rows come from."""
    if not bound:
        return _nothing(PLACES["file_words"])
    globs = ", ".join(text(_glob(root, layout)) for layout in bound.values())
    return (
        "select file_name as path, key::varchar as key, decode(value) as value "
        f"from parquet_kv_metadata([{globs}]) where key::varchar like 'cq.%'"
    )


def run_files(runs: Path) -> str:
    """The text files of runs: settings, figures, fills."""
    return " union all ".join(
        f"select regexp_extract(filename, '([^/]+)/[^/]+$', 1) as run, {text(name)} as file, "
        f"content from read_text({text(f'{escaped(str(runs))}/*/{name}')})"
        for name in RUN_FILES
    )


def of_runs(runs: Path, name: str, columns: Mapping[str, pl.DataType]) -> str:
    """The rows of the Parquet files of one name in the runs; none where there is none to bind to.

    Equity curves, and the trials of sweeps.
    """
    if not _bound_to_runs(runs, name):
        return _nothing(PLACES[name])
    glob = text(f"{escaped(str(runs))}/*/{name}.parquet")
    return (
        f"select regexp_extract(filename, '([^/]+)/[^/]+$', 1) as run, {', '.join(columns)} "
        f"from read_parquet({glob}, filename=true, hive_partitioning=false)"
    )


def damaged(path: Path) -> str:
    """The view over such files of runs while one is damaged: asked for its rows, it names the file.

    DuckDB makes no view over files of which it cannot read the first.
    """
    name = path.stem
    columns = (f"null::{kind} as {quoted(column)}" for column, kind in PLACES[name].items())
    query = f"select {', '.join(columns)} where error({text(f'cannot read {path}')}) is null"
    return f"create or replace view raw.{name} as {query}"


def _nothing(kinds: Mapping[str, str]) -> str:
    columns = (f"null::{kind} as {quoted(name)}" for name, kind in kinds.items())
    return f"select {', '.join(columns)} where false"


def is_bound(root: Path, layout: Layout) -> bool:
    """Whether a view over the dataset's files can be made: one needs a file to know its columns."""
    return (root / layout.anchor()).exists() or bool(layout.files(root))


def runs_bound(runs: Path) -> tuple[bool, ...]:
    """Of which Parquet files of the runs views can be made."""
    return tuple(_bound_to_runs(runs, Path(anchor).stem) for anchor in ANCHORS)


def _bound_to_runs(runs: Path, name: str) -> bool:
    anchor = runs / ".anchor" / f"{name}.parquet"
    return anchor.exists() or any(runs.glob(f"*/{name}.parquet"))


def anchor_runs(runs: Path) -> None:
    """Give the folder of runs its empty files, so that the first run is seen once it is there.

    Where the folder cannot be written, the views wait for the first run.
    """
    for name, columns in ANCHORS.items():
        anchor = runs / name
        if not anchor.exists():
            from cq.lake import parquet

            with suppress(LakeUnwritable, OSError):
                empty = pl.DataFrame(schema=columns)
                parquet.place(parquet.encoded(empty), anchor.parent, anchor.name)


def _hive_type(field: str) -> str:
    return "integer" if field in TIMES else "varchar"
