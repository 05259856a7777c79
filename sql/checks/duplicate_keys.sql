-- One row per exchange, symbol, interval and opening that more than one bar has.
-- severity: error
-- suspect: not whole
create or replace view duplicate_keys as
select
    exchange,
    symbol,
    interval,
    ts,
    (count(*) - 1)::bigint as rows,
    count(*) || ' bars open at once' as detail
from stg_ohlcv
group by exchange, symbol, interval, ts
having count(*) > 1;
