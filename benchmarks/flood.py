"""A socket that sends Mercado Bitcoin's trade frames as fast as it is read, or at a pace.

    python benchmarks/flood.py COUNT [PER_SECOND]

Prints its port, serves until killed. Frames are made before anybody connects, so that what is timed
is the reader. At a pace, `ts` is the moment at which a frame is sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

BATCH = 512
FIRST = 21_426_785
FULL = 4 << 20


def frame(number: int, ts: int) -> bytes:
    """One trade as the wire writes it."""
    side = "buy" if number % 3 else "sell"
    text = (
        f'{{"type":"trade","id":"BRLBTC","ts":{ts},"data":{{"tid":{FIRST + number},'
        f'"date":{ts // 10**9},"type":"{side}","price":{485685 + number % 97},'
        f'"amount":0.0001{number % 10_000:04}}}}}'
    )
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def chunks(count: int) -> Iterator[bytes]:
    """All frames, some hundred a piece."""
    ts = time.time_ns()
    for first in range(0, count, BATCH):
        numbers = range(first, min(count, first + BATCH))
        yield b"".join(frame(one, ts + one * 1000) for one in numbers)


async def main(count: int, per_second: float | None) -> None:
    made = [] if per_second else list(chunks(count))

    async def flood(socket: ServerConnection) -> None:
        for one in made:
            socket.transport.write(one)
            while socket.transport.get_write_buffer_size() > FULL:
                await asyncio.sleep(0.0005)

    async def paced(socket: ServerConnection) -> None:
        assert per_second is not None
        began = time.perf_counter()
        for number in range(count):
            ahead = began + number / per_second - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            socket.transport.write(frame(number, time.time_ns()))

    async def talk(socket: ServerConnection) -> None:
        sending: asyncio.Task[None] | None = None
        async for message in socket:
            said = json.loads(message)
            if said["type"] == "ping":
                await socket.send('{"type":"pong"}')
            elif said["type"] == "subscribe":
                asked = said["subscription"]
                await socket.send(json.dumps({"id": asked["id"], "name": asked["name"]}))
                if sending is None:
                    sending = asyncio.create_task(paced(socket) if per_second else flood(socket))

    def rest(connection: ServerConnection, request: Request) -> Response | None:
        """REST has nothing to add: no trade is newer than those that the socket sends."""
        return connection.respond(200, "[]") if request.path.startswith("/api/") else None

    async with serve(
        talk, "127.0.0.1", 0, compression=None, ping_interval=None, process_request=rest
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    pace = float(sys.argv[2]) if len(sys.argv) > 2 else None
    asyncio.run(main(int(sys.argv[1]), pace))
