"""Recordings: all that arrived, in its order, as JSON lines in gzip.

A file is made of gzip members, each written at once. So one that a crash left behind is whole up to
its last member, and `zcat FILE | jq` reads it. The first line says what it is; each other line is
one arrival, with the instant first:

    {"at":1790138577211526746,"session":"…","frame":"{\\"type\\":\\"trade\\",…}"}
    {"at":…,"session":"…","bytes":"/w=="}                     a frame that is no UTF-8, in base64
    {"at":…,"session":"…","opened":"trades"}
    {"at":…,"session":"…","closed":"trades","reason":"1006"}
    {"at":…,"symbol":"BTC-BRL","fill":[1,2],"lost":false,"seen":…,"newest":null,"trades":[…]}
    {"at":…,"symbol":"BTC-BRL","seed":{"ts":…,"bids":[…],"asks":[…]}}    a book from REST
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final

from cq.errors import LakeUnwritable, NoSuchFile, UnknownLayout
from cq.exchanges.feed import Arrival
from cq.ingest.arrival_lines import DAMAGE, HEADER, arrival_of, lines_of
from cq.lake import disk
from cq.utils.time import SECOND, from_ns, is_over

VERSION: Final = 1
SUFFIX: Final = ".jsonl.gz"
FLUSH_NS: Final = SECOND
FLUSH_BYTES: Final = 4 << 20
LEVEL: Final = 1
"""Of compression: a burst must not wait for it."""


def prepare(folder: Path) -> None:
    """Make `folder`, or say why nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LakeUnwritable(folder, error.strerror or str(error)) from error


