-- One row per series of bars whose newest bar closed more than a few intervals ago.
-- severity: warn
-- suspect: newest and (not whole or coalesce(getvariable('now_ns')::bigint, epoch_ns(now() at time zone 'UTC')) - end_ts > 0.999 * coalesce(getvariable('late_intervals')::double, 3) * step_ns)
create or replace view late_bars as
with newest as (
    select
        exchange,
        symbol,
        interval,
        max(ts) as ts,
        max(end_ts) as end_ts,
        coalesce(getvariable('now_ns')::bigint, epoch_ns(now() at time zone 'UTC')) as now_ts
    from stg_ohlcv
    group by exchange, symbol, interval
)

select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    'the newest bar closed ' || strftime(make_timestamp(end_ts // 1000), '%Y-%m-%d %H:%M') as detail
from newest
where now_ts - end_ts > coalesce(getvariable('late_intervals')::double, 3) * (end_ts - ts);
