-- One row per run and bar: what the account was worth at its close, and how far that is below the best so far.
create or replace view equity as
select
    make_timestamp(ts // 1000) as time,
    ts,
    equity,
    cash,
    exposure,
    equity / max(equity) over (partition by run order by ts) - 1 as drawdown,
    run
from raw.equity
where run in (select run from stg_runs);
