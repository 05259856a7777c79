-- Which stored bars serve an interval: those of itself, else the coarsest that divide it, by exchange and symbol.
-- Of two names of one length, such as 1d and 24h, the first in the order of text.
create or replace macro sources(step) as table
select
    known.exchange,
    known.symbol,
    arg_min(
        known.interval,
        (known.interval <> step, -coalesce(step_ns(known.interval), 0), known.interval)
    ) as interval
from raw.series as known
where known.interval = step or divides(known.interval, step)
group by known.exchange, known.symbol;
