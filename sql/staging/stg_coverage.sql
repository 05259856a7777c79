-- One row per range that was asked for: [start_ts, end_ts) of one series, when, and how many rows came.
create or replace view stg_coverage as
select
    make_timestamp(start_ts // 1000) as start_time,
    make_timestamp(end_ts // 1000) as end_time,
    make_timestamp(asked_ts // 1000) as asked_time,
    dataset,
    symbol,
    exchange,
    interval,
    start_ts,
    end_ts,
    rows,
    asked_ts,
    source
from raw.coverage;
