-- One row per bar that differs from the bar that its trades make, where all of them are known.
-- severity: error
-- All trades of a bar are known where ranges of `coverage` that were asked for hold it whole.
create or replace view trades_disagree as
with ranges as (
    select
        exchange,
        symbol,
        start_ts,
        end_ts,
        max(end_ts) over (
            partition by exchange, symbol
            order by start_ts, end_ts
            rows between unbounded preceding and 1 preceding
        ) as end_before
    from stg_coverage
    where dataset = 'trades'
),

numbered as (
    select
        *,
        sum((start_ts > coalesce(end_before, start_ts - 1))::bigint) over (
            partition by exchange, symbol order by start_ts, end_ts rows unbounded preceding
        ) as run
    from ranges
),

known as (
    select
        exchange,
        symbol,
        min(start_ts) as start_ts,
        max(end_ts) as end_ts
    from numbered
    group by exchange, symbol, run
),

bars as (
    select bars.*
    from stg_ohlcv as bars
    inner join known
        on known.exchange = bars.exchange
        and known.symbol = bars.symbol
        and bars.ts >= known.start_ts
        and bars.end_ts <= known.end_ts
),

lengths as (
    select distinct exchange, symbol, interval
    from bars
),

placed as (
    select
        trades.exchange,
        trades.symbol,
        lengths.interval,
        trades.ts,
        trades.price,
        trades.size,
        (trades.ts, coalesce(try_cast(trades.trade_id as bigint), -1)) as place
    from stg_trades as trades
    inner join lengths using (exchange, symbol)
),

made as (
    select
        bars.exchange,
        bars.symbol,
        bars.interval,
        bars.ts,
        arg_min(placed.price, placed.place) as open,
        max(placed.price) as high,
        min(placed.price) as low,
        arg_max(placed.price, placed.place) as close,
        sum(placed.size) as volume
    from placed
    asof join bars
        on bars.exchange = placed.exchange
        and bars.symbol = placed.symbol
        and bars.interval = placed.interval
        and placed.ts >= bars.ts
    where placed.ts < bars.end_ts
    group by bars.exchange, bars.symbol, bars.interval, bars.ts
),

compared as (
    select
        bars.exchange,
        bars.symbol,
        bars.interval,
        bars.ts,
        made.ts is null as alone,
        unnest([
            {'name': 'open', 'said': bars.open, 'made': made.open},
            {'name': 'high', 'said': bars.high, 'made': made.high},
            {'name': 'low', 'said': bars.low, 'made': made.low},
            {'name': 'close', 'said': bars.close, 'made': made.close},
            {'name': 'volume', 'said': bars.volume, 'made': made.volume}
        ]) as value
    from bars
    left join made using (exchange, symbol, interval, ts)
    where made.ts is not null or bars.volume > 0
)

select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    case
        when alone then 'volume ' || max(value.said) filter (value.name = 'volume') || ', but no trade'
        else string_agg(
            value.name || ' ' || value.said || ', by trades ' || value.made, '; '
            order by value.name
        )
    end as detail
from compared
where
    alone
    or coalesce(
        abs(value.said - value.made)
        > coalesce(getvariable('trade_tolerance')::double, 1e-9) * greatest(abs(value.said), abs(value.made)),
        true
    )
group by exchange, symbol, interval, ts, alone;
