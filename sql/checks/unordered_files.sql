-- One row per file whose groups of rows are not in the order of time.
-- severity: info
create or replace view unordered_files as
with neighbours as (
    select
        *,
        max(last_ts) over (partition by file order by row_group rows between unbounded preceding and 1 preceding)
            as last_before
    from raw.file_groups
)

select
    exchange,
    symbol,
    interval,
    min(first_ts) as ts,
    sum(rows)::bigint as rows,
    'rows come after later ones in ' || file as detail
from neighbours
where first_ts < last_before
group by exchange, symbol, interval, file;
