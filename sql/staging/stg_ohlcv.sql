-- One row per exchange, symbol, interval and bar: what the files hold, with the bar's length and end.
create or replace view stg_ohlcv as
with typed as (
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
        interval,
        case right(interval, 1)
            when 'm' then 60000000000
            when 'h' then 3600000000000
            when 'd' then 86400000000000
            when 'w' then 604800000000000
        end * try_cast(left(interval, length(interval) - 1) as bigint) as step_ns
    from raw.ohlcv
)

select
    *,
    coalesce(ts + step_ns, epoch_ns(date_trunc('month', time) + interval '1 month')) as end_ts
from typed;
