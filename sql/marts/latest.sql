-- One row per exchange, symbol and interval: the newest closed bar.
create or replace view latest as
with newest as not materialized (
    select
        exchange,
        symbol,
        interval,
        max(ts) as ts
    from raw.newest
    group by exchange, symbol, interval
)

select
    make_timestamp(bar.ts // 1000) as time,
    bar.ts,
    bar.open,
    bar.high,
    bar.low,
    bar.close,
    bar.volume,
    bar.symbol,
    bar.exchange,
    bar.interval
from raw.newest as bar
inner join newest using (exchange, symbol, interval, ts)
where bar.ts >= (select min(ts) from newest);
