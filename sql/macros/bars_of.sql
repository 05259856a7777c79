-- Stored bars of one symbol and interval, found by their path: the fastest; no such bars is an error.
create or replace macro bars_of(symbol, interval) as table
select
    make_timestamp(bar.ts // 1000) as time,
    bar.ts,
    bar.open,
    bar.high,
    bar.low,
    bar.close,
    bar.volume,
    symbol as symbol,
    bar.exchange,
    interval as interval
from raw.ohlcv_of(symbol, interval) as bar;
