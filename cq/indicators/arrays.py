"""Functions over a symbol's whole columns, as expressions: arrays in, an array out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, np.dtype[np.float64]]


def batch(function: Callable[..., Array], inputs: Sequence[pl.Expr], *parameters: Any) -> pl.Expr:
    """The expression that gives `function(arrays, *parameters)`; NaN in it is null."""
    return pl.map_batches(list(inputs), Batch(function, parameters), return_dtype=pl.Float64)


def batch_of_marks(
    function: Callable[..., pl.Series], inputs: Sequence[pl.Expr], *parameters: Any
) -> pl.Expr:
    """The same of a function that gives true, false or null."""
    return pl.map_batches(list(inputs), Batch(function, parameters), return_dtype=pl.Boolean)


@dataclass(frozen=True)
class Batch:
    """A function with its parameters, as a plan holds it; it can be pickled, as plans can."""

    function: Callable[..., Array | pl.Series]
    parameters: tuple[Any, ...]

    def __call__(self, columns: Sequence[pl.Series]) -> pl.Series:
        """What the function makes of the columns of one symbol."""
        found = self.function([*map(array, columns)], *self.parameters)
        return found if isinstance(found, pl.Series) else series(found)


def array(column: pl.Series) -> Array:
    """The column as floats, nulls as NaN; read-only, and not copied where it need not be."""
    if column.dtype != pl.Float64:
        column = column.cast(pl.Float64)
    found = in_place(column) if column.n_chunks() > 1 else None
    if found is None:
        found = np.ascontiguousarray(column.rechunk().to_numpy())
    found.setflags(write=False)
    return found


def in_place(column: pl.Series) -> Any:
    """A column of numbers as an array where it has no gaps and is not to be copied; else None."""
    if column.null_count() or column.is_empty():
        return None
    return adjoining([one.to_numpy(allow_copy=False) for one in column.get_chunks()])


def adjoining(pieces: Sequence[Any]) -> Any:
    """Arrays that lie one behind the other in memory, as slices of a column do, as one array.

    None where they lie otherwise.
    """
    kind, end = pieces[0].dtype, pieces[0].ctypes.data
    for piece in pieces:
        if piece.ctypes.data != end or piece.dtype != kind or not piece.flags.c_contiguous:
            return None
        end += piece.nbytes
    return np.asarray(_Joined(pieces)) if len(pieces) > 1 else pieces[0]


class _Joined:
    """The memory of several arrays, for numpy; it holds them for as long as that is used."""

    def __init__(self, pieces: Sequence[Any]) -> None:
        self._pieces = tuple(pieces)
        first = pieces[0].__array_interface__
        shape, place = (sum(one.size for one in pieces),), (first["data"][0], True)
        self.__array_interface__ = first | {"shape": shape, "data": place}


def series(found: Array) -> pl.Series:
    """The array as a column, not copied; NaN is null."""
    return pl.Series("", found, pl.Float64, nan_to_null=True)
