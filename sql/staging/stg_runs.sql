-- One row per folder of a run whose JSON files are whole: what it was told, how it did and what it says of itself.
-- A run that was left half written is passed over; `cq runs list` names it.
create or replace view stg_runs as
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
    config,
    figures,
    said
from folders
where json_type(config) = 'OBJECT' and json_type(figures) = 'OBJECT' and json_type(said) = 'OBJECT';
