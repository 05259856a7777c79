-- One row per run of bars that are missing between two bars, asked for by nobody or never answered.
-- severity: error
-- A bucket inside a range of `coverage` is known to have no trade, so it is not missing.
create or replace view missing_bars as
with neighbours as (
    select
        exchange,
        symbol,
        interval,
        ts,
        end_ts,
        step_ns,
        lag(end_ts) over series as end_before
    from stg_ohlcv
    window series as (partition by exchange, symbol, interval order by ts)
),

gaps as (
    select
        exchange,
        symbol,
        interval,
        step_ns,
        end_before as start_ts,
        ts as end_ts,
        ts as gap_ts
    from neighbours
    where ts > end_before
),

answered as (
    select
        gaps.* replace (
            greatest(coverage.start_ts, gaps.start_ts) as start_ts,
            least(coverage.end_ts, gaps.end_ts) as end_ts
        )
    from gaps
    inner join stg_coverage as coverage
        on coverage.exchange = gaps.exchange
        and coverage.symbol = gaps.symbol
        and coverage.interval = gaps.interval
        and coverage.start_ts < gaps.end_ts
        and coverage.end_ts > gaps.start_ts
    where coverage.dataset = 'ohlcv'
),

known as (
    select * replace (start_ts as end_ts)
    from gaps
    union all
    select *
    from answered
    union all
    select * replace (end_ts as start_ts)
    from gaps
),

runs as (
    select
        exchange,
        symbol,
        interval,
        step_ns,
        max(end_ts) over (
            partition by exchange, symbol, interval, gap_ts
            order by start_ts, end_ts
            rows between unbounded preceding and 1 preceding
        ) as ts,
        start_ts as until_ts
    from known
),

counted as (
    select
        exchange,
        symbol,
        interval,
        ts,
        until_ts,
        coalesce(
            (until_ts - ts) // step_ns,
            date_diff('month', make_timestamp(ts // 1000), make_timestamp(until_ts // 1000))
        ) as rows
    from runs
    where until_ts > ts
)

select
    exchange,
    symbol,
    interval,
    ts,
    rows::bigint as rows,
    'no bar from ' || strftime(make_timestamp(ts // 1000), '%Y-%m-%d %H:%M')
    || ' to ' || strftime(make_timestamp(until_ts // 1000), '%Y-%m-%d %H:%M') as detail
from counted
where rows > 0;
