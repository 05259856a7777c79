-- One row per exchange, symbol and book image: best bid and ask, middle and spread in basis points.
create or replace view book_top as
with best as (
    select
        time,
        ts,
        bids[1].price as bid,
        bids[1].size as bid_size,
        asks[1].price as ask,
        asks[1].size as ask_size,
        symbol,
        exchange
    from stg_orderbook_l2
)

select
    *,
    (bid + ask) / 2 as mid,
    (ask - bid) / nullif((bid + ask) / 2, 0) * 10000 as spread_bps
from best;
