-- One row per bar that differs from the bar that its trades make, where all of them are known and here.
-- severity: error
-- All trades of a bar are known where ranges of `coverage` that were asked for hold it whole, and none that came is gone.
create or replace view trades_disagree as
with bars as (
    select bars.*
    from stg_ohlcv as bars
    inner join stg_known_trades as known
        on known.is_whole
        and known.exchange = bars.exchange
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
