-- One row per bar with a price that is not an ordinary number above zero, or a volume below zero.
-- severity: error
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
