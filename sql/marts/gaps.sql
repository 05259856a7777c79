-- One row per run of missing bars of one class: no_trade, outage, never_fetched or lost, with the evidence for it.
-- Buckets are numbered by their place on their interval's grid (slots); all ranges of slots are half open. Runs of missing
-- bars are cut wherever something that is known changes, classed piece by piece, and joined again. docs/gaps.md has the rules.
-- column bars: how many bars are missing
-- column ts: nanoseconds since the epoch, UTC, when the first missing bar would open
-- column end_ts: nanoseconds since the epoch, UTC, when the last missing bar would close
-- column reason: what decided the class, one word for programs
create or replace view gaps as
with spells as materialized (
    select *
    from stg_spells
),

-- What was asked for of bars, and what damaged files held (the span of a series reaches over that too), in slots.

asked as (
    select
        exchange,
        symbol,
        interval,
        start_ts,
        least(
            end_ts,
            greatest(asked_ts, coalesce(getvariable('now_ns')::bigint, epoch_ns(now() at time zone 'UTC')))
        ) as end_ts,
        rows,
        asked_ts,
        false as is_lost
    from stg_coverage
    where dataset = 'ohlcv'
    union all
    select
        exchange,
        symbol,
        interval,
        start_ts,
        least(end_ts, lost_ts) as end_ts,
        rows,
        lost_ts as asked_ts,
        true as is_lost
    from stg_lost
    where dataset = 'ohlcv' and exchange is not null and symbol is not null and interval is not null
),

asked_grids as (
    select
        asked.*,
        step_ns(asked.interval) as step_ns,
        coalesce(
            grids.phase_ns,
            case when right(asked.interval, 1) = 'w' then 345600000000000 else 0 end
        ) as phase_ns
    from asked
    left join (select distinct exchange, symbol, interval, phase_ns from spells) as grids
        using (exchange, symbol, interval)
),

spans as materialized (
    select
        row_number() over () as range_id,
        is_lost,
        exchange,
        symbol,
        interval,
        step_ns,
        phase_ns,
        slot_from(start_ts, step_ns, phase_ns) as from_slot,
        slot_from(end_ts, step_ns, phase_ns) as to_slot,
        rows,
        asked_ts
    from asked_grids
    where end_ts > start_ts
),

ranges as materialized (
    select * exclude (is_lost)
    from spans
    where not is_lost
),

-- The span of each series, and the holes in it.

series as materialized (
    select
        exchange,
        symbol,
        interval,
        any_value(step_ns) as step_ns,
        any_value(phase_ns) as phase_ns,
        min(from_slot) as from_slot,
        max(to_slot) as to_slot,
        min(bar_slot) as first_bar,
        sum(bars)::bigint as bars
    from (
        select
            exchange, symbol, interval, step_ns, phase_ns, from_slot, to_slot,
            from_slot as bar_slot, to_slot - from_slot as bars
        from spells
        union all
        select
            exchange, symbol, interval, step_ns, phase_ns, from_slot, to_slot,
            null as bar_slot, 0 as bars
        from spans
        where to_slot > from_slot
    )
    group by exchange, symbol, interval
),

-- What damaged files held; whatever was asked for before that does not count there any more.

losses as materialized (
    select
        series.exchange,
        series.symbol,
        series.interval,
        slot_from(lost.start_ts, series.step_ns, series.phase_ns) as from_slot,
        slot_from(lost.end_ts, series.step_ns, series.phase_ns) as to_slot,
        lost.rows,
        lost.lost_ts
    from series
    inner join stg_lost as lost
        on lost.dataset = 'ohlcv'
        and coalesce(lost.exchange, series.exchange) = series.exchange
        and coalesce(lost.symbol, series.symbol) = series.symbol
        and coalesce(lost.interval, series.interval) = series.interval
),

bounded as (
    select exchange, symbol, interval, from_slot, to_slot
    from spells
    union all
    select exchange, symbol, interval, unnest([from_slot, to_slot]) as from_slot, from_slot as to_slot
    from series
),

