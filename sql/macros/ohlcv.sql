-- Closed bars of one symbol at any interval: ohlcv('BTC-BRL', '4h'), stored or made from finer ones.
create or replace macro ohlcv(symbol, interval) as table
select bar.*
from bars_at(interval) as bar
where bar.symbol = symbol;
