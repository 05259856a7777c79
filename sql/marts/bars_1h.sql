-- One row per exchange, symbol and UTC hour: the stored bars, else rolled up from the coarsest that divide it, complete ones only.
create or replace view bars_1h as
select *
from bars_at('1h');