neighbours as (
    select
        exchange,
        symbol,
        interval,
        from_slot as to_slot,
        max(to_slot) over (
            partition by exchange, symbol, interval
            order by from_slot, to_slot
            rows between unbounded preceding and 1 preceding
        ) as from_slot
    from bounded
),

holes as materialized (
    select
        exchange,
        symbol,
        interval,
        from_slot,
        to_slot,
        (sum(to_slot - from_slot) over (
            partition by exchange, symbol, interval
            order by from_slot
        ))::bigint - (to_slot - from_slot) as missing_before
    from neighbours
    where to_slot > from_slot
),

-- Rows that came but broke a rule.

refused as materialized (
    select distinct
        series.exchange,
        series.symbol,
        series.interval,
        slot_of_bar(refused.ts, series.step_ns, series.phase_ns) as slot
    from stg_rejected as refused
    inner join series using (exchange, symbol, interval)
    where refused.dataset = 'ohlcv' and refused.ts is not null
),

refused_holes as materialized (
    select refused.*
    from refused
    asof join holes
        on refused.exchange = holes.exchange
        and refused.symbol = holes.symbol
        and refused.interval = holes.interval
        and refused.slot >= holes.from_slot
    where refused.slot < holes.to_slot
),

-- How many bars are here of each range that was asked for; it is whole where no fewer than came.

range_losses as materialized (
    select
        -row_number() over () as loss_id,
        ranges.range_id,
        ranges.exchange,
        ranges.symbol,
        ranges.interval,
        greatest(ranges.from_slot, losses.from_slot) as from_slot,
        least(ranges.to_slot, losses.to_slot) as to_slot,
        losses.rows
    from ranges
    inner join losses
        on losses.exchange = ranges.exchange
        and losses.symbol = ranges.symbol
        and losses.interval = ranges.interval
        and losses.lost_ts >= ranges.asked_ts
        and losses.from_slot < ranges.to_slot
        and losses.to_slot > ranges.from_slot
),

range_ends as (
    select range_id as id, exchange, symbol, interval, unnest([from_slot, to_slot]) as slot, unnest([-1, 1]) as sign
    from ranges
    where to_slot > from_slot
    union all
    select loss_id as id, exchange, symbol, interval, unnest([from_slot, to_slot]) as slot, unnest([-1, 1]) as sign
    from range_losses
),

missing_in as materialized (
    select
        range_ends.id,
        sum(
            range_ends.sign
            * coalesce(holes.missing_before + least(range_ends.slot, holes.to_slot) - holes.from_slot, 0)
        )::bigint as missing
    from range_ends
    asof left join holes
        on range_ends.exchange = holes.exchange
        and range_ends.symbol = holes.symbol
        and range_ends.interval = holes.interval
        and range_ends.slot >= holes.from_slot
    group by range_ends.id
),

range_lost as (
    select range_id, sum(least(coalesce(rows, missing), missing))::bigint as lost
    from range_losses
    inner join missing_in on missing_in.id = range_losses.loss_id
    group by range_id
),

range_refused as (
    select ranges.range_id, count(*) as refused
    from ranges
    inner join refused_holes as refused
        on refused.exchange = ranges.exchange
        and refused.symbol = ranges.symbol
        and refused.interval = ranges.interval
        and refused.slot >= ranges.from_slot
        and refused.slot < ranges.to_slot
    group by ranges.range_id
),

judged as materialized (
    select
        ranges.*,
        to_slot - from_slot - missing + coalesce(refused, 0) as here,
        rows <= to_slot - from_slot - missing + coalesce(refused, 0) + coalesce(lost, 0) as is_whole
    from ranges
    inner join missing_in on missing_in.id = ranges.range_id
    left join range_refused using (range_id)
    left join range_lost using (range_id)
),

loss_neighbours as (
    select
        range_id,
        to_slot,
        greatest(
            from_slot,
            coalesce(max(to_slot) over (
                partition by range_id
                order by from_slot, to_slot
                rows between unbounded preceding and 1 preceding
            ), from_slot)
        ) as from_slot
    from range_losses
),

