-- One row per account and symbol that our fills have left it holding: how much, what it cost, what it is worth.
-- A sale leaves the average cost as it is; a position that was flat, or below zero, begins anew. Fees are not in the cost.
-- Fills of one instant come in the order of the numbers that their ids end in.
create or replace view positions as
with fills_in_order as (
    select
        exchange,
        symbol,
        ts,
        price,
        fee,
        case when side = 'buy' then size else -size end::decimal(28, 12) as change,
        row_number() over (partition by exchange, symbol order by ts, length(fill_id), fill_id) as number
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
            case when change > 0 then least(change, size_after)::double * price / part else 0 end
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
        exchange as traded_at,
        symbol,
        arg_max(close, ts) as close,
        max(ts) as close_ts
    from raw.newest
    group by exchange, symbol
),

-- an account on paper has the name of its run, which may say whose bars it followed
followed as (
    select
        run as exchange,
        try_cast(content as json) ->> '$.strategy.exchange' as traded_at
    from raw.runs
    where file = 'config.json'
),

marks as (
    select
        costs.exchange,
        costs.symbol,
        closes.close,
        closes.close_ts,
        row_number() over (
            partition by costs.exchange, costs.symbol
            order by
                closes.traded_at = coalesce(followed.traded_at, costs.exchange) desc,
                closes.close_ts desc,
                closes.traded_at
        ) as place
    from costs
    inner join closes on costs.symbol = closes.symbol
    left join followed on costs.exchange = followed.exchange
)

select
    make_timestamp(totals.last_fill_ts // 1000) as last_fill_time,
    costs.exchange as account,
    costs.symbol,
    costs.size,
    costs.cost / costs.size as average_cost,
    marks.close,
    costs.size * marks.close as value,
    costs.size * marks.close - costs.cost as profit,
    totals.fees,
    totals.fills,
    totals.last_fill_ts,
    marks.close_ts
from costs
inner join totals on costs.exchange = totals.exchange and costs.symbol = totals.symbol
left join marks on costs.exchange = marks.exchange and costs.symbol = marks.symbol and marks.place = 1;
