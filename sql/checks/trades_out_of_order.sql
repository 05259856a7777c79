-- One row per trade that is older than the trade with the number before its own.
-- severity: warn
create or replace view trades_out_of_order as
with numbered as (
    select
        exchange,
        symbol,
        ts,
        trade_id,
        lag(trade_id) over series as id_before,
        lag(ts) over series as ts_before
    from stg_trades
    where try_cast(trade_id as bigint) is not null
    window series as (partition by exchange, symbol order by try_cast(trade_id as bigint), ts)
)

select
    exchange,
    symbol,
    null::varchar as interval,
    ts,
    1::bigint as rows,
    'trade ' || trade_id || ' is ' || round((ts_before - ts) / 1e9, 3) || ' s older than trade ' || id_before as detail
from numbered
where ts < ts_before;
