-- One row per damaged file that was moved away: what it held, why, and whether that was asked for again since.
-- What is `asked_again` in part only still counts as lost where it was not.
create or replace view quarantine as
with later as (
    select
        lost.file,
        lost.lost_ts,
        greatest(coverage.start_ts, lost.start_ts) as start_ts,
        least(coverage.end_ts, lost.end_ts) as end_ts
    from stg_lost as lost
    inner join stg_coverage as coverage
        on coverage.dataset = lost.dataset
        and coverage.interval is not distinct from lost.interval
        and coverage.exchange = coalesce(lost.exchange, coverage.exchange)
        and coverage.symbol = coalesce(lost.symbol, coverage.symbol)
        and coverage.asked_ts > lost.lost_ts
        and coverage.start_ts < lost.end_ts
        and coverage.end_ts > lost.start_ts
),

fresh as (
    select
        file,
        lost_ts,
        end_ts - greatest(start_ts, coalesce(max(end_ts) over (
            partition by file, lost_ts
            order by start_ts, end_ts
            rows between unbounded preceding and 1 preceding
        ), start_ts)) as length_ns
    from later
),

again as (
    select
        file,
        lost_ts,
        sum(greatest(length_ns, 0)) as length_ns
    from fresh
    group by all
)

select
    lost.lost_time,
    lost.dataset,
    lost.exchange,
    lost.symbol,
    lost.interval,
    lost.start_time,
    lost.end_time,
    lost.rows,
    lost.file,
    lost.reason,
    case
        when coalesce(again.length_ns, 0) = 0 then 'no'
        when again.length_ns < lost.end_ts - lost.start_ts then 'in part'
        else 'yes'
    end as asked_again,
    lost.start_ts,
    lost.end_ts,
    lost.lost_ts
from stg_lost as lost
left join again
    on again.file = lost.file
    and again.lost_ts = lost.lost_ts;
