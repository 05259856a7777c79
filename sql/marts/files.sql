-- One row per Parquet file of the lake: whose rows it holds, how many, of which time, and where they come from.
create or replace view files as
with notes as (
    select
        path,
        max(value) filter (where key = 'cq.source') as source,
        max(value) filter (where key = 'cq.asked_start_ts')::bigint as asked_start_ts,
        max(value) filter (where key = 'cq.asked_end_ts')::bigint as asked_end_ts,
        max(value) filter (where key = 'cq.version') as version,
        max(value) filter (where key = 'cq.ingested_ts')::bigint as ingested_ts
    from raw.file_words
    group by path
)

select
    dataset,
    exchange,
    symbol,
    interval,
    make_timestamp(first_ts // 1000) as first_time,
    make_timestamp(last_ts // 1000) as last_time,
    make_timestamp(ingested_ts // 1000) as ingested_time,
    rows,
    bytes,
    source,
    first_ts,
    last_ts,
    asked_start_ts,
    asked_end_ts,
    ingested_ts,
    version,
    file,
    path
from raw.files
left join notes using (path);
