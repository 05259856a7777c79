-- One row per run of a strategy, a backtest, a session on paper or a trial of a sweep: what it was, what it read and how it did.
create or replace view runs as
with folders as (
    select
        run,
        try_cast(max(content) filter (where file = 'config.json') as json) as config,
        try_cast(coalesce(max(content) filter (where file = 'metrics.json'), '{}') as json) as figures,
        try_cast(coalesce(max(content) filter (where file = 'run.json'), '{}') as json) as said
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
    try_cast(config -> 'symbols' as varchar[]) as symbols,
    try_cast(config ->> '$.data.first' as timestamp) as first_time,
    try_cast(config ->> '$.data.last' as timestamp) as last_time,
    try_cast(config ->> '$.data.rows' as bigint) as rows,
    try_cast(figures ->> 'total_return' as double) as total_return,
    try_cast(figures ->> 'buy_and_hold' as double) as buy_and_hold,
    try_cast(figures ->> 'annualized_return' as double) as annualized_return,
    try_cast(figures ->> 'sharpe' as double) as sharpe,
    try_cast(figures ->> 'max_dd' as double) as max_dd,
    try_cast(figures ->> 'hit_rate' as double) as hit_rate,
    try_cast(figures ->> 'payoff' as double) as payoff,
    try_cast(figures ->> 'turnover' as double) as turnover,
    try_cast(figures ->> 'trades' as bigint) as trades,
    try_cast(figures ->> 'round_trips' as bigint) as round_trips,
    try_cast(figures ->> 'fees' as double) as fees,
    try_cast(figures ->> 'slippage' as double) as slippage,
    try_cast(figures ->> 'exposure' as double) as exposure,
    try_cast(config ->> '$.backtest.cash' as double) as cash,
    coalesce(config ->> '$.data.digest', config ->> '$.data.sha256') as data_sha256,
    try_cast(said ->> 'trials' as bigint) as trials,
    try_cast(said ->> 'dsr' as double) as dsr,
    json(config)::varchar as config
from folders
-- a run that was left half written is passed over; `cq runs list` names it
where json_type(config) = 'OBJECT' and json_type(figures) = 'OBJECT' and json_type(said) = 'OBJECT'
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
