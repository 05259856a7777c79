-- One row per week whose volume a bar is many times that of the week before, or a small part: a unit that slipped.
-- severity: warn
-- suspect: not (shift < 0.999 * coalesce(getvariable('volume_break')::double, 20) and shift > 1.001 / coalesce(getvariable('volume_break')::double, 20))
-- reach: 14 days
-- A week's is the median of its days' (Monday to Sunday, UTC), a day's the mean of its bars'.
create or replace view volume_breaks as
with days as (
    select
        exchange,
        symbol,
        interval,
        (ts // 86400000000000 - 4) // 7 as week,
        coalesce(sum(volume), 0) / count(*) as mean
    from stg_ohlcv
    where step_ns <= 86400000000000
    group by exchange, symbol, interval, ts // 86400000000000
),

weeks as (
    select
        exchange,
        symbol,
        interval,
        week,
        median(mean) as typical,
        count(*) as days
    from days
    group by exchange, symbol, interval, week
),

neighbours as (
    select
        *,
        typical / lag(typical) over series as ratio,
        lag(typical) over series as typical_before,
        lag(week) over series as week_before
    from weeks
    window series as (partition by exchange, symbol, interval order by week)
)

select
    exchange,
    symbol,
    interval,
    (7 * week + 4) * 86400000000000 as ts,
    days::bigint as rows,
    printf('%.4g a bar after %.4g the week before: %.3g times', typical, typical_before, ratio) as detail
from neighbours
where
    week_before = week - 1
    and typical > 0 and typical_before > 0
    and (
        ratio >= coalesce(getvariable('volume_break')::double, 20)
        or ratio <= 1 / coalesce(getvariable('volume_break')::double, 20)
    );
