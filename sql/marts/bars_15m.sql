-- One row per exchange, symbol and UTC fifteen minutes: the stored bars, else rolled up from the coarsest that divide it, complete ones only.
create or replace view bars_15m as
select *
from bars_at('15m');
