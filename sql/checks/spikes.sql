-- One row per bar with a spike: a leap of the close that the next three bars undo, or a wick as long.
-- severity: warn
-- fact: ordered = bool_and(coalesce(low <= open and low <= close and high >= open and high >= close and volume >= 0, false))
-- fact: high_most = max(high)
-- fact: low_least = min(low)
-- suspect: not (ordered and coalesce(before_ordered, true)) or greatest(high_most, before_high_most) >= 0.999999 * exp(coalesce(getvariable('spike_floor')::double, 0.1)) * least(low_least, before_low_least)
-- reach: 1440 bars
-- Large and unusual are meant as in `outliers`; undone is a close within a fifth of the leap of where it was before.
create or replace view spikes as
with neighbours as (
    select
        exchange,
        symbol,
        interval,
        ts,
        close,
        ts // coalesce(step_ns, 2629746000000000) // 1440 as stretch,
        lag(close) over series as close_before,
        any_value(close) over (
            partition by exchange, symbol, interval order by ts rows between 1 following and 1 following
        ) as next_1,
        any_value(close) over (
            partition by exchange, symbol, interval order by ts rows between 2 following and 2 following
        ) as next_2,
        any_value(close) over (
            partition by exchange, symbol, interval order by ts rows between 3 following and 3 following
        ) as next_3,
        greatest(1, (ts - lag(ts) over series) // coalesce(step_ns, 2629746000000000)) as steps,
        ln(high / greatest(open, close)) as upper,
        ln(least(open, close) / low) as lower
    from stg_ohlcv
    where
        open > 0 and high > 0 and low > 0 and close > 0
        and isfinite(open) and isfinite(high) and isfinite(low) and isfinite(close)
    window series as (partition by exchange, symbol, interval order by ts)
),

returns as (
    select
        *,
        ln(close / close_before) as leap,
        least(
            abs(ln(next_1 / close_before)), abs(ln(next_2 / close_before)), abs(ln(next_3 / close_before))
        ) as left_over,
        greatest(upper, lower) as wick
    from neighbours
),

usual as (
    select
        exchange,
        symbol,
        interval,
        stretch,
        1.4826 * mad(leap / sqrt(steps)) as spread
    from returns
    group by exchange, symbol, interval, stretch
),

judged as (
    select
        *,
        greatest(
            coalesce(getvariable('spike_floor')::double, 0.1),
            coalesce(getvariable('spike_z')::double, 20) * coalesce(spread, 0)
        ) as large
    from returns
    inner join usual using (exchange, symbol, interval, stretch)
)

select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    case
        when wick >= large then printf('a wick of %.1f %%', 100 * (exp(wick) - 1))
        else printf('close %s after %s, and back', close::varchar, close_before::varchar)
    end as detail
from judged
where wick >= large or (abs(leap) / sqrt(steps) >= large and left_over <= abs(leap) / 5);