counted as (
    select exchange, symbol, interval, from_slot, to_slot, 1 as sign, is_whole, rows, here
    from judged
    union all
    select exchange, symbol, interval, lost.from_slot, lost.to_slot, -1 as sign, is_whole, rows, here
    from judged
    inner join loss_neighbours as lost using (range_id)
    where lost.to_slot > lost.from_slot
),

asked_changes as (
    select
        exchange,
        symbol,
        interval,
        unnest([from_slot, to_slot]) as slot,
        unnest([sign, -sign]) * is_whole::bigint as whole,
        unnest([sign, -sign]) * (not is_whole)::bigint as short,
        unnest([sign, -sign]) * case when is_whole then 0 else rows end as short_rows,
        unnest([sign, -sign]) * case when is_whole then 0 else here end as short_here,
        0 as lost
    from counted
    union all
    select
        exchange, symbol, interval,
        unnest([from_slot, to_slot]) as slot,
        0 as whole, 0 as short, 0 as short_rows, 0 as short_here,
        unnest([1, -1]) as lost
    from losses
),

asked_states as materialized (
    select
        exchange,
        symbol,
        interval,
        slot,
        sum(sum(whole)) over so_far as whole,
        sum(sum(short)) over so_far as short,
        (sum(sum(short_rows)) over so_far)::bigint as short_rows,
        (sum(sum(short_here)) over so_far)::bigint as short_here,
        sum(sum(lost)) over so_far as lost
    from asked_changes
    group by exchange, symbol, interval, slot
    window so_far as (partition by exchange, symbol, interval order by slot)
),

-- Trades: which ranges of theirs are known, and in which missing buckets there are some.

trade_slots as (
    select
        series.exchange,
        series.symbol,
        series.interval,
        is_whole,
        slot_from(start_ts, step_ns, phase_ns) as from_slot,
        slot_of(end_ts, step_ns, phase_ns) as to_slot
    from series
    inner join stg_known_trades using (exchange, symbol)
),

trade_changes as (
    select
        exchange,
        symbol,
        interval,
        unnest([from_slot, to_slot]) as slot,
        unnest([1, -1]) * is_whole::bigint as whole,
        unnest([1, -1]) * (not is_whole)::bigint as short
    from trade_slots
    where to_slot > from_slot
),

trade_states as materialized (
    select
        exchange,
        symbol,
        interval,
        slot,
        sum(sum(whole)) over so_far as whole,
        sum(sum(short)) over so_far as short
    from trade_changes
    group by exchange, symbol, interval, slot
    window so_far as (partition by exchange, symbol, interval order by slot)
),

traded_markets as materialized (
    select distinct exchange, symbol
    from raw.trades
),

hole_times as (
    select
        exchange,
        symbol,
        slot_ns(holes.from_slot, step_ns, phase_ns) as ts,
        slot_ns(holes.to_slot, step_ns, phase_ns) as end_ts
    from holes
    inner join series using (exchange, symbol, interval)
),

