-- One row per series and stretch of time that is known: it was asked for, and no damaged file has taken what came since.
-- Columns are qualified, and `raw` is read, since macros build on it: a bare `symbol` may be their parameter.
create or replace view stg_covered as
with ranges as materialized (
    select
        row_number() over () as range_id,
        range.dataset,
        range.exchange,
        range.symbol,
        range.interval,
        range.start_ts,
        range.end_ts,
        range.asked_ts
    from raw.coverage as range
),

losses as (
    select
        ranges.range_id,
        greatest(ranges.start_ts, lost.start_ts) as start_ts,
        least(ranges.end_ts, lost.end_ts) as end_ts
    from ranges
    inner join raw.lost as lost
        on lost.dataset = ranges.dataset
        and coalesce(lost.exchange, ranges.exchange) = ranges.exchange
        and coalesce(lost.symbol, ranges.symbol) = ranges.symbol
        and coalesce(lost.interval, ranges.interval) is not distinct from ranges.interval
        and lost.lost_ts >= ranges.asked_ts
        and lost.start_ts < ranges.end_ts
        and lost.end_ts > ranges.start_ts
),

losses_apart as (
    select
        losses.range_id,
        losses.end_ts,
        greatest(
            losses.start_ts,
            coalesce(max(losses.end_ts) over (
                partition by losses.range_id
                order by losses.start_ts, losses.end_ts
                rows between unbounded preceding and 1 preceding
            ), losses.start_ts)
        ) as start_ts
    from losses
),

changes as (
    select
        ranges.dataset,
        ranges.exchange,
        ranges.symbol,
        ranges.interval,
        unnest([ranges.start_ts, ranges.end_ts]) as ts,
        unnest([1, -1]) as sign
    from ranges
    union all
    select
        ranges.dataset,
        ranges.exchange,
        ranges.symbol,
        ranges.interval,
        unnest([lost.start_ts, lost.end_ts]) as ts,
        unnest([-1, 1]) as sign
    from ranges
    inner join losses_apart as lost on lost.range_id = ranges.range_id
    where lost.end_ts > lost.start_ts
),

times as (
    select
        changes.dataset,
        changes.exchange,
        changes.symbol,
        changes.interval,
        changes.ts,
        lead(changes.ts) over so_far as end_ts,
        sum(sum(changes.sign)) over so_far > 0 as is_known
    from changes
    group by changes.dataset, changes.exchange, changes.symbol, changes.interval, changes.ts
    window so_far as (
        partition by changes.dataset, changes.exchange, changes.symbol, changes.interval order by changes.ts
    )
),

runs as (
    select
        times.*,
        sum((not times.is_known)::bigint) over (
            partition by times.dataset, times.exchange, times.symbol, times.interval order by times.ts
        ) as run
    from times
)

select
    runs.dataset,
    runs.exchange,
    runs.symbol,
    runs.interval,
    min(runs.ts) as start_ts,
    max(runs.end_ts) as end_ts
from runs
where runs.is_known
group by runs.dataset, runs.exchange, runs.symbol, runs.interval, runs.run;
