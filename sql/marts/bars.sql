-- One row per exchange, symbol, interval and closed bar; ts is the bar's opening, nanoseconds UTC.
create or replace view bars as
select * exclude (step_ns, end_ts)
from stg_ohlcv;
