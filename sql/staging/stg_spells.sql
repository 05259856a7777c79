-- One row per exchange, symbol, interval and stretch of neighbouring bars, numbered by their place on the interval's grid.
-- A day is taken as one stretch where count and marks prove that no bar is missing between its first and its last: marks of
-- the places are combined by exclusive or, so those of a stretch are known from two running ones. Only other days are
-- looked at bar by bar. Slots are half open: [from_slot, to_slot).
create or replace view stg_spells as
with days as materialized (
    select
        exchange,
        symbol,
        interval,
        ts // 86400000000000 as day,
        count(*) as bars,
        min(ts) as first_ts,
        max(ts) as last_ts,
        bit_xor(hash(ts % 86400000000000)) as mark
    from raw.ohlcv
    group by exchange, symbol, interval, ts // 86400000000000
),

steps as (
    select
        interval,
        step_ns(interval) as step_ns,
        case when right(interval, 1) = 'w' then 345600000000000 else 0 end as offset_ns
    from (select distinct interval from days)
),

series as materialized (
    select
        exchange,
        symbol,
        interval,
        step_ns,
        case
            when step_ns >= 86400000000000
                then (offset_ns + coalesce(mode((first_ts - offset_ns) % step_ns), 0)) % step_ns
            else 0
        end as phase_ns,
        coalesce(step_ns >= 86400000000000, true) as is_long
    from days
    inner join steps using (interval)
    group by exchange, symbol, interval, step_ns, offset_ns
),

places as (
    select
        step_ns,
        unnest(range(86400000000000 // step_ns + 1)) as place
    from (select distinct step_ns from steps)
    where step_ns < 86400000000000 and 86400000000000 % step_ns = 0
),

marks as materialized (
    select
        step_ns,
        place,
        coalesce(
            bit_xor(case when place > 0 then hash((place - 1) * step_ns) end) over (
                partition by step_ns order by place rows unbounded preceding
            ),
            0
        ) as mark
    from places
),

looked_at as materialized (
    select
        days.exchange,
        days.symbol,
        days.interval,
        days.day,
        days.first_ts,
        days.last_ts,
        series.step_ns,
        series.phase_ns,
        series.is_long,
        coalesce(
            days.bars = (days.last_ts - days.first_ts) // series.step_ns + 1
            and days.mark = xor(till_first.mark, till_last.mark),
            false
        ) as is_whole
    from days
    inner join series using (exchange, symbol, interval)
    left join marks as till_first
        on till_first.step_ns = series.step_ns
        and till_first.place = (days.first_ts % 86400000000000) // series.step_ns
    left join marks as till_last
        on till_last.step_ns = series.step_ns
        and till_last.place = (days.last_ts % 86400000000000) // series.step_ns + 1
),

torn as materialized (
    select exchange, symbol, interval, day
    from looked_at
    where not is_whole and not is_long
),

single as (
    select exchange, symbol, interval, unnest([first_ts, last_ts]) as ts
    from looked_at
    where is_long
    union all
    select exchange, symbol, interval, ts
    from raw.ohlcv
    where (exchange, symbol, interval, ts // 86400000000000) in (from torn)
),

placed as (
    select
        exchange,
        symbol,
        interval,
        step_ns,
        phase_ns,
        slot_of_bar(ts, step_ns, phase_ns) as slot
    from single
    inner join series using (exchange, symbol, interval)
),

numbered as (
    select
        *,
        slot - row_number() over (partition by exchange, symbol, interval order by slot) as run
    from (select distinct * from placed)
)

select
    exchange,
    symbol,
    interval,
    step_ns,
    phase_ns,
    first_ts // step_ns as from_slot,
    last_ts // step_ns + 1 as to_slot
from looked_at
where is_whole and not is_long
union all
select
    exchange,
    symbol,
    interval,
    any_value(step_ns) as step_ns,
    any_value(phase_ns) as phase_ns,
    min(slot) as from_slot,
    max(slot) + 1 as to_slot
from numbered
group by exchange, symbol, interval, run;
