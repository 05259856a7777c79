-- One row per exchange, symbol and UTC week from Monday on: the stored bars, else rolled up from the coarsest that divide it, complete ones only.
create or replace view bars_1w as
select *
from bars_at('1w');
