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
        step_ns(interval) as step_ns
    from raw.ohlcv
)

select
    *,
    coalesce(ts + step_ns, epoch_ns(date_trunc('month', time) + interval '1 month')) as end_ts
from typed;
