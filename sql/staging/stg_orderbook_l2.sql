-- One row per exchange, symbol and book image: both sides as lists, the best level first.
create or replace view stg_orderbook_l2 as
select
    make_timestamp(ts // 1000) as time,
    ts,
    bids,
    asks,
    symbol,
    exchange
from raw.orderbook_l2;
