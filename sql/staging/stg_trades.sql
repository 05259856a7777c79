-- One row per exchange, symbol and trade: what the files hold, with the time for people.
create or replace view stg_trades as
select
    make_timestamp(ts // 1000) as time,
    ts,
    price,
    size,
    side,
    trade_id,
    symbol,
    exchange
from raw.trades;
