-- One row per exchange, symbol and order of ours, as it stood when it was written.
create or replace view orders as
select *
from stg_orders;
