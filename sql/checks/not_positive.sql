-- One row per bar with a price that is not an ordinary number above zero, or a volume below zero.
-- severity: error
-- fact: ordered = bool_and(coalesce(low <= open and low <= close and high >= open and high >= close and volume >= 0, false))
-- fact: low_least = min(low)
-- fact: high_most = max(high)
-- fact: volume_most = max(volume)
-- suspect: not (ordered and low_least > 0 and high_most < 'infinity'::double and volume_most < 'infinity'::double)
create or replace view not_positive as
select
    exchange,
    symbol,
    interval,
    ts,
    1::bigint as rows,
    'open ' || coalesce(open::varchar, 'null') || ', high ' || coalesce(high::varchar, 'null')
    || ', low ' || coalesce(low::varchar, 'null') || ', close ' || coalesce(close::varchar, 'null')
    || ', volume ' || coalesce(volume::varchar, 'null') as detail
from stg_ohlcv
where
    not coalesce(
        open > 0 and high > 0 and low > 0 and close > 0 and volume >= 0
        and isfinite(open) and isfinite(high) and isfinite(low) and isfinite(close) and isfinite(volume),
        false
    );
