-- One row per range that was asked for, so that a missing bar is known to be no trade or never fetched.
create or replace view coverage as
select *
from stg_coverage;
