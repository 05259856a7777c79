-- One row per run of bars that are missing because nobody asked for them, or because they are lost.
-- severity: error
-- A missing bar in which nobody traded, or while the exchange was down, is as it should be.
create or replace view missing_bars as
select
    exchange,
    symbol,
    interval,
    ts,
    bars as rows,
    'no bar from ' || strftime(time, '%Y-%m-%d %H:%M')
    || ' to ' || strftime(end_time, '%Y-%m-%d %H:%M') || ' (' || class || ': ' || evidence || ')' as detail
from gaps
where class in ('never_fetched', 'lost');
