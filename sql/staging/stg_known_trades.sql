-- One row per market and stretch of time of which trades were fetched: whether every trade that came for it is here.
-- A range is whole where no fewer trades are here than came; what a damaged file held is not, until it was asked for again.
-- Ranges that are whole and ranges that are not may overlap: whole ones prove what they hold.
create or replace view stg_known_trades as
with trade_ranges as materialized (
    select
        row_number() over () as range_id,
        exchange,
        symbol,
        start_ts,
        end_ts,
        rows,
        asked_ts
    from stg_coverage
    where dataset = 'trades'
),

trade_hours as materialized (
    select
        trades.exchange,
        trades.symbol,
        trades.ts // 3600000000000 as hour,
        count(*) as trades
    from raw.trades as trades
    inner join (select distinct exchange, symbol from trade_ranges) as markets
        on markets.exchange = trades.exchange and markets.symbol = trades.symbol
    group by trades.exchange, trades.symbol, trades.ts // 3600000000000
),

trades_so_far as materialized (
    select
        exchange,
        symbol,
        hour,
        trades,
        (sum(trades) over (partition by exchange, symbol order by hour))::bigint - trades as before
    from trade_hours
),

trade_ends as materialized (
    select distinct exchange, symbol, unnest([start_ts, end_ts]) as ts
    from trade_ranges
),

trades_of_the_hour as (
    select trade_ends.exchange, trade_ends.symbol, trade_ends.ts, count(*) as trades
    from raw.trades as trades
    inner join (
        select *, ts // 3600000000000 as hour
        from trade_ends
        where ts % 3600000000000 > 0
    ) as trade_ends
        on trade_ends.exchange = trades.exchange
        and trade_ends.symbol = trades.symbol
        and trade_ends.hour = trades.ts // 3600000000000
    where trades.ts < trade_ends.ts
    group by trade_ends.exchange, trade_ends.symbol, trade_ends.ts
),

trades_before as materialized (
    select
        ends.exchange,
        ends.symbol,
        ends.ts,
        coalesce(so_far.before, 0)
        + coalesce(case when so_far.hour < ends.ts // 3600000000000 then so_far.trades end, 0)
        + coalesce(within.trades, 0) as trades
    from trade_ends as ends
    asof left join trades_so_far as so_far
        on ends.exchange = so_far.exchange
        and ends.symbol = so_far.symbol
        and ends.ts // 3600000000000 >= so_far.hour
    left join trades_of_the_hour as within
        on within.exchange = ends.exchange and within.symbol = ends.symbol and within.ts = ends.ts
),

trades_refused as (
    select trade_ranges.range_id, count(*) as refused
    from trade_ranges
    inner join stg_rejected as refused
        on refused.exchange = trade_ranges.exchange
        and refused.symbol = trade_ranges.symbol
        and refused.ts >= trade_ranges.start_ts
        and refused.ts < trade_ranges.end_ts
    where
        refused.dataset = 'trades'
        and not list_has_any(refused.broken, ['same_key_other_values', 'replaced'])
    group by trade_ranges.range_id
),

trade_losses as materialized (
    select
        trade_ranges.range_id,
        greatest(trade_ranges.start_ts, lost.start_ts) as start_ts,
        least(trade_ranges.end_ts, lost.end_ts) as end_ts,
        lost.rows
    from trade_ranges
    inner join stg_lost as lost
        on lost.dataset = 'trades'
        and coalesce(lost.exchange, trade_ranges.exchange) = trade_ranges.exchange
        and coalesce(lost.symbol, trade_ranges.symbol) = trade_ranges.symbol
        and lost.lost_ts >= trade_ranges.asked_ts
        and lost.start_ts < trade_ranges.end_ts
        and lost.end_ts > trade_ranges.start_ts
),

trades_lost as (
    select range_id, sum(coalesce(rows, 1000000000000)) as lost
    from trade_losses
    group by range_id
),

trades_judged as materialized (
    select
        trade_ranges.*,
        rows <= till.trades - since.trades + coalesce(refused, 0) + coalesce(lost, 0) as is_whole
    from trade_ranges
    inner join trades_before as since
        on since.exchange = trade_ranges.exchange
        and since.symbol = trade_ranges.symbol
        and since.ts = trade_ranges.start_ts
    inner join trades_before as till
        on till.exchange = trade_ranges.exchange
        and till.symbol = trade_ranges.symbol
        and till.ts = trade_ranges.end_ts
    left join trades_refused using (range_id)
    left join trades_lost using (range_id)
),

trade_loss_neighbours as (
    select
        range_id,
        end_ts,
        greatest(
            start_ts,
            coalesce(max(end_ts) over (
                partition by range_id
                order by start_ts, end_ts
                rows between unbounded preceding and 1 preceding
            ), start_ts)
        ) as start_ts
    from trade_losses
),

trade_time_changes as (
    select
        exchange,
        symbol,
        unnest([start_ts, end_ts]) as ts,
        unnest([1, -1]) * is_whole::bigint as whole,
        unnest([1, -1]) * (not is_whole)::bigint as short
    from trades_judged
    union all
    select
        exchange,
        symbol,
        unnest([lost.start_ts, lost.end_ts]) as ts,
        unnest([-1, 1]) * is_whole::bigint as whole,
        unnest([1, -1]) * is_whole::bigint as short
    from trades_judged
    inner join trade_loss_neighbours as lost using (range_id)
    where lost.end_ts > lost.start_ts
),

trade_times as (
    select
        exchange,
        symbol,
        ts,
        lead(ts) over so_far as end_ts,
        sum(sum(whole)) over so_far > 0 as whole,
        sum(sum(short)) over so_far > 0 as short
    from trade_time_changes
    group by exchange, symbol, ts
    window so_far as (partition by exchange, symbol order by ts)
),

trade_runs as (
    select exchange, symbol, ts, end_ts, true as is_whole, whole as is_in,
        sum((not whole)::bigint) over (partition by exchange, symbol order by ts) as run
    from trade_times
    union all
    select exchange, symbol, ts, end_ts, false as is_whole, short as is_in,
        sum((not short)::bigint) over (partition by exchange, symbol order by ts) as run
    from trade_times
)

select
    exchange,
    symbol,
    is_whole,
    min(ts) as start_ts,
    max(end_ts) as end_ts
from trade_runs
where is_in
group by exchange, symbol, is_whole, run;
