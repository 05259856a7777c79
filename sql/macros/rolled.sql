-- Bars of an interval made from finer ones, the unfinished ones among them: complete where end_ts <= known_ts.
-- Of each series the last one may be unfinished: its finer bars are known up to the end of the newest of them, and further
-- where that lies in a stretch that coverage knows.
create or replace macro rolled(step) as table
select
    bar.ts,
    bar.open,
    bar.high,
    bar.low,
    bar.close,
    bar.volume,
    bar.symbol,
    bar.exchange,
    bar.bars,
    bar.end_ts,
    greatest(bar.newest_ts, coalesce(covered.end_ts, 0)) as known_ts
from (
    select
        made.*,
        close_ns(made.ts, step) as end_ts,
        max(close_ns(made.last_ts, made.made_of)) over (partition by made.exchange, made.symbol) as newest_ts,
        close_ns(made.ts, step)
        > max(close_ns(made.last_ts, made.made_of)) over (partition by made.exchange, made.symbol) as is_open
    from (
        select
            bucket_ns(finer.ts, step) as ts,
            arg_min(finer.open, finer.ts) as open,
            max(finer.high) as high,
            min(finer.low) as low,
            arg_max(finer.close, finer.ts) as close,
            exact_sum(finer.volume) as volume,
            finer.symbol,
            finer.exchange,
            count(*) as bars,
            max(finer.ts) as last_ts,
            any_value(source.interval) as made_of
        from raw.ohlcv as finer
        inner join sources(step) as source
            on finer.exchange = source.exchange
            and finer.symbol = source.symbol
            and finer.interval = source.interval
        where finer.interval <> step and source.interval <> step
        group by bucket_ns(finer.ts, step), finer.symbol, finer.exchange
    ) as made
) as bar
left join (
    select
        known.*,
        true as is_open
    from stg_covered as known
    where known.dataset = 'ohlcv'
) as covered
    on bar.is_open = covered.is_open
    and bar.exchange = covered.exchange
    and bar.symbol = covered.symbol
    and bar.made_of = covered.interval
    and bar.newest_ts >= covered.start_ts
    and bar.newest_ts < covered.end_ts;
