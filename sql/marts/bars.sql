-- One row per exchange, symbol, interval and closed bar; ts is the bar's opening, nanoseconds UTC.
create or replace view bars as
select
    time,
    ts,
    open,
    high,
    low,
    close,
    volume,
    symbol,
    exchange,
    interval
from stg_ohlcv;
