-- One row per run of hours whose bars are those of one to twelve hours before: a time zone that slipped.
-- severity: error
-- suspect: echo or block_ns > 3600000000000
-- reach: 12 hours
-- An hour is told by its greatest volume, price and close, least price, first open and last close; it has moved and traded.
create or replace view shifted_hours as
with hours as (
    select
        exchange,
        symbol,
        interval,
        ts // 3600000000000 as hour,
        count(*) as bars,
        max(volume) as volume,
        max(high) as high,
        max(close) as highest_close,
        min(low) as low,
        arg_min(open, ts) as open,
        arg_max(close, ts) as close
    from stg_ohlcv
    where step_ns <= 3600000000000
    group by exchange, symbol, interval, ts // 3600000000000
    having max(volume) > 0 and max(high) > min(low)
),

pairs as (
    select
        later.exchange,
        later.symbol,
        later.interval,
        later.hour,
        later.bars,
        later.hour - earlier.hour as hours
    from hours as later
    inner join hours as earlier
        using (exchange, symbol, interval, volume, high, highest_close, low, open, close, bars)
    where later.hour > earlier.hour and later.hour - earlier.hour <= 12
),

runs as (
    select
        *,
        hour - row_number() over (partition by exchange, symbol, interval, hours order by hour) as run
    from pairs
)

select
    exchange,
    symbol,
    interval,
    min(hour) * 3600000000000 as ts,
    sum(bars)::bigint as rows,
    count(*) || ' hours are those of ' || hours || ' h before' as detail
from runs
group by exchange, symbol, interval, hours, run
having sum(bars) >= coalesce(getvariable('shifted_bars')::bigint, 3);
