"""A digest of rows that tells every row and no order: the same however rows lie in files.

The recipe is a promise (`RECIPE`); whoever changes it gives it another name. All numbers are
unsigned, of 64 bits, and wrap:

    word(value)    whole numbers, moments: their bits; floats: their bits, −0.0 as 0.0, one NaN;
                   text: mix(length · K("length") + Σ fold(w) · K(i)) over its UTF-8 in words of
                   eight bytes, little-endian, the last filled up with zeros; a list: likewise over
                   the words of its elements; a struct: the row of its fields
    row            mix(Σ fold(word(value)) · K(column)), with N(column) in place of a null's product
    rows           Σ row
    fold(x)        x ^ (x >> 32)
    K(name)        odd: the first eight bytes of SHA-256 of the name, with the lowest bit set
    N(name)        K("null " + name)
    mix            the finalizer of splitmix64

Each step is a bijection of a number: one changed number in one row always changes the digest. Any
other difference goes unseen once in 2⁶⁴. It is no protection against forgery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

RECIPE: Final = "cq-rows-1"
CHUNK: Final = 65_536
"""Rows at a time: what is being mixed stays in the processor's own memory."""

Words = npt.NDArray[np.uint64]


def row_hashes(rows: pl.DataFrame, columns: Sequence[str] | None = None) -> Words:
    """One number a row; the order of the columns does not matter."""
    names = rows.columns if columns is None else columns
    parts = [(name, *_values(rows[name])) for name in names]
    found = np.empty(rows.height, np.uint64)
    scratch = np.empty((2, min(CHUNK, max(rows.height, 1))), np.uint64)
    for start in range(0, rows.height, CHUNK):
        total = found[start : start + CHUNK]
        spare, floats = scratch[0, : total.size], scratch[1, : total.size].view(np.float64)
        total[:] = 0
        for name, values, absent in parts:
            _add(name, values[start : start + CHUNK], total, spare, floats)
            if absent is not None:
                total += absent[start : start + CHUNK] * _constant(f"null {name}")
        _mix(total, spare)
    return found


def total(hashes: Words) -> int:
    """The digest of rows, as a number."""
    return int(hashes.sum(dtype=np.uint64)) if hashes.size else 0


def _add(name: str, values: Any, total: Words, spare: Words, floats: Any) -> None:
    """Add a column's share to each row of a chunk."""
    if values.dtype == np.float64:
        np.add(values, 0.0, out=floats)
        if np.isnan(floats.min()):
            floats[np.isnan(floats)] = np.nan
        values = floats
    bits = values.view(np.uint64)
    np.right_shift(bits, np.uint64(32), out=spare)
    np.bitwise_xor(spare, bits, out=spare)
    np.multiply(spare, _constant(name), out=spare)
    np.add(total, spare, out=total)


def _mix(words: Words, spare: Words) -> None:
    """Scatter each number over all of its bits, in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        np.right_shift(words, np.uint64(shift), out=spare)
        np.bitwise_xor(words, spare, out=words)
        np.multiply(words, np.uint64(factor), out=words)
    np.right_shift(words, np.uint64(31), out=spare)
    np.bitwise_xor(words, spare, out=words)


@cache
def _constant(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") | 1)


def _values(column: pl.Series) -> tuple[Any, Words | None]:
    """Numbers of 64 bits that stand for the values, and 1 where one is absent.

    What is absent counts as 0 among the numbers, and 0 adds nothing.
    """
    absent = None
    if column.null_count():
        absent = column.is_null().to_numpy().astype(np.uint64)
    kind = column.dtype
    if isinstance(kind, pl.List):
        return _of_lists(column), absent
    if isinstance(kind, pl.Struct):
        words = row_hashes(column.struct.unnest())
        return words if absent is None else words * (1 - absent), absent
    if kind == pl.Null:
        return np.zeros(len(column), np.uint64), absent
    if kind.is_float():
        return column.cast(pl.Float64).fill_null(0.0).to_numpy(), absent
    if kind == pl.UInt64:
        return column.fill_null(0).to_numpy(), absent
    if kind.is_integer() or kind == pl.Boolean or kind.is_temporal():
        return column.to_physical().cast(pl.Int64).fill_null(0).to_numpy(), absent
    return _of_texts(column.cast(pl.String)), absent


def _of_texts(column: pl.Series) -> Words:
    """A number for each text; 0 for an absent one."""
    texts = column.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int64, len(texts) + 1, texts.offset * 8)
    starts, lengths = ends[:-1], np.diff(ends)
    padded = np.zeros(int(ends[-1]) + 8, np.uint8)
    if content is not None:
        padded[:-8] = np.frombuffer(content, np.uint8, int(ends[-1]))
    words = np.ndarray((padded.size - 7,), "<u8", padded.data, 0, (1,))  # one at every byte
    found = lengths.astype(np.uint64) * _constant("length")
    spare = np.empty_like(found)
    for at in range(int(lengths.max(initial=0) + 7) // 8):
        rows = np.flatnonzero(lengths > 8 * at)
        taken = words[starts[rows] + 8 * at].astype(np.uint64)
        taken &= _MASKS[np.minimum(lengths[rows] - 8 * at, 8)]
        found[rows] += (taken ^ taken >> np.uint64(32)) * _constant(str(at))
    _mix(found, spare)
    return found


_MASKS = np.array([(1 << 8 * held) - 1 for held in range(9)], np.uint64)
"""The bytes of a word that belong to a text of so many."""


def _of_lists(column: pl.Series) -> Words:
    """A number for each list; 0 for an absent or empty one."""
    lengths = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    inner = column.drop_nulls().explode(empty_as_null=False)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(len(inner)) - np.repeat(ends[:-1], lengths)
    factors = np.array([_constant(str(at)) for at in range(int(lengths.max(initial=0)))], np.uint64)
    elements = row_hashes(inner.to_frame("element"))
    shares = (elements ^ elements >> np.uint64(32)) * factors[places]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(shares, dtype=np.uint64)])
    found: Words = (
        sums[ends[1:]] - sums[ends[:-1]] + lengths.astype(np.uint64) * _constant("length")
    )
    _mix(found, np.empty_like(found))
    return found
