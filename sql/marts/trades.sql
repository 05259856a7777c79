-- One row per exchange, symbol and trade; side is the aggressor's, null where the source has none.
create or replace view trades as
select *
from stg_trades;
