-- Which stored bars serve an interval: those of itself, else the coarsest that divide it, by exchange and symbol.
create or replace macro sources(step) as table
select
    chosen.exchange,
    chosen.symbol,
    chosen.interval,
    coalesce(asked.asked_until_ts, 0) as asked_until_ts
from (
    select
        known.exchange,
        known.symbol,
        arg_max(
            known.interval,
            case when known.interval = step then 9223372036854775807 else step_ns(known.interval) end
        ) as interval
    from raw.series as known
    where known.interval = step or divides(known.interval, step)
    group by known.exchange, known.symbol
) as chosen
left join (
    select
        range.exchange,
        range.symbol,
        range.interval,
        max(range.end_ts) as asked_until_ts
    from raw.coverage as range
    where range.dataset = 'ohlcv'
    group by range.exchange, range.symbol, range.interval
) as asked
    on chosen.exchange = asked.exchange
    and chosen.symbol = asked.symbol
    and chosen.interval = asked.interval;
