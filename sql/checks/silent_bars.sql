-- One row per run of bars that are missing because nobody traded, or because the exchange was down.
-- severity: info
-- Such a bar is as it should be; those that are not are in `missing_bars`.
create or replace view silent_bars as
select
    exchange,
    symbol,
    interval,
    ts,
    bars as rows,
    'no bar from ' || strftime(time, '%Y-%m-%d %H:%M')
    || ' to ' || strftime(end_time, '%Y-%m-%d %H:%M') || ' (' || class || ': ' || evidence || ')' as detail
from gaps
where class in ('no_trade', 'outage');
