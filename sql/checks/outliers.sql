-- One row per bar whose close leaps: its log return is far beyond what is usual around it, and large.
-- severity: warn
-- fact: ordered = bool_and(coalesce(low <= open and low <= close and high >= open and high >= close and volume >= 0, false))
-- fact: high_most = max(high)
-- fact: low_least = min(low)
-- suspect: not (ordered and coalesce(before_ordered, true)) or greatest(high_most, before_high_most) >= 0.999999 * exp(coalesce(getvariable('outlier_floor')::double, 0.1)) * least(low_least, before_low_least)
-- reach: 1440 bars
-- A return over n steps counts as r / sqrt(n). Usual is the median of its stretch of 1,440 steps (a day of minutes, four
-- years of days), its spread 1.4826 times the median distance from that.
create or replace view outliers as
with neighbours as (
    select
        exchange,
        symbol,
        interval,
        ts,
        close,
        ts // coalesce(step_ns, 2629746000000000) // 1440 as stretch,
        lag(close) over series as close_before,
        greatest(1, (ts - lag(ts) over series) // coalesce(step_ns, 2629746000000000)) as steps
    from stg_ohlcv
    window series as (partition by exchange, symbol, interval order by ts)
),

returns as (
    select
        *,
        ln(close / close_before) / sqrt(steps) as r
    from neighbours
    where
        close > 0 and close_before > 0
        and isfinite(close) and isfinite(close_before)
),

usual as (
    select
        exchange,
        symbol,
        interval,
        stretch,
        median(r) as middle,
        1.4826 * mad(r) as spread
    from returns
    group by exchange, symbol, interval, stretch
)

select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    printf(
        'close %s after %s: %+.1f %%, %s times the usual spread',
        close::varchar, close_before::varchar, 100 * (close / close_before - 1),
        case when spread > 0 then printf('%.0f', abs(r - middle) / spread) else 'any number of' end
    ) as detail
from returns
inner join usual using (exchange, symbol, interval, stretch)
where
    abs(r) >= coalesce(getvariable('outlier_floor')::double, 0.1)
    and abs(r - middle) >= coalesce(getvariable('outlier_z')::double, 20) * spread;
