-- One row per exchange, symbol and instant that more than one book image has.
-- severity: error
create or replace view duplicate_books as
select
    exchange,
    symbol,
    null::varchar as interval,
    ts,
    (count(*) - 1)::bigint as rows,
    count(*) || ' images at once' as detail
from raw.orderbook_l2
group by exchange, symbol, ts
having count(*) > 1;
