-- One row per dataset, exchange, symbol, interval and set of rules that refused rows broke.
-- severity: warn
create or replace view rejected_rows as
select
    exchange,
    symbol,
    interval,
    min(ts) as ts,
    count(*)::bigint as rows,
    dataset || ': ' || array_to_string(broken, ', ') as detail
from stg_rejected
group by dataset, exchange, symbol, interval, broken;
