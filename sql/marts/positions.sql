-- One row per account and symbol that our fills have left it holding: how much, what it cost, what it is worth.
-- A sale leaves the average cost as it is; a position that was flat begins anew. Fees are not in the cost.
create or replace view positions as
with fills_in_order as (
    select
        exchange,
        symbol,
        ts,
        price,
        fee,
        case when side = 'buy' then size else -size end::decimal(28, 12) as change,
        row_number() over (partition by exchange, symbol order by ts, fill_id) as number
    from stg_fills
),

held as (
    select
        *,
        sum(change) over earlier as size_after,
        count(*) over earlier as fills
    from fills_in_order
    window earlier as (partition by exchange, symbol order by number)
),

since_flat as (
    select
        held.*,
        sum((size_after <= 0)::bigint) over (partition by exchange, symbol order by number desc) as flats
    from held
),

kept as (
    select
        *,
        product(
            case when change < 0 then size_after::double / (size_after - change)::double else 1.0 end
        ) over (
            partition by exchange, symbol order by number
        ) as part
    from since_flat
    where flats = 0
),

costs as (
    select
        exchange,
        symbol,
        max(part) filter (where number = newest) * sum(
            case when change > 0 then change::double * price / part else 0 end
        ) as cost,
        max(size_after) filter (where number = newest)::double as size
    from (select *, max(number) over (partition by exchange, symbol) as newest from kept)
    group by exchange, symbol
),

totals as (
    select
        exchange,
        symbol,
        count(*)::bigint as fills,
        sum(fee) as fees,
        max(ts) as last_fill_ts
    from stg_fills
    group by exchange, symbol
),

closes as (
    select
        symbol,
        arg_max(close, ts) as close,
        max(ts) as close_ts
    from raw.newest
    group by symbol
)

select
    make_timestamp(last_fill_ts // 1000) as last_fill_time,
    exchange as account,
    symbol,
    size,
    cost / size as average_cost,
    close,
    size * close as value,
    size * close - cost as profit,
    fees,
    fills,
    last_fill_ts,
    close_ts
from costs
inner join totals using (exchange, symbol)
left join closes using (symbol);
