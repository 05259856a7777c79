-- One row per run of bars that say the same: one price throughout, and the same volume above zero.
-- severity: warn
-- fact: flat = count(*) filter (high = low)
-- suspect: flat >= least(bars, (coalesce(getvariable('repeated_bars')::bigint, 10) + 1) // 2)
create or replace view repeated_bars as
with neighbours as (
    select
        *,
        coalesce(
            open = lag(open) over series and volume = lag(volume) over series
            and lag(high) over series = lag(low) over series
            and lag(open) over series = lag(close) over series and lag(high) over series = lag(open) over series,
            false
        ) as repeats
    from stg_ohlcv
    window series as (partition by exchange, symbol, interval order by ts)
),

numbered as (
    select
        *,
        sum((not repeats)::bigint) over (
            partition by exchange, symbol, interval order by ts rows unbounded preceding
        ) as run
    from neighbours
    where open = high and high = low and low = close and volume > 0
)

select
    exchange,
    symbol,
    interval,
    min(ts) as ts,
    count(*)::bigint as rows,
    'price ' || any_value(close) || ', volume ' || any_value(volume) || ', ' || count(*) || ' times' as detail
from numbered
group by exchange, symbol, interval, run
having count(*) >= coalesce(getvariable('repeated_bars')::bigint, 10);
