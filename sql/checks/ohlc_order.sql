-- One row per bar whose high is not its highest price or whose low is not its lowest.
-- severity: error
-- fact: ordered = bool_and(coalesce(low <= open and low <= close and high >= open and high >= close and volume >= 0, false))
-- fact: low_least = min(low)
-- fact: high_most = max(high)
-- fact: volume_most = max(volume)
-- suspect: not (ordered and low_least > 0 and high_most < 'infinity'::double and volume_most < 'infinity'::double)
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
