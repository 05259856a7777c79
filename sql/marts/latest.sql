-- One row per exchange, symbol and interval: the newest closed bar.
create or replace view latest as
select
    max(time) as time,
    max(ts) as ts,
    arg_max(open, ts) as open,
    arg_max(high, ts) as high,
    arg_max(low, ts) as low,
    arg_max(close, ts) as close,
    arg_max(volume, ts) as volume,
    symbol,
    exchange,
    interval
from stg_ohlcv
group by symbol, exchange, interval;
