-- Returns of one symbol from close to close: returns('BTC-BRL', '1h'); a gap is one step.
create or replace macro returns(symbol, interval := '1d') as table
select
    bar.time,
    bar.ts,
    bar.close,
    bar.close / lag(bar.close) over series - 1 as simple_return,
    ln(bar.close / lag(bar.close) over series) as log_return,
    bar.symbol,
    bar.exchange
from bars_at(interval) as bar
where bar.symbol = symbol
window series as (partition by bar.exchange, bar.symbol order by bar.ts);
