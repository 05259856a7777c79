-- One row per bar whose high is not its highest price or whose low is not its lowest.
-- severity: error
create or replace view ohlc_order as
select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    'open ' || open || ', high ' || high || ', low ' || low || ', close ' || close as detail
from stg_ohlcv
where high < greatest(open, low, close) or low > least(open, high, close);
