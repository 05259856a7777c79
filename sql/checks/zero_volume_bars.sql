-- One row per bar in which nothing traded.
-- severity: warn
-- fact: volume_least = coalesce(min(volume), 1)
-- suspect: volume_least <= 0
create or replace view zero_volume_bars as
select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    'volume 0, close ' || close as detail
from stg_ohlcv
where volume = 0;
