-- One row per refused row, with the rules it broke.
create or replace view rejected as
select *
from stg_rejected;
