-- One row per exchange, symbol and day of São Paulo, its summer times included: from bars of an hour or less, complete ones only.
-- column day: the date in São Paulo
-- column ts: when the day began in São Paulo, in nanoseconds since the epoch, UTC
-- column time: when the day began in São Paulo, in UTC
create or replace view bars_1d_sao_paulo as
with hours as (
    select
        stored.ts,
        stored.open,
        stored.high,
        stored.low,
        stored.close,
        stored.volume,
        stored.symbol,
        stored.exchange,
        1::bigint as bars,
        stored.ts + 3600000000000 as known_ts
    from raw.ohlcv as stored
    where stored.interval = '1h'
    union all
    select
        ts,
        open,
        high,
        low,
        close,
        volume,
        symbol,
        exchange,
        bars,
        known_ts
    from rolled('1h')
),

days as (
    select
        sao_paulo(ts)::date as day,
        arg_min(open, ts) as open,
        max(high) as high,
        min(low) as low,
        arg_max(close, ts) as close,
        exact_sum(volume) as volume,
        symbol,
        exchange,
        sum(bars)::bigint as bars,
        max(known_ts) as known_ts
    from hours
    group by all
),

bounded as (
    select
        *,
        sao_paulo_ns(day) as ts,
        sao_paulo_ns(day + 1) as end_ts,
        max(known_ts) over (partition by exchange, symbol) as known_until_ts
    from days
)

select
    make_timestamp(bounded.ts // 1000) as time,
    bounded.ts,
    bounded.day,
    bounded.open,
    bounded.high,
    bounded.low,
    bounded.close,
    bounded.volume,
    bounded.symbol,
    bounded.exchange,
    bounded.bars
from bounded
left join sources('1h') as source using (exchange, symbol)
left join stg_covered as covered
    on covered.dataset = 'ohlcv'
    and covered.exchange = bounded.exchange
    and covered.symbol = bounded.symbol
    and covered.interval = source.interval
    and covered.start_ts <= bounded.known_until_ts
    and covered.end_ts > bounded.known_until_ts
where bounded.end_ts <= greatest(bounded.known_until_ts, coalesce(covered.end_ts, 0));
