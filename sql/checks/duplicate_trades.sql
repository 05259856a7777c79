-- One row per exchange, symbol and trade id that more than one trade has.
-- severity: error
create or replace view duplicate_trades as
select
    exchange,
    symbol,
    null::varchar as interval,
    min(ts) as ts,
    (count(*) - 1)::bigint as rows,
    'trade ' || trade_id || ' is there ' || count(*) || ' times' as detail
from stg_trades
group by exchange, symbol, trade_id
having count(*) > 1;
