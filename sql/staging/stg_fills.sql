-- One row per exchange, symbol and fill of ours: what the files hold, with the time for people.
create or replace view stg_fills as
select
    make_timestamp(ts // 1000) as time,
    ts,
    fill_id,
    order_id,
    client_id,
    side,
    type,
    price,
    size,
    status,
    fee,
    symbol,
    exchange
from raw.fills;
