-- One row per exchange, symbol and fill of ours.
create or replace view fills as
select *
from stg_fills;
