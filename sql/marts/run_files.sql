-- One row per run and file of the lake that it read.
create or replace view run_files as
select
    run,
    unnest(try_cast(config -> '$.data.files' as varchar[])) as file
from stg_runs;
