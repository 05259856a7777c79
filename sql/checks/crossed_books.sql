-- One row per book image whose best bid is not below its best ask.
-- severity: error
create or replace view crossed_books as
select
    exchange,
    symbol,
    null::varchar as interval,
    ts,
    1::bigint as rows,
    'bid ' || bid || ', ask ' || ask as detail
from book_top
where bid >= ask;
