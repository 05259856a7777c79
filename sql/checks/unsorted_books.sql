-- One row per book image with a side out of order, a price twice on a side, or a level without a price and a size above zero.
-- severity: error
create or replace view unsorted_books as
with sides as (
    select
        exchange,
        symbol,
        ts,
        [level.price for level in bids] as bids,
        [level.price for level in asks] as asks,
        list_concat(bids, asks) as levels
    from stg_orderbook_l2
),

judged as (
    select
        *,
        bids is distinct from list_reverse_sort(list_distinct(bids)) as bids_wrong,
        asks is distinct from list_sort(list_distinct(asks)) as asks_wrong,
        len([
            level for level in levels if not coalesce(
                level.price > 0 and level.size > 0 and isfinite(level.price) and isfinite(level.size), false
            )
        ]) as bad_levels
    from sides
)

select
    exchange,
    symbol,
    null::varchar as interval,
    ts,
    1::bigint as rows,
    concat_ws(
        ', ',
        case when bids_wrong then 'bids do not fall strictly' end,
        case when asks_wrong then 'asks do not rise strictly' end,
        case when bad_levels > 0 then bad_levels || ' levels without a price and a size' end
    ) as detail
from judged
where bids_wrong or asks_wrong or bad_levels > 0;
