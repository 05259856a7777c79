-- One row per run of trade ids that are missing between two trades of Mercado Bitcoin, which numbers them without a gap.
-- severity: warn
create or replace view missing_trades as
with numbered as (
    select
        exchange,
        symbol,
        ts,
        try_cast(trade_id as bigint) as id,
        lag(id) over series as id_before,
        lag(ts) over series as ts_before
    from stg_trades
    where exchange = 'mercadobitcoin' and try_cast(trade_id as bigint) is not null
    window series as (partition by exchange, symbol order by try_cast(trade_id as bigint))
)

select
    exchange,
    symbol,
    null::varchar as interval,
    ts_before as ts,
    (id - id_before - 1)::bigint as rows,
    'no trade ' || (id_before + 1)
    || case when id - id_before > 2 then ' to ' || (id - 1) else '' end as detail
from numbered
where id - id_before > 1;
