"""A connection whose messages go straight to the stream, as they were, in bursts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import State

LARGEST: Final = 1 << 20
"""Bytes of a frame; a book of 200 levels has 12 thousand."""

CLOSING_S: Final = 0.5
"""A good-bye may take this long, then the connection is cut."""

_WHOLE: Final = (0x81, 0x82)
"""First byte of a frame that is a message by itself, text or binary."""

_DATA: Final = frozenset((Opcode.TEXT, Opcode.BINARY, Opcode.CONT))


class Session(ClientConnection):
    """A connection that hands each burst of messages to `on_messages`, with itself.

    The library takes a flood apart one frame at a time, which costs more than all that is done with
    the frames. So plain messages are cut out of the bytes before the library sees them; it is given
    every other frame, whole, and does the rest: handshake, control frames, fragments, faults.
    """

    def __init__(
        self, on_messages: Callable[[Session, list[bytes]], None], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.on_messages = on_messages
        self.is_waiting = False
        self._messages: list[bytes] = []
        self._fragments: list[bytes] = []
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived; the messages in them go to the stream together."""
        if self.protocol.state is State.OPEN and not self.protocol.reader.buffer:
            self._cut(self._tail + data if self._tail else data)
        else:
            super().data_received(data)
        if self._messages:
            messages, self._messages = self._messages, []
            self.on_messages(self, messages)

    def _cut(self, data: bytes) -> None:
        """Keep the messages; what is at the end and not whole yet waits for more."""
        place, size, keep = 0, len(data), self._messages.append
        self._tail = b""
        while size - place >= 2:
            length, start = data[place + 1], place + 2
            if length > 125:
                width = {126: 2, 127: 8}.get(length, 0)
                if size - start < width:
                    break
                length = (
                    int.from_bytes(data[start : start + width], "big") if width else LARGEST + 1
                )
                start += width
            end = start + length
            if length > LARGEST:
                super().data_received(data[place:])
                return
            if end > size:
                break
            if data[place] in _WHOLE:
                keep(data[start:end])
            else:
                super().data_received(data[place:end])
                if self.protocol.state is not State.OPEN:
                    super().data_received(data[end:])
                    return
            place = end
        self._tail = data[place:]

    def process_event(self, event: Any) -> None:
        """Keep a message that the library has taken apart; leave the rest to it."""
        if type(event) is not WireFrame or event.opcode not in _DATA:
            super().process_event(event)
            return
        self._fragments.append(bytes(event.data))
        if event.fin:
            self._messages.append(b"".join(self._fragments))
            self._fragments = []

    def wait(self) -> None:
        """Read no more for now: what is sent stays with the sender."""
        self.is_waiting = True
        self.transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        self.is_waiting = False
        self.transport.resume_reading()

    async def ended(self) -> None:
        """Close politely, or cut the connection where that takes too long."""
        if self.is_waiting:
            self.go_on()
        try:
            async with asyncio.timeout(CLOSING_S):
                await self.close()
        except (TimeoutError, WebSocketException, OSError):
            pass
        finally:
            self.transport.abort()
