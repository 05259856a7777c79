"""Digests of rows, against the recipe written out number by number."""

from __future__ import annotations

import hashlib
import math
import struct

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.lake.datasets import LEVELS
from cq.lake.rowhash import CHUNK, row_hashes, total

ALL = 2**64
SCHEMA = {
    "ts": pl.Int64,
    "price": pl.Float64,
    "side": pl.String,
    "bids": LEVELS,
    "broken": pl.List(pl.String),
}


def constant(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") | 1


def mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % ALL
    x = (x ^ x >> 27) * 0x94D049BB133111EB % ALL
    return x ^ x >> 31


def chain(words: list[int], length: int) -> int:
    parts = [(w ^ w >> 32) * constant(str(i)) for i, w in enumerate(words)]
    return mix((length * constant("length") + sum(parts)) % ALL)


def word(value: object) -> int:
    match value:
        case bool() | int():
            return int(value) % ALL
        case float():
            one = math.nan if math.isnan(value) else value + 0.0
            return int.from_bytes(struct.pack("<d", one), "little")
        case str():
            raw = value.encode()
            chunks = [raw[at : at + 8] for at in range(0, len(raw), 8)]
            return chain([int.from_bytes(one, "little") for one in chunks], len(raw))
        case list():
            return chain([row({"element": one}) for one in value], len(value))
        case dict():
            return row(value)
    raise AssertionError(value)


def row(values: dict[str, object]) -> int:
    shares = []
    for name, value in values.items():
        if value is None:
            shares.append(constant(f"null {name}"))
        else:
            w = word(value)
            shares.append((w ^ w >> 32) * constant(name))
    return mix(sum(shares) % ALL)


floats = st.floats(allow_nan=True) | st.sampled_from([0.0, -0.0, 0.01, 350_000.0])
level = st.fixed_dictionaries({"price": floats, "size": floats | st.none()})
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
rows = st.fixed_dictionaries(
    {
        "ts": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "price": floats | st.none(),
        "side": texts | st.none(),
        "bids": st.lists(level, max_size=3) | st.none(),
        "broken": st.lists(texts | st.none(), max_size=3) | st.none(),
    }
)


@settings(max_examples=150)
@given(st.lists(rows, max_size=8))
def test_every_row_is_hashed_as_the_recipe_says(values):
    frame = pl.DataFrame(values, schema=SCHEMA)
    assert row_hashes(frame).tolist() == [row(one) for one in values]
    assert total(row_hashes(frame)) == sum(map(row, values)) % ALL
    reordered = frame.select(sorted(SCHEMA))
    assert row_hashes(reordered).tolist() == row_hashes(frame).tolist()
    assert row_hashes(frame.slice(1)).tolist() == [row(one) for one in values[1:]]


@given(st.lists(rows, min_size=1, max_size=4), st.data())
def test_any_single_changed_value_is_noticed(values, data):
    at = data.draw(st.integers(0, len(values) - 1))
    name = data.draw(st.sampled_from(sorted(SCHEMA)))
    other = data.draw(rows.map(lambda one: one[name]))
    changed = [{**one, name: other} if i == at else one for i, one in enumerate(values)]
    before, after = (pl.DataFrame(one, schema=SCHEMA) for one in (values, changed))
    same = total(row_hashes(before)) == total(row_hashes(after))
    assert same == (before.equals(after) or word_or_none(values[at][name]) == word_or_none(other))


def word_or_none(value):
    return None if value is None else word(value)


def test_the_digest_of_known_rows_stays_for_ever():
    frame = pl.DataFrame(
        {"ts": [0, 1, None], "price": [1.5, -0.0, 2.0], "side": ["buy", None, "a longer text"]}
    )
    assert f"{total(row_hashes(frame)):016x}" == "298625fdb1964674"


def test_rows_beyond_one_chunk_are_hashed_alike():
    long = pl.DataFrame({"ts": range(CHUNK + 5), "price": [0.5] * (CHUNK + 5)})
    tail = long.slice(CHUNK)
    assert row_hashes(long)[CHUNK:].tolist() == row_hashes(tail).tolist()
    assert row_hashes(long.clear()).size == 0


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt32, pl.UInt64, pl.Int64])
def test_a_whole_number_counts_by_its_value_not_its_width(kind):
    narrow = pl.DataFrame({"x": pl.Series([0, 7, None], dtype=kind)})
    assert row_hashes(narrow).tolist() == [row({"x": v}) for v in (0, 7, None)]


def test_moments_count_as_their_number_and_other_kinds_as_text():
    moments = pl.DataFrame({"x": pl.Series([5], dtype=pl.Datetime("ns", "UTC"))})
    assert row_hashes(moments).tolist() == [row({"x": 5})]
    decimals = pl.DataFrame({"x": pl.Series(["1.50"]).str.to_decimal(scale=2)})
    assert row_hashes(decimals).tolist() == [row({"x": "1.50"})]
    assert row_hashes(pl.DataFrame({"x": [None]})).dtype == np.uint64
