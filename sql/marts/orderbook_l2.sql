-- One row per exchange, symbol and book image: bids descending, asks ascending, as price and size.
create or replace view orderbook_l2 as
select *
from stg_orderbook_l2;
