"""A file as it lies on disk: what kind it is, and its bytes without the wrapping."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from cq.errors import NoSuchFile, UnknownLayout
from cq.ingest.delimited import Shape, shape_of

Kind = Literal["parquet", "feather", "json", "lines", "delimited"]

HEAD = 65_536
_LINES = re.compile(r"\d{9,20}(\.\d+)? ?:? ?\{|wss?://")
_DEEP = "is JSON nested deeper than any table; write its rows as CSV or JSON lines"
_MARKS = {  # what a text may start with to say its encoding; the longer ones first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_STREAM = b"\xff\xff\xff\xff"
"""What a message of an Arrow stream starts with, and no text."""
_UTF8_LETTER = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


class Unrecognised(UnknownLayout):
    """A file that is simply something else; in a folder it is passed over for `found`."""

    def __init__(self, path: Path, found: str, advice: str) -> None:
        self.found = found
        super().__init__(path, f"{found}; {advice}")


@dataclass(frozen=True)
class Source:
    """One file, unwrapped.

    `name` is the file's own name, or that of the file inside a zip. `content` is its text in UTF-8,
    whatever `encoding` it had; a Parquet or feather file, which is read by column, has none.
    """

    path: Path
    name: str
    kind: Kind
    content: bytes = b""
    encoding: str = "utf-8"

    @cached_property
    def head(self) -> str:
        """The first characters."""
        return self.content[:HEAD].decode("utf-8", "replace")

    @cached_property
    def shape(self) -> Shape:
        """Separator, header and width of a delimited file."""
        return shape_of(self.head)

    @cached_property
    def schema(self) -> pl.Schema:
        """Names and types of a Parquet or feather file."""
        read = pl.read_parquet_schema if self.kind == "parquet" else pl.read_ipc_schema
        return pl.Schema(read(self.path))

    @cached_property
    def json(self) -> Any:
        """The whole file as one JSON value."""
        try:
            return json.loads(self.content)
        except RecursionError:
            raise UnknownLayout(self.path, _DEEP) from None
        except ValueError as error:
            raise UnknownLayout(self.path, f"is not whole JSON ({error}); fetch it again") from None

    @cached_property
    def first_record(self) -> Any:
        """The first element of a JSON array, or the first line's JSON; None where there is none."""
        start = self.head.lstrip()
        if self.kind == "json" and start.startswith("{"):
            return self.json
        start = start[1:].lstrip() if self.kind == "json" and start.startswith("[") else start
        try:
            return json.JSONDecoder().raw_decode(start)[0]
        except RecursionError:
            raise UnknownLayout(self.path, _DEEP) from None
        except ValueError:
            return None

    @cached_property
    def lines(self) -> pl.Series:
        """The lines, without the empty ones."""
        text = self.content.decode("utf-8", "replace")
        lines = pl.Series("line", [text], pl.String).str.split("\n").explode(empty_as_null=False)
        return lines.str.strip_chars().filter(lines.str.strip_chars() != "")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, where the file has names."""
        if self.kind in ("parquet", "feather"):
            return tuple(self.schema)
        if self.kind == "delimited":
            return self.shape.header or ()
        record = self.first_record
        return tuple(record) if isinstance(record, dict) else ()

    def found(self) -> str:
        """What the file looks like, in words, for an error."""
        if self.columns:
            more = ", …" if len(self.columns) > 8 else ""
            named = f"columns {', '.join(name or '(unnamed)' for name in self.columns[:8])}{more}"
            return f"{named}{self._written()}"
        if self.kind == "delimited":
            named = f"{self.shape.width} columns without a header{self._written()}"
            return f"{named}, {self.shape.first_row[:100]}"
        return f"{self.kind} starting {' '.join(self.head[:60].split())}"

    def _written(self) -> str:
        said = []
        if self.kind == "delimited" and self.shape.width > 1 and self.shape.separator != ",":
            said.append(f"separated by {self.shape.separator!r}")
        if self.encoding != "utf-8":
            said.append(f"text in {self.encoding}")
        return f" ({', '.join(said)})" if said else ""


def opened(path: Path, encoding: str | None = None) -> Source:
    """The file at `path`, unwrapped from gzip or zip, with its kind told from its first bytes.

    Text that is no UTF-8 and does not look like a damaged one is taken for Windows' `cp1252`,
    unless `encoding` says what it is.
    """
    if not path.is_file():
        raise NoSuchFile(path)
    try:
        with path.open("rb") as file:
            magic = file.read(8)
        if magic[:4] == b"PAR1":
            return _binary(Source(path, path.name, "parquet"))
        if magic[:6] == b"ARROW1":
            return _binary(Source(path, path.name, "feather"))
        if magic[:4] == b"FEA1":
            raise UnknownLayout(
                path, "is feather version 1; write it again as version 2 or Parquet"
            )
        if magic[:2] == b"\x1f\x8b":
            name = path.name.removesuffix(".gz")
            return _text(path, name, gzip.decompress(path.read_bytes()), encoding)
        if magic[:4] == b"PK\x05\x06":
            raise Unrecognised(path, "is a zip without a file", "fetch it again")
        if magic[:4] == b"PK\x03\x04":
            return _text(path, *_unzipped(path), encoding)
        return _text(path, path.name, path.read_bytes(), encoding)
    except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise UnknownLayout(path, f"is cut short or damaged ({error}); fetch it again") from None
    except OSError as error:
        raise UnknownLayout(path, f"cannot be read ({error.strerror})") from None


def _binary(source: Source) -> Source:
    try:
        _ = source.schema
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UnknownLayout(source.path, f"is a damaged {source.kind} file ({reason})") from None
    return source


def _unzipped(path: Path) -> tuple[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        members = [
            one
            for one in archive.infolist()
            if not one.is_dir() and not one.filename.startswith("__MACOSX")
        ]
        if len(members) != 1:
            raise UnknownLayout(
                path, f"holds {len(members)} files; expected one, unpack it and import the folder"
            )
        return Path(members[0].filename).name, archive.read(members[0])


def _text(path: Path, name: str, content: bytes, encoding: str | None) -> Source:
    if content.startswith(_STREAM):
        raise UnknownLayout(path, "is an Arrow stream; write it again as feather or Parquet")
    encoding = encoding or _marked(content)
    if encoding is not None:
        try:
            content = content.decode(encoding).encode()
        except UnicodeError as error:
            raise UnknownLayout(path, f"is no text in {encoding} ({error})") from None
    content = _with_newlines(content.removeprefix(codecs.BOM_UTF8))
    head = content[:HEAD]
    if not head.strip():
        raise Unrecognised(path, "is empty", "fetch it again")
    if b"\x00" in head:
        if 2 * max(head[::2].count(0), head[1::2].count(0)) > len(head) // 2:
            raise Unrecognised(
                path,
                "looks like UTF-16 text without the mark that says so",
                "save it as UTF-8, or say encoding: utf-16-le in a --mapping FILE",
            )
        raise Unrecognised(path, "is neither text nor Parquet or feather", "unpack it first")
    kind = _kind_of(head)
    if encoding is None and kind == "delimited" and _is_windows(content):
        text = content.decode("cp1252").encode()
        return Source(path, name, kind, text, "cp1252")
    return Source(path, name, kind, content, encoding or "utf-8")


def _marked(content: bytes) -> str | None:
    """The encoding that a byte order mark names; None without one, and for UTF-8's."""
    return next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)


def _with_newlines(content: bytes) -> bytes:
    """`content` with lines that end in `\\n`, where most end in a lone `\\r` (old Macs, Excel)."""
    if b"\r" not in content[:HEAD]:
        return content
    lone = content.count(b"\r") - content.count(b"\r\n")
    if lone <= content.count(b"\n"):
        return content
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _is_windows(content: bytes) -> bool:
    """Bytes that cp1252 knows and UTF-8 does not, without one letter that UTF-8 wrote."""
    if content.isascii() or _UTF8_LETTER.search(content):
        return False
    try:
        content.decode("cp1252")
    except UnicodeError:
        return False
    return True


def _kind_of(head: bytes) -> Kind:
    text = head.decode("utf-8", "replace").lstrip()
    if _LINES.match(text):
        return "lines"
    if text[0] not in "[{":
        return "delimited"
    first = io.StringIO(text).readline().strip()
    if text[0] == "{" and "\n" in text.strip() and _whole(first):
        return "lines"
    return "json"


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
