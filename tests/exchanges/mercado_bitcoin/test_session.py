import asyncio
import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from cq.exchanges.mercado_bitcoin.session import LARGEST, Session


class Transport(asyncio.Transport):
    """Keeps what is written; nothing is behind it."""

    def __init__(self):
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close

    def can_write_eof(self):
        return False

    def set_write_buffer_limits(self, high=None, low=None):
        pass


def received(*chunks):
    """What a session that is open makes of the bytes: messages, its answers, and its state."""

    async def run():
        messages = []
        protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"))
        session = Session(lambda _, some: messages.extend(some), protocol)
        transport = Transport()
        session.connection_made(transport)
        protocol.state, session.response = State.OPEN, object()
        parse = protocol.parse()
        protocol.parser = parse
        next(parse)
        with contextlib.suppress(EOFError):
            for chunk in chunks:
                session.data_received(chunk)
        state = protocol.state
        session.connection_lost(None)
        return messages, transport.written, state

    return asyncio.run(run())


def frame(opcode, data, fin=True):
    return Frame(opcode, data, fin).serialize(mask=False)


def test_a_burst_of_messages_comes_as_it_was_sent():
    texts = [b"", b"a", b"b" * 125, b"c" * 126, b"d" * 65535, b"e" * 65536]
    messages, _, state = received(b"".join(frame(Opcode.TEXT, one) for one in texts))
    assert messages == texts
    assert state is State.OPEN


def test_a_ping_of_the_server_is_answered_between_messages():
    sent = frame(Opcode.TEXT, b"1") + frame(Opcode.PING, b"hello") + frame(Opcode.TEXT, b"2")
    messages, written, _ = received(sent)
    assert messages == [b"1", b"2"]
    assert written[0] == 0x80 | Opcode.PONG


def test_a_message_in_fragments_is_put_together():
    sent = [frame(Opcode.TEXT, b"one ", fin=False), frame(Opcode.PING, b""),
            frame(Opcode.CONT, b"two ", fin=False), frame(Opcode.CONT, b"three"),
            frame(Opcode.TEXT, b"four")]  # fmt: skip
    assert received(*sent)[0] == [b"one two three", b"four"]


def test_nothing_counts_after_the_good_bye():
    sent = frame(Opcode.TEXT, b"1") + frame(Opcode.CLOSE, b"\x03\xe8") + frame(Opcode.TEXT, b"2")
    messages, _, state = received(sent)
    assert messages == [b"1"]
    assert state is not State.OPEN


def test_a_masked_frame_or_one_too_large_ends_the_connection():
    masked = Frame(Opcode.TEXT, b"hello").serialize(mask=True)
    huge = b"\x81\x7f" + (LARGEST + 1).to_bytes(8, "big")
    for bad in (masked + b"\0" * 20, huge + b"\0" * 20, b"\xf1\x05hello" + b"\0" * 20):
        messages, _, state = received(frame(Opcode.TEXT, b"1"), bad)
        assert messages == [b"1"]
        assert state is not State.OPEN


FRAMES = st.one_of(
    st.binary(max_size=300).map(lambda data: ([data], frame(Opcode.TEXT, data))),
    st.binary(max_size=300).map(lambda data: ([data], frame(Opcode.BINARY, data))),
    st.binary(max_size=125).map(lambda data: ([], frame(Opcode.PING, data))),
    st.binary(max_size=125).map(lambda data: ([], frame(Opcode.PONG, data))),
    st.tuples(st.binary(max_size=9), st.binary(max_size=9)).map(
        lambda two: (
            [two[0] + two[1]],
            frame(Opcode.TEXT, two[0], fin=False) + frame(Opcode.CONT, two[1]),
        )
    ),
)


@settings(max_examples=60)
@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(1, 400), max_size=12))
def test_however_the_bytes_are_cut_the_messages_are_the_same(frames, sizes):
    sent = b"".join(data for _, data in frames)
    chunks = []
    for size in sizes:
        chunks, sent = [*chunks, sent[:size]], sent[size:]
    messages = received(*[one for one in (*chunks, sent) if one])[0]
    assert messages == [one for some, _ in frames for one in some]
