-- One row per fill of a run, in the order in which they happened.
create or replace view run_trades as
with lines as (
    select
        run,
        unnest(string_split(replace(content, chr(13), ''), chr(10))[2:]) as line,
        generate_subscripts(string_split(content, chr(10))[2:], 1) as number
    from raw.runs
    where file = 'trades.csv' and run in (select run from stg_runs)
),

cells as (
    select
        run,
        number,
        string_split(line, ',') as cell
    from lines
    where line <> ''
)

select
    make_timestamp(try_cast(cell[1] as bigint) // 1000) as time,
    try_cast(cell[1] as bigint) as ts,
    cell[2] as symbol,
    cell[3] as side,
    try_cast(cell[4] as double) as size,
    try_cast(cell[5] as double) as price,
    try_cast(cell[6] as double) as fee,
    try_cast(cell[7] as double) as slippage,
    coalesce(cell[8], 'signal') as reason,
    number,
    run
from cells;
