-- One row per exchange, symbol and interval of bars: how many there are, and from when to when.
create or replace view series as
select
    exchange,
    symbol,
    interval,
    count(*) as bars,
    min(time) as first_time,
    max(time) as last_time,
    min(ts) as first_ts,
    max(end_ts) as end_ts
from stg_ohlcv
group by exchange, symbol, interval;
