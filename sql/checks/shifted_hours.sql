-- One row per run of hours whose bars are those of one to twelve hours before: a time zone that slipped.
-- severity: error
-- suspect: echo or block_ns > 3600000000000
-- reach: 24 hours
-- An hour is told by its greatest volume, price and close, least price, first open and last close; it has moved and traded. Hours
-- with more than one like them nearby are those of a market that stands still: `repeated_bars` and `frozen_closes` tell of it.
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
        earlier.hour as hour_before,
        later.bars
    from hours as later
    inner join hours as earlier
        using (exchange, symbol, interval, volume, high, highest_close, low, open, close, bars)
    where later.hour > earlier.hour and later.hour - earlier.hour <= 12
),

alone as (
    select
        exchange,
        symbol,
        interval,
        hour
    from (
        select exchange, symbol, interval, unnest([hour, hour_before]) as hour
        from pairs
    )
    group by exchange, symbol, interval, hour
    having count(*) = 1
),

twins as (
    select
        pairs.exchange,
        pairs.symbol,
        pairs.interval,
        pairs.hour,
        pairs.bars,
        pairs.hour - pairs.hour_before as hours
    from pairs
    inner join alone as later
        on later.exchange = pairs.exchange
        and later.symbol = pairs.symbol
        and later.interval = pairs.interval
        and later.hour = pairs.hour
    inner join alone as earlier
        on earlier.exchange = pairs.exchange
        and earlier.symbol = pairs.symbol
        and earlier.interval = pairs.interval
        and earlier.hour = pairs.hour_before
),

runs as (
    select
        *,
        hour - row_number() over (partition by exchange, symbol, interval, hours order by hour) as run
    from twins
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
