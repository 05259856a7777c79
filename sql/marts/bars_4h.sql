-- One row per exchange, symbol and UTC four hours: the stored bars, else rolled up from the coarsest that divide it, complete ones only.
create or replace view bars_4h as
select *
from bars_at('4h');
