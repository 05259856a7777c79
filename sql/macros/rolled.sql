-- Bars of an interval made from finer ones, the unfinished ones among them: complete where end_ts <= known_ts.
create or replace macro rolled(step) as table
select
    made.opened_ts as ts,
    made.open,
    made.high,
    made.low,
    made.close,
    made.volume,
    made.symbol,
    made.exchange,
    made.bars,
    close_ns(made.opened_ts, step) as end_ts,
    greatest(
        max(close_ns(made.last_ts, made.made_of)) over (partition by made.exchange, made.symbol),
        made.asked_until_ts
    ) as known_ts
from (
    select
        bucket_ns(finer.ts, step) as opened_ts,
        arg_min(finer.open, finer.ts) as open,
        max(finer.high) as high,
        min(finer.low) as low,
        arg_max(finer.close, finer.ts) as close,
        exact_sum(finer.volume) as volume,
        finer.symbol,
        finer.exchange,
        count(*) as bars,
        max(finer.ts) as last_ts,
        any_value(source.interval) as made_of,
        any_value(source.asked_until_ts) as asked_until_ts
    from raw.ohlcv as finer
    inner join sources(step) as source
        on finer.exchange = source.exchange
        and finer.symbol = source.symbol
        and finer.interval = source.interval
    where finer.interval <> step and source.interval <> step
    group by bucket_ns(finer.ts, step), finer.symbol, finer.exchange
) as made;
