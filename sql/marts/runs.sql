-- One row per run of a strategy, a backtest, a session on paper or a trial of a sweep: what it was, what it read and how it did.
create or replace view runs as
with folders as (
    select
        run,
        max(content) filter (where file = 'config.json')::json as config,
        coalesce(max(content) filter (where file = 'metrics.json'), '{}')::json as figures,
        coalesce(max(content) filter (where file = 'run.json'), '{}')::json as said
    from raw.runs
    where file in ('config.json', 'metrics.json', 'run.json')
    group by run
)

select
    run,
    try_cast(said ->> 'started' as timestamp) as started,
    coalesce(said ->> 'mode', 'backtest') as mode,
    config ->> '$.strategy.name' as strategy,
    config ->> '$.strategy.interval' as interval,
    (config -> 'symbols')::varchar[] as symbols,
    try_cast(config ->> '$.data.first' as timestamp) as first_time,
    try_cast(config ->> '$.data.last' as timestamp) as last_time,
    (config ->> '$.data.rows')::bigint as rows,
    (figures ->> 'total_return')::double as total_return,
    (figures ->> 'buy_and_hold')::double as buy_and_hold,
    (figures ->> 'annualized_return')::double as annualized_return,
    (figures ->> 'sharpe')::double as sharpe,
    (figures ->> 'max_dd')::double as max_dd,
    (figures ->> 'hit_rate')::double as hit_rate,
    (figures ->> 'payoff')::double as payoff,
    (figures ->> 'turnover')::double as turnover,
    (figures ->> 'trades')::bigint as trades,
    (figures ->> 'round_trips')::bigint as round_trips,
    (figures ->> 'fees')::double as fees,
    (figures ->> 'slippage')::double as slippage,
    (figures ->> 'exposure')::double as exposure,
    (config ->> '$.backtest.cash')::double as cash,
    coalesce(config ->> '$.data.digest', config ->> '$.data.sha256') as data_sha256,
    (said ->> 'trials')::bigint as trials,
    (said ->> 'dsr')::double as dsr,
    json(config)::varchar as config
from folders
where config is not null
union all by name
select
    run || '/' || trial as run,
    try_cast(started as timestamp) as started,
    'trial' as mode,
    strategy,
    interval,
    symbols,
    make_timestamp(first_ts // 1000) as first_time,
    make_timestamp(last_ts // 1000) as last_time,
    rows,
    total_return,
    buy_and_hold,
    annualized_return,
    sharpe,
    max_dd,
    hit_rate,
    payoff,
    turnover,
    trades,
    round_trips,
    fees,
    slippage,
    exposure,
    cash,
    config
from raw.trials;
