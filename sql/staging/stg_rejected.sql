-- One row per row that was refused: its text, the rules it broke, where it came from and when.
create or replace view stg_rejected as
select
    make_timestamp(ts // 1000) as time,
    make_timestamp(seen_ts // 1000) as seen_time,
    ts,
    dataset,
    symbol,
    exchange,
    interval,
    broken,
    "row",
    source,
    seen_ts
from raw.rejected;
