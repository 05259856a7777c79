-- One row per range of a series that a damaged file held: [start_ts, end_ts), and when it was moved away.
create or replace view stg_lost as
select
    make_timestamp(start_ts // 1000) as start_time,
    make_timestamp(end_ts // 1000) as end_time,
    make_timestamp(lost_ts // 1000) as lost_time,
    dataset,
    symbol,
    exchange,
    interval,
    start_ts,
    end_ts,
    rows,
    file,
    reason,
    lost_ts
from raw.lost;