class Recorder:
    """Writes arrivals into files of `folder`, a new one every `rotate_ns`; `tick` keeps it moving.

    Nothing waits in it for more than a second or four megabytes, whatever is done to the clock.
    """

    def __init__(
        self, folder: Path, header: dict[str, Any], *, rotate_ns: int, now_ns: int
    ) -> None:
        self.folder, self.rotate_ns = folder, rotate_ns
        self.arrivals, self.bytes_written, self.files = 0, 0, list[Path]()
        self._header = {"cq": "recording", "version": VERSION, **header}
        self._lines: list[bytes] = []
        self._size, self._began_ns, self._flushed_ns = 0, now_ns, now_ns
        self._file: BinaryIO | None = None

    def add(self, arrivals: Sequence[Arrival], now_ns: int) -> None:
        """Take arrivals in their order."""
        if not arrivals:
            return
        text = lines_of(arrivals)
        self.arrivals += len(arrivals)
        self._lines.append(text)
        self._size += len(text)
        self.tick(now_ns)

    def tick(self, now_ns: int) -> None:
        """Write what has waited long enough, and begin a new file when it is time."""
        if self._size >= FLUSH_BYTES or is_over(self._flushed_ns, FLUSH_NS, now_ns):
            self.flush(now_ns)
        if self._file is not None and is_over(self._began_ns, self.rotate_ns, now_ns):
            self._end()

    def flush(self, now_ns: int) -> None:
        """Write what waits as one member."""
        self._flushed_ns = now_ns
        if not self._size:
            return
        block, self._lines, self._size = b"".join(self._lines), [], 0
        try:
            if self._file is None:
                self._begin(now_ns)
            assert self._file is not None
            self._write(block)
        except OSError as error:
            raise LakeUnwritable(self.folder, error.strerror or str(error)) from error

    def _begin(self, now_ns: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._began_ns = now_ns
        name = f"{from_ns(now_ns):%Y%m%dT%H%M%S}"
        for number in range(10_000):
            path = self.folder / f"{name}-{number:04d}{SUFFIX}"
            try:
                self._file = path.open("xb", buffering=0)
            except FileExistsError:
                continue
            said = self._header | {"began": now_ns, "part": len(self.files)}
            try:
                self._write(json.dumps(said).encode() + b"\n")
            except OSError:
                self._file.close()
                self._file = None
                path.unlink(missing_ok=True)
                raise
            self.files.append(path)
            return
        raise FileExistsError(None, "too many recordings of one second", str(self.folder))

    def _write(self, block: bytes) -> None:
        """One member, whole or, on a full disk, cut off again."""
        assert self._file is not None
        member = gzip.compress(block, LEVEL, mtime=0)
        begun = self._file.tell()
        try:
            left = memoryview(member)
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(begun)
            raise
        self.bytes_written += len(member)

    def _end(self) -> None:
        if self._file is None:
            return
        try:
            os.fsync(self._file.fileno())
            disk.sync_folder(self.folder)
        except OSError as error:
            raise LakeUnwritable(self.folder, error.strerror or str(error)) from error
        finally:
            self._file.close()
            self._file = None

    def close(self, now_ns: int) -> None:
        """Write what is left and make it last."""
        try:
            self.flush(now_ns)
        finally:
            self._end()


def is_recording(path: Path) -> bool:
    """Whether a file is one of ours, by its first line."""
    return _header(path) is not None


def _header(path: Path) -> dict[str, Any] | None:
    try:
        first = next(_lines(path), b"")
        said = json.loads(first)
    except (ValueError, RecursionError, OSError, UnknownLayout):
        return None
    return said if isinstance(said, dict) and said.get("cq") == "recording" else None


def is_blank(path: Path) -> bool:
    """Whether a file was to be a recording, and its writer was killed before the first line."""
    if not path.name.endswith(SUFFIX):
        return False
    try:
        return next(_lines(path), None) is None
    except (OSError, UnknownLayout):
        return False


def header_of(path: Path) -> dict[str, Any]:
    """What a recording says of itself."""
    if not path.is_file():
        raise NoSuchFile(path)
    said = _header(path)
    if said is None:
        raise UnknownLayout(path, "is no recording; `cq lake record` makes them")
    if said.get("version") != VERSION:
        raise UnknownLayout(
            path, f"is a recording of version {said.get('version')}; this cq reads {VERSION}"
        )
    for name, (expected, fits) in HEADER.items():
        if name in said and not fits(said[name]):
            found = f"{name}: found {json.dumps(said[name])[:80]}, expected {expected}"
            raise UnknownLayout(path, f"has a damaged first line ({found}); leave this file out")
    return said


def arrivals_in(path: Path, on_cut: Callable[[], None] = lambda: None) -> Iterator[Arrival]:
    """The arrivals of a recording, in their order.

    What a crash cut off at its end is left out, and `on_cut` called.
    """
    header_of(path)
    lines = _lines(path, on_cut)
    next(lines)
    for number, line in enumerate(lines, 2):
        try:
            yield arrival_of(json.loads(line))
        except DAMAGE as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            reason = f"lacks {said}" if isinstance(error, KeyError) else said
            raise UnknownLayout(
                path, f"has a damaged line {number} ({reason}); what came before is good"
            ) from None


def _lines(path: Path, on_cut: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The lines of all whole members; a last one that was cut short, or cut off, ends it."""
    with path.open("rb") as file:
        rest = b""
        try:
            for block in _members(file, on_cut):
                *whole, rest = (rest + block).split(b"\n")
                yield from whole
        except zlib.error as error:
            raise UnknownLayout(path, f"is damaged ({error}); what came before is good") from None


def _members(file: BinaryIO, on_cut: Callable[[], None]) -> Iterator[bytes]:
    """Each whole member, unpacked; it ends in a line's end."""
    held = b""
    while True:
        unpack = zlib.decompressobj(wbits=31)
        parts: list[bytes] = []
        while not unpack.eof:
            if not held:
                held = file.read(1 << 20)
                if not held:
                    if parts:
                        on_cut()
                    return  # the last member is cut short, or there is none
            parts.append(unpack.decompress(held))
            held = unpack.unused_data if unpack.eof else b""
        yield b"".join(parts)
