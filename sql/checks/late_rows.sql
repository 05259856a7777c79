-- One row per file whose rows came more than a day after newer rows of the same series were here.
-- severity: info
create or replace view late_rows as
with files as (
    select
        dataset,
        exchange,
        symbol,
        interval,
        file,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts,
        sum(rows)::bigint as rows,
        any_value(ingested_ts) as ingested_ts
    from raw.file_groups
    where ingested_ts is not null and last_ts is not null
    group by dataset, exchange, symbol, interval, file
),

arrivals as (
    select
        *,
        min(ingested_ts) over (
            partition by dataset, exchange, symbol, interval
            order by last_ts
            rows between 1 following and unbounded following
        ) as newer_came_ts
    from files
)

select
    exchange,
    symbol,
    interval,
    first_ts as ts,
    rows,
    dataset || ': landed ' || strftime(make_timestamp(ingested_ts // 1000), '%Y-%m-%d %H:%M') || ', newer rows '
    || strftime(make_timestamp(newer_came_ts // 1000), '%Y-%m-%d %H:%M') || ', in ' || file as detail
from arrivals
where
    ingested_ts - newer_came_ts
    > coalesce(getvariable('late_landing_hours')::double, 24) * 3600000000000;