hole_hours as (
    select distinct exchange, symbol, hour
    from (
        select
            exchange,
            symbol,
            unnest(range(ts // 3600000000000, (end_ts - 1) // 3600000000000 + 1)) as hour
        from hole_times
        where (exchange, symbol) in (select (exchange, symbol) from traded_markets)
    )
),

trade_minutes as (
    select
        trades.exchange,
        trades.symbol,
        trades.ts // 60000000000 * 60000000000 as ts,
        count(*) as trades
    from raw.trades as trades
    inner join hole_hours
        on hole_hours.exchange = trades.exchange
        and hole_hours.symbol = trades.symbol
        and hole_hours.hour = trades.ts // 3600000000000
    group by trades.exchange, trades.symbol, trades.ts // 60000000000
),

traded as (
    select
        series.exchange,
        series.symbol,
        series.interval,
        slot_of(ts, step_ns, phase_ns) as slot,
        sum(trades)::bigint as trades
    from trade_minutes
    inner join series using (exchange, symbol)
    group by all
),

traded_holes as materialized (
    select traded.*
    from traded
    asof join holes
        on traded.exchange = holes.exchange
        and traded.symbol = holes.symbol
        and traded.interval = holes.interval
        and traded.slot >= holes.from_slot
    where traded.slot < holes.to_slot
),

-- Holes cut at every change, and each piece judged.

cuts as (
    select exchange, symbol, interval, slot
    from asked_states
    union all
    select exchange, symbol, interval, slot
    from trade_states
    union all
    select exchange, symbol, interval, unnest([slot, slot + 1]) as slot
    from traded_holes
    union all
    select exchange, symbol, interval, unnest([slot, slot + 1]) as slot
    from refused_holes
),

starts as (
    select cuts.exchange, cuts.symbol, cuts.interval, cuts.slot as from_slot, holes.to_slot
    from cuts
    asof join holes
        on cuts.exchange = holes.exchange
        and cuts.symbol = holes.symbol
        and cuts.interval = holes.interval
        and cuts.slot >= holes.from_slot
    where cuts.slot < holes.to_slot
    union
    select exchange, symbol, interval, from_slot, to_slot
    from holes
),

pieces as materialized (
    select
        exchange,
        symbol,
        interval,
        from_slot,
        least(
            to_slot,
            coalesce(
                lead(from_slot) over (partition by exchange, symbol, interval order by from_slot),
                to_slot
            )
        ) as to_slot
    from starts
),

asked_pieces as (
    select pieces.*, states.whole, states.short, states.short_rows, states.short_here, states.lost
    from pieces
    asof left join asked_states as states
        on pieces.exchange = states.exchange
        and pieces.symbol = states.symbol
        and pieces.interval = states.interval
        and pieces.from_slot >= states.slot
),

known_pieces as (
    select pieces.*, states.whole as trades_whole, states.short as trades_short
    from asked_pieces as pieces
    asof left join trade_states as states
        on pieces.exchange = states.exchange
        and pieces.symbol = states.symbol
        and pieces.interval = states.interval
        and pieces.from_slot >= states.slot
),

reasons as materialized (
    select
        pieces.exchange,
        pieces.symbol,
        pieces.interval,
        pieces.from_slot,
        pieces.to_slot,
        traded.trades,
        pieces.short_rows,
        pieces.short_here,
        case
            when traded.trades > 0 and pieces.trades_whole > 0 then 'trades_make_it'
            when traded.trades > 0 and (pieces.whole > 0 or pieces.short > 0 or pieces.trades_short > 0)
                then 'traded'
            when refused.slot is not null then 'refused'
            when traded.trades > 0 then 'unasked_traded'
            when pieces.trades_whole > 0 and pieces.whole > 0 then 'empty_by_both'
            when pieces.trades_whole > 0 then 'empty_by_trades'
            when pieces.whole > 0 then 'empty_by_candles'
            when pieces.lost > 0 then 'damaged'
            when pieces.short > 0 then 'candles_short'
            when pieces.trades_short > 0 then 'trades_short'
            else 'unasked'
        end as reason
    from known_pieces as pieces
    left join traded_holes as traded
        on traded.exchange = pieces.exchange
        and traded.symbol = pieces.symbol
        and traded.interval = pieces.interval
        and traded.slot = pieces.from_slot
    left join refused_holes as refused
        on refused.exchange = pieces.exchange
        and refused.symbol = pieces.symbol
        and refused.interval = pieces.interval
        and refused.slot = pieces.from_slot
),

-- Outages: nothing at all at an exchange while at least two series that are known there are silent, and unlikely so.

silent as materialized (
    select exchange, symbol, interval, reasons.from_slot, reasons.to_slot
    from reasons
    inner join series using (exchange, symbol, interval)
    where reason in ('empty_by_both', 'empty_by_trades', 'empty_by_candles') and reasons.from_slot >= first_bar
),

weights as (
    select
        exchange,
        symbol,
        interval,
        any_value(phase_ns) as phase_ns,
        floor(
            ln(1 - least(any_value(bars) / (any_value(bars) + sum(silent.to_slot - silent.from_slot)), 1 - 1e-9))
            * 1000000
        )::bigint as micro_ln
    from silent
    inner join series using (exchange, symbol, interval)
    group by exchange, symbol, interval
),

exchange_changes as (
    select
        exchange, interval, phase_ns,
        unnest([from_slot, to_slot]) as slot,
        unnest([1, -1]) as something, 0 as silent, 0 as micro_ln
    from series
    union all
    select
        reasons.exchange, interval, phase_ns,
        unnest([reasons.from_slot, reasons.to_slot]) as slot,
        unnest([-1, 1]) as something, 0 as silent, 0 as micro_ln
    from reasons
    inner join series using (exchange, symbol, interval)
    where reason not in ('trades_make_it', 'traded', 'unasked_traded', 'refused')
    union all
    select
        exchange, interval, phase_ns,
        unnest([from_slot, to_slot]) as slot,
        0 as something, unnest([1, -1]) as silent, unnest([1, -1]) * micro_ln as micro_ln
    from silent
    inner join weights using (exchange, symbol, interval)
),

exchange_states as (
    select
        exchange,
        interval,
        phase_ns,
        slot,
        lead(slot) over so_far as to_slot,
        sum(sum(something)) over so_far as something,
        sum(sum(silent)) over so_far as silent,
        sum(sum(micro_ln)) over so_far as micro_ln
    from exchange_changes
    group by exchange, interval, phase_ns, slot
    window so_far as (partition by exchange, interval, phase_ns order by slot)
),

quiet as (
    select
        *,
        sum((something > 0 or silent < 2)::bigint) over (
            partition by exchange, interval, phase_ns order by slot rows unbounded preceding
        ) as run
    from exchange_states
),

outages as materialized (
    select
        exchange,
        interval,
        phase_ns,
        min(slot) as from_slot,
        max(to_slot) as to_slot,
        min(silent)::bigint as silent,
        exp((sum(micro_ln * (to_slot - slot)) / 1000000)::double) as probability
    from quiet
    where something = 0 and silent >= 2
    group by exchange, interval, phase_ns, run
    having sum(micro_ln * (to_slot - slot)) < ln(1e-6) * 1000000
),

outage_changes as materialized (
    select exchange, symbol, interval, outages.from_slot as slot, silent, probability
    from outages
    inner join series using (exchange, interval, phase_ns)
    union all
    select exchange, symbol, interval, outages.to_slot as slot, null as silent, null as probability
    from outages
    inner join series using (exchange, interval, phase_ns)
    where (exchange, interval, phase_ns, outages.to_slot) not in (
        select (exchange, interval, phase_ns, from_slot) from outages
    )
),

outage_cuts as (
    select distinct changes.exchange, changes.symbol, changes.interval, changes.slot
    from outage_changes as changes
    asof join silent
        on changes.exchange = silent.exchange
        and changes.symbol = silent.symbol
        and changes.interval = silent.interval
        and changes.slot >= silent.from_slot
    where changes.slot < silent.to_slot
),

outage_starts as (
    select
        exchange, symbol, interval, from_slot,
        struct_pack(to_slot, trades, short_rows, short_here, reason) as piece
    from reasons
    union all
    select exchange, symbol, interval, slot as from_slot, null as piece
    from outage_cuts
    where (exchange, symbol, interval, slot) not in (select (exchange, symbol, interval, from_slot) from reasons)
),

-- An asof join would do; some versions of DuckDB make that a loop over all pairs where they expect few rows.

outage_carried as (
    select
        exchange,
        symbol,
        interval,
        from_slot,
        last_value(piece ignore nulls) over so_far as piece,
        lead(from_slot) over (partition by exchange, symbol, interval order by from_slot) as next_slot
    from outage_starts
    window so_far as (
        partition by exchange, symbol, interval
        order by from_slot
        rows between unbounded preceding and current row
    )
),

outage_pieces as (
    select
        exchange,
        symbol,
        interval,
        from_slot,
        least(piece.to_slot, coalesce(next_slot, piece.to_slot)) as to_slot,
        piece.trades as trades,
        piece.short_rows as short_rows,
        piece.short_here as short_here,
        piece.reason as reason
    from outage_carried
),

classed as (
    select
        pieces.*,
        series.step_ns,
        series.phase_ns,
        changes.silent,
        changes.probability,
        case
            when pieces.reason not like 'empty_by_%' then pieces.reason
            when coalesce(pieces.from_slot < series.first_bar, true) then 'before_' || pieces.reason
            when changes.silent > 0 then 'outage'
            else pieces.reason
        end as final_reason
    from outage_pieces as pieces
    inner join series using (exchange, symbol, interval)
    asof left join outage_changes as changes
        on pieces.exchange = changes.exchange
        and pieces.symbol = changes.symbol
        and pieces.interval = changes.interval
        and pieces.from_slot >= changes.slot
),

-- Neighbouring pieces of one reason as one run.

followed as (
    select
        *,
        coalesce(
            final_reason <> lag(final_reason) over in_order or from_slot <> lag(to_slot) over in_order,
            true
        ) as is_new
    from classed
    window in_order as (partition by exchange, symbol, interval order by from_slot)
),

numbered as (
    select
        *,
        sum(is_new::bigint) over (
            partition by exchange, symbol, interval order by from_slot rows unbounded preceding
        ) as run
    from followed
),

runs as (
    select
        exchange,
        symbol,
        interval,
        min(from_slot) as from_slot,
        max(to_slot) as to_slot,
        any_value(step_ns) as step_ns,
        any_value(phase_ns) as phase_ns,
        any_value(final_reason) as reason,
        sum(trades)::bigint as trades,
        max(short_rows) as short_rows,
        min(short_here) as short_here,
        min(silent) as silent,
        max(probability) as probability
    from numbered
    group by exchange, symbol, interval, run
),

timed as (
    select
        *,
        slot_ns(from_slot, step_ns, phase_ns) as ts,
        slot_ns(to_slot, step_ns, phase_ns) as end_ts
    from runs
)

select
    exchange,
    symbol,
    interval,
    ts,
    end_ts,
    make_timestamp(ts // 1000) as time,
    make_timestamp(end_ts // 1000) as end_time,
    (to_slot - from_slot)::bigint as bars,
    case
        when reason = 'outage' then 'outage'
        when reason like '%empty_by_%' then 'no_trade'
        when reason like 'unasked%' then 'never_fetched'
        else 'lost'
    end as class,
    reason,
    case reason
        when 'trades_make_it' then trades || ' trades are here, all that there were; they make the bars that are missing'
        when 'traded' then trades || ' trades are here, so there were bars'
        when 'refused' then 'bars came but broke a rule; they are in rejected'
        when 'damaged' then 'a damaged file held this range; it is in quarantine'
        when 'candles_short' then 'of ' || short_rows || ' bars that came for the ranges around it, '
            || short_here || ' are here'
        when 'trades_short' then 'trades were fetched, but not all of them are here; bars were never asked for'
        when 'unasked_traded' then 'never asked for; ' || trades || ' trades are here, not known to be all'
        when 'unasked' then 'never asked for, neither bars nor trades'
        when 'empty_by_both' then 'asked and empty, by candles and trades'
        when 'empty_by_candles' then 'asked and empty, by candles only'
        when 'empty_by_trades' then 'asked and empty, by trades only'
        when 'before_empty_by_both' then 'before the first bar: asked and empty, by candles and trades'
        when 'before_empty_by_candles' then 'before the first bar: asked and empty, by candles only'
        when 'before_empty_by_trades' then 'before the first bar: asked and empty, by trades only'
        when 'outage' then 'all ' || silent || ' series known there are silent; by their usual activity that '
            || 'has a probability '
            || case when probability < 1e-300 then 'below 1e-300' else 'of ' || printf('%.1e', probability) end
    end as evidence
from timed;
