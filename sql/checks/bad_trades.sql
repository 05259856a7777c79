-- One row per trade without a price and a size above zero, or with a side that is not buy or sell.
-- severity: error
create or replace view bad_trades as
select
    exchange,
    symbol,
    null::varchar as interval,
    ts,
    1::bigint as rows,
    'price ' || coalesce(price::varchar, 'null') || ', size ' || coalesce(size::varchar, 'null')
    || ', side ' || coalesce(side, 'null') as detail
from stg_trades
where
    not coalesce(price > 0 and size > 0 and isfinite(price) and isfinite(size), false)
    or side not in ('buy', 'sell');
