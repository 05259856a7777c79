-- One row per run of bars with the same close for long while volume goes on.
-- severity: warn
-- fact: close_most = max(close)
-- fact: close_least = min(close)
-- fact: volume_most = max(volume)
-- suspect: close_most = close_least and volume_most > 0
create or replace view frozen_closes as
with neighbours as (
    select
        *,
        coalesce(close = lag(close) over series and volume > 0 and lag(volume) over series > 0, false) as repeats
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
)

select
    exchange,
    symbol,
    interval,
    min(ts) as ts,
    count(*)::bigint as rows,
    'close ' || any_value(close) || ' for ' || count(*) || ' bars' as detail
from numbered
group by exchange, symbol, interval, run
having count(*) >= greatest(120, coalesce(getvariable('frozen_bars')::bigint, 240));
