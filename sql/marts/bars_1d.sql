-- One row per exchange, symbol and UTC day: rolled up from the coarsest bars stored that make up days.
create or replace view bars_1d as
with sources as (
    select
        exchange,
        symbol,
        arg_max(interval, step_ns) as interval
    from (
        select distinct
            exchange,
            symbol,
            interval,
            step_ns
        from stg_ohlcv
        where step_ns <= 86400000000000 and 86400000000000 % step_ns = 0
    )
    group by exchange, symbol
)

select
    date_trunc('day', time)::timestamp as time,
    epoch_ns(date_trunc('day', time)::timestamp) as ts,
    arg_min(open, ts) as open,
    max(high) as high,
    min(low) as low,
    arg_max(close, ts) as close,
    sum(volume) as volume,
    symbol,
    exchange
from stg_ohlcv
inner join sources using (exchange, symbol, interval)
group by date_trunc('day', time), symbol, exchange;
