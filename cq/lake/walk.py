"""The folders of a lake that a template makes, found by listing as few of them as can be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from cq.errors import Unreadable
from cq.lake.places import is_remote, names_in
from cq.lake.rules import NOBODY
from cq.lake.template import OWNERS, TIMES, filled, placeholders, regex

ANCHOR_FILE: Final = "anchor.parquet"

Found = tuple[str, list[str], dict[str, str]]
"""A folder that has files, their names, and the values that the folders on its way tell."""
When = tuple[int, ...]
"""A calendar folder, such as (2024, 5)."""


@dataclass(frozen=True)
class Walk:
    """The levels of a template's folders, from the lake's root down."""

    levels: tuple[str, ...]

    def folders(
        self,
        root: Path,
        fixed: Mapping[str, str],
        first: When | None,
        last: When | None,
        *,
        stop_early: bool = False,
    ) -> Iterator[Found]:
        """Every folder that has files: its path, their names and the values that folders carry.

        With `stop_early` one for each branch of calendar folders is enough.
        """
        given = dict(fixed)
        if first and last and first[0] == last[0]:
            given["YYYY"] = f"{first[0]:04d}"
        told = tuple(given.items())

        def below(folder: str, level: int, seen: dict[str, str]) -> Iterator[Found]:
            inside, names, level = _along(self.levels, level, told)
            folder, seen = folder + inside, seen | names
            if NOBODY in names.values():
                return
            if level == len(self.levels):
                if files := _files_in(folder):
                    yield folder, files, seen
                return
            for name, values in _matching(folder, self.levels[level], given):
                now = seen | values
                if NOBODY in values.values() or not _within(now, first, last):
                    continue
                inner = below(f"{folder}{os.sep}{name}", level + 1, now)
                if stop_early and not self._owned_from[level + 1]:
                    one = next(inner, None)
                    if one:
                        yield one
                        if values.keys() & set(TIMES):
                            return
                else:
                    yield from inner

        return below(str(root), 0, {})

    @cached_property
    def _owned_from(self) -> list[bool]:
        """Of each level, and of what follows the last: whether it or a later one tells owners."""
        tells = [any(name in OWNERS for name in placeholders(level)) for level in self.levels]
        return [any(tells[level:]) for level in range(len(tells) + 1)]


@lru_cache(maxsize=4096)
def _along(
    levels: tuple[str, ...], level: int, told: tuple[tuple[str, str], ...]
) -> tuple[str, dict[str, str], int]:
    """As far as names are given nothing is listed: the way there, what it tells, the next level."""
    given, way, seen = dict(told), "", dict[str, str]()
    while level < len(levels) and given.keys() >= set(placeholders(levels[level])):
        way += f"{os.sep}{filled(levels[level], given)}"
        told_here = placeholders(levels[level])
        seen |= {name: given[name] for name in told_here if name in OWNERS or name in TIMES}
        level += 1
    return way, seen, level


def _matching(
    folder: str, pattern: str, given: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Names in `folder` that fit one level of a template, with the values they carry."""
    fits = regex(pattern)
    for name in _folders_in(folder):
        found = fits.fullmatch(name)
        if found:
            values = found.groupdict()
            if all(given.get(k, v) == v for k, v in values.items()):
                yield name, values


def _folders_in(folder: str) -> list[str]:
    """Names in a folder that may be folders: a file that has the name of one has nothing in it."""
    if is_remote(folder):
        return names_in(folder, files=False)
    with _readable(folder):
        return sorted(os.listdir(folder))  # noqa: PTH208
    return []


def _files_in(folder: str) -> list[str]:
    """Names of a folder's Parquet files; again where the folder was exchanged meanwhile."""
    if is_remote(folder):
        return [name for name in names_in(folder, files=True) if _is_parquet(name)]
    with _readable(folder):
        while True:
            handle = os.open(folder, os.O_RDONLY)
            try:
                with os.scandir(handle) as entries:
                    names = [one.name for one in entries if _is_parquet(one.name) and one.is_file()]
                if os.path.samestat(os.fstat(handle), os.stat(folder)):  # noqa: PTH116
                    return sorted(names)
            finally:
                os.close(handle)
    return []


def _is_parquet(name: str) -> bool:
    return name.endswith(".parquet") and name != ANCHOR_FILE


@contextmanager
def _readable(folder: str) -> Iterator[None]:
    """A block that lists a folder, which need not be there."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise Unreadable(folder, error.strerror or str(error)) from error


def _within(seen: Mapping[str, str], first: When | None, last: When | None) -> bool:
    """Whether the calendar levels seen so far can hold anything between first and last."""
    if first is None and last is None:
        return True
    when = tuple(int(seen[name]) for name in TIMES if name in seen)
    return (first is None or when >= first[: len(when)]) and (
        last is None or when <= last[: len(when)]
    )
