-- One row per bar that does not open where bars of its interval do (UTC; weeks on a Monday).
-- severity: error
-- suspect: not whole
create or replace view off_grid_ts as
select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    'opens at ' || time as detail
from stg_ohlcv
where
    case
        when interval = '1M' then time <> date_trunc('month', time)
        when right(interval, 1) = 'w' then (ts - 345600000000000) % step_ns <> 0
        else ts % step_ns <> 0
    end;
