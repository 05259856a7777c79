"""Views over the files themselves: the columns that each has, its groups of rows, the contracts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from cq.lake.datasets import DATASETS
from cq.lake.layout import Layout
from cq.lake.quality_reports import NAME
from cq.lake.raw import SQL_TYPES, glob_of, is_bound
from cq.lake.template import OWNERS
from cq.lake.views import escaped, quoted, text

COLUMNS = """select file_name as file, name, duckdb_type as kind
from parquet_schema({glob})
where column_id > 0"""
GROUPS = """select file_name as file, row_group_id as row_group, row_group_num_rows as rows,
try_cast(stats_min_value as bigint) as first_ts, try_cast(stats_max_value as bigint) as last_ts,
ingested_ts
from parquet_metadata({glob}) left join (
select file_name, any_value(try_cast(decode(value) as bigint)) as ingested_ts
from parquet_kv_metadata({glob}) where decode(key) = 'cq.ingested_ts' group by file_name
) using (file_name)
where path_in_schema = {time}"""
NONE = {
    "file_columns": {"name": "varchar", "kind": "varchar"},
    "file_groups": dict.fromkeys(
        ("row_group", "rows", "first_ts", "last_ts", "ingested_ts"), "bigint"
    ),
}

GRAINS = {
    "file_columns": "One row per file and column (or part of one) that the file has.",
    "file_groups": "One row per file and group of rows: how many, and from when to when.",
    "quality_reports": "One row per day's report of quality, with its text.",
    "contracts": "One row per dataset and column that its files have to have.",
}


def file_views(root: Path, layouts: Mapping[str, Layout]) -> Iterator[str]:
    """Statements for raw.file_columns, raw.file_groups, raw.contracts and raw.quality_reports."""
    for name, query in (("file_columns", COLUMNS), ("file_groups", GROUPS)):
        nothing = ", ".join(f"null::{kind} as {quoted(one)}" for one, kind in NONE[name].items())
        parts = [
            f"select {_owned(text('none'), 'null')}, null::varchar as file, {nothing} where false"
        ]
        for dataset, layout in layouts.items():
            if is_bound(root, layout):
                inner = query.format(glob=glob_of(root, layout), time=text(DATASETS[dataset].time))
                parts.append(f"select {_owned(text(dataset), 'file')}, * from ({inner})")
        yield f"create or replace view raw.{name} as {' union all by name '.join(parts)}"
        yield f"comment on view raw.{name} is {text(GRAINS[name])}"
    reports = text(f"{escaped(str(root))}/quality/*/{NAME}")
    yield (
        "create or replace view raw.quality_reports as "
        f"select filename as file, content from read_text({reports})"
    )
    yield f"comment on view raw.quality_reports is {text(GRAINS['quality_reports'])}"
    rows = (
        f"({text(name)}, {text(column)}, {text(SQL_TYPES[kind].upper())})"
        for name, contract in DATASETS.items()
        for column, kind in contract.schema.items()
    )
    yield (
        "create or replace view raw.contracts as "
        f"from (values {', '.join(rows)}) as contracts(dataset, name, kind)"
    )
    yield f"comment on view raw.contracts is {text(GRAINS['contracts'])}"


def _owned(dataset: str, file: str) -> str:
    """dataset, and what the folders of a file say of its rows."""
    said = (f"nullif(regexp_extract({file}, '/{one}=([^/]*)/', 1), '') as {one}" for one in OWNERS)
    return f"{dataset} as dataset, {', '.join(said)}"
