import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from trade_market import trades

from cq.errors import LakeUnwritable, NoSuchFile, UnknownLayout
from cq.exchanges.feed import Arrival, Closed, Fill, Frame, Opened, Seed
from cq.ingest.recording import Recorder, arrivals_in, header_of, is_recording
from cq.lake.datasets import ORDERBOOK_L2
from cq.utils.time import SECOND

T0 = 1_790_000_040_000_000_001
FRAME = Frame(T0, b'{"type":"trade","id":"BRLBTC"}', "a1")


def book(levels: int) -> pl.DataFrame:
    side = [{"price": 0.1 * (n + 1), "size": 1e-8} for n in range(levels)]
    row = {"ts": T0, "bids": side, "asks": side, "symbol": "BTC-BRL", "exchange": "test"}
    return pl.DataFrame([row], dict(ORDERBOOK_L2.schema))


def recorder(folder: Path, rotate_s: int = 60) -> Recorder:
    return Recorder(folder, {"exchange": "test"}, rotate_ns=rotate_s * SECOND, now_ns=T0)


def recorded(folder: Path, arrivals: list[Arrival]) -> Path:
    one = recorder(folder)
    one.add(arrivals, T0)
    one.close(T0)
    (path,) = one.files
    return path


def same(read: list[Arrival], written: list[Arrival]) -> bool:
    if len(read) != len(written):
        return False
    for a, b in zip(read, written, strict=True):
        if isinstance(a, Seed) and isinstance(b, Seed):
            assert_frame_equal(a.book, b.book)
            if (a.at_ns, a.symbol) != (b.at_ns, b.symbol):
                return False
        elif isinstance(a, Fill) and isinstance(b, Fill):
            assert_frame_equal(a.trades, b.trades)
            if _plain(a) != _plain(b):
                return False
        elif a != b:
            return False
    return True


def _plain(fill: Fill) -> tuple[Any, ...]:
    return (
        fill.at_ns,
        fill.symbol,
        fill.first_id,
        fill.last_id,
        fill.lost,
        fill.seen_ns,
        fill.newest,
    )


NS = st.integers(0, 2**62)
WORDS = st.text(max_size=12)
DATA = st.one_of(st.binary(max_size=30), st.text(max_size=30).map(str.encode))
ARRIVALS = st.lists(
    st.one_of(
        st.builds(Frame, NS, DATA, WORDS),
        st.builds(Opened, NS, WORDS, WORDS),
        st.builds(Closed, NS, WORDS, WORDS, WORDS),
        st.builds(
            Fill, NS, WORDS, NS, NS, st.integers(0, 3).map(lambda n: trades([5] * n)),
            st.booleans(), NS, st.none() | NS,
        ),
        st.builds(Seed, NS, WORDS, st.integers(0, 2).map(book)),
    ),
    max_size=12,
)  # fmt: skip


@given(arrivals=ARRIVALS)
def test_what_is_read_is_what_was_recorded_byte_for_byte(tmp_path_factory, arrivals):
    path = recorded(tmp_path_factory.mktemp("r"), [*arrivals, FRAME])
    assert same(list(arrivals_in(path)), [*arrivals, FRAME])


def test_the_wires_text_stands_in_a_line_of_its_own(tmp_path):
    path = recorded(tmp_path, [FRAME, Frame(T0 + 1, b"\xff\x00", "a1")])
    lines = gzip.decompress(path.read_bytes()).splitlines()
    header, first, second = (json.loads(one) for one in lines)
    assert header == {"cq": "recording", "version": 1, "exchange": "test", "began": T0, "part": 0}
    assert first == {"at": T0, "session": "a1", "frame": FRAME.data.decode()}
    assert second == {"at": T0 + 1, "session": "a1", "bytes": "/wA="}


def test_a_recording_that_was_cut_off_is_whole_up_to_its_last_flush(tmp_path):
    one = recorder(tmp_path)
    sizes = []
    for n in range(5):
        one.add([Frame(T0 + n, b"x" * 50, "a")] * 10, T0 + n * SECOND)
        one.flush(T0 + n * SECOND)
        sizes.append(one.files[0].stat().st_size)
    content = one.files[0].read_bytes()
    one.close(T0)
    for size in range(sizes[0], len(content) + 1):
        cut = tmp_path / "cut.jsonl.gz"
        cut.write_bytes(content[:size])
        flushed = sum(1 for end in sizes if end <= size)
        assert len(list(arrivals_in(cut))) == flushed * 10


def test_a_second_is_the_most_that_waits(tmp_path):
    one = recorder(tmp_path)
    one.add([FRAME], T0)
    assert one.files == []
    one.tick(T0 + SECOND)
    assert list(arrivals_in(one.files[0])) == [FRAME]
    one.add([FRAME] * 200_000, T0 + SECOND + 1)
    assert len(list(arrivals_in(one.files[0]))) == 200_001
    one.close(T0)


def test_a_clock_that_was_set_back_makes_nothing_wait_longer(tmp_path):
    one, back = recorder(tmp_path), T0 - 3600 * SECOND
    one.add([FRAME], T0)
    one.flush(T0)
    for second in range(120):
        one.add([FRAME], back + second * SECOND)
        read = [item for path in one.files for item in arrivals_in(path)]
        assert one.arrivals - len(read) <= 1
    assert len(one.files) == 3
    one.close(back + 120 * SECOND)


def test_a_new_file_begins_when_it_is_time_and_none_is_written_over(tmp_path):
    for _ in range(2):
        one = recorder(tmp_path, rotate_s=10)
        for n in range(30):
            one.add([Frame(T0 + n * SECOND, b"x", "a")], T0 + n * SECOND)
        one.close(T0 + 30 * SECOND)
        assert len(one.files) == 3
        read = [item.received_ns for path in one.files for item in arrivals_in(path)]
        assert read == [T0 + n * SECOND for n in range(30)]
    assert len(list(tmp_path.iterdir())) == 6
    assert all(header_of(path)["exchange"] == "test" for path in tmp_path.iterdir())


def test_nothing_that_arrived_makes_no_file(tmp_path):
    one = recorder(tmp_path / "none")
    one.add([], T0)
    one.close(T0)
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_is_said_in_one_line(tmp_path):
    one = recorder(tmp_path / "file" / "below")
    (tmp_path / "file").write_text("in the way")
    one.add([FRAME], T0)
    with pytest.raises(LakeUnwritable, match="check its permissions and free space"):
        one.flush(T0)


@pytest.mark.parametrize("content", [b"", b"{}", b"hello", gzip.compress(b'{"a":1}\n', mtime=0)])
def test_another_file_is_no_recording(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert not is_recording(path)
    with pytest.raises(UnknownLayout, match="no recording"):
        list(arrivals_in(path))


def test_a_recording_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(b'{"cq":"recording","version":2}\n'))
    with pytest.raises(UnknownLayout, match="version 2; this cq reads 1"):
        list(arrivals_in(path))


def test_damage_in_the_middle_is_named(tmp_path):
    path = recorded(tmp_path, [FRAME])
    with path.open("ab") as file:
        file.write(b"no gzip at all, and long enough")
    with pytest.raises(UnknownLayout, match="is damaged"):
        list(arrivals_in(path))
    path.write_bytes(
        gzip.compress(b'{"cq":"recording","version":1}\n') + gzip.compress(b'{"at":1}\n')
    )
    with pytest.raises(UnknownLayout, match="damaged line 2"):
        list(arrivals_in(path))
    with pytest.raises(NoSuchFile):
        list(arrivals_in(tmp_path / "absent"))
    assert pl.__version__
