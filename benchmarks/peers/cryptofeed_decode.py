"""cryptofeed's own way from a message's text to its callback; prints the seconds for N trades."""

import asyncio
import sys
import time

from cryptofeed.defines import TRADES
from cryptofeed.exchanges.binance import Binance


def texts(count: int) -> list[str]:
    return [
        f'{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":1790138577211,"s":"BTCUSDT",'
        f'"a":{21426785 + n},"p":"485685.00","q":"0.00016287","f":{n},"l":{n},'
        f'"T":1790138577211,"m":true,"M":true}}}}'
        for n in range(count)
    ]


async def timed(count: int) -> float:
    seen = 0

    async def callback(_: object, __: float) -> None:
        nonlocal seen
        seen += 1

    feed = Binance.__new__(Binance)
    feed.callbacks = {TRADES: [callback]}
    feed.exchange_symbol_to_std_symbol = {"BTCUSDT": "BTC-USDT"}.__getitem__
    lines = texts(count)
    began = time.perf_counter()
    for line in lines:
        await feed.message_handler(line, None, 0.0)
    took = time.perf_counter() - began
    assert seen == count
    return took


if __name__ == "__main__":
    print(asyncio.run(timed(int(sys.argv[1]))))
