-- One row per run and file of the lake that it read.
create or replace view run_files as
select
    run,
    unnest(try_cast(try_cast(content as json) -> '$.data.files' as varchar[])) as file
from raw.runs
where raw.runs.file = 'config.json';
