-- Closed bars of every symbol at any interval ('4h'): those stored, else complete ones made from the coarsest finer bars.
create or replace macro bars_at(step) as table
select
    make_timestamp(every.ts // 1000) as time,
    every.ts,
    every.open,
    every.high,
    every.low,
    every.close,
    every.volume,
    every.symbol,
    every.exchange,
    every.bars
from (
    select
        stored.ts,
        stored.open,
        stored.high,
        stored.low,
        stored.close,
        stored.volume,
        stored.symbol,
        stored.exchange,
        1::bigint as bars
    from raw.ohlcv as stored
    where stored.interval = step
    union all
    select
        made.ts,
        made.open,
        made.high,
        made.low,
        made.close,
        made.volume,
        made.symbol,
        made.exchange,
        made.bars
    from rolled(step) as made
    where made.end_ts <= made.known_ts
) as every;
