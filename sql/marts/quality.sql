-- One row per report day, check and series: what the day's newest `cq lake quality` found; no series where it found nothing.
-- column day: UTC day of the report
create or replace view quality as
with reports as (
    select
        try_cast(regexp_extract(file, '([^/\\]+)[/\\]quality_report\.json$', 1) as date) as day,
        try_cast(content as json) as report
    from raw.quality_reports
),

checks as (
    select
        day,
        try_cast(report ->> 'checked_at' as timestamptz) at time zone 'UTC' as checked_time,
        unnest(report -> '$.checks[*]') as found
    from reports
    where report is not null
),

series as (
    select
        day,
        checked_time,
        found ->> 'check' as check_name,
        found ->> 'severity' as severity,
        unnest(
            case
                when json_array_length(found -> 'by_symbol') > 0 then found -> '$.by_symbol[*]'
                else [null::json]
            end
        ) as one
    from checks
)

select
    day,
    checked_time,
    check_name,
    severity,
    one ->> 'exchange' as exchange,
    one ->> 'symbol' as symbol,
    one ->> 'interval' as interval,
    coalesce((one ->> 'rows')::bigint, 0) as rows
from series;
