-- One row per exchange, symbol and UTC minute with a stored bar; there is nothing finer to make one from.
create or replace view bars_1m as
select
    make_timestamp(ts // 1000) as time,
    ts,
    open,
    high,
    low,
    close,
    volume,
    symbol,
    exchange,
    1::bigint as bars
from raw.ohlcv
where interval = '1m';
