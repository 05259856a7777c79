"""What makes a path template one that no lake can be kept by: rows would be lost or mixed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Final

from cq.lake.datasets import DATASETS, Dataset
from cq.lake.rules import PLAIN_NAME
from cq.lake.template import (
    FIELDS,
    FORMS,
    OWNERS,
    TIMES,
    calendar,
    filled,
    literals,
    placeholders,
    regex,
)
from cq.utils.time import parse_time

_TRIED: Final = {
    "exchange": ("x", "a-b", "A_b.2", "BTC-BRL", "1h", "2024"),
    "symbol": ("BTC-BRL", "A-B", "1INCH-USDT", "BTC-2024", "0-0"),
    "interval": ("1m", "15m", "1M", "1000d"),
}
_ANY_TEXT: Final = ("x", "a-b", "b", "BTC-BRL", "1h", "2024", "A_b.2", "unknown")
_MOMENTS: Final = tuple(
    parse_time(one) for one in ("2023-12-31T23:00", "2011-01-02T03:00", "1970-01-11")
)


@cache
def problem(dataset: str, template: str) -> str:
    """What is wrong with a template for a dataset's files; nothing where it is sound."""
    contract, folders = DATASETS[dataset], levels(dataset, template)
    unknown = [name for name in placeholders(template) if name not in FIELDS]
    if unknown:
        return f"has the unknown {{{unknown[0]}}}; there is {', '.join(FIELDS)}"
    return (
        _misplaced(dataset, template)
        or _misfiled(contract, folders)
        or _misnamed(contract, folders)
        or _misread(contract, folders)
    )


def levels(dataset: str, template: str) -> list[str]:
    """The folder levels of a template, with the dataset's name in them."""
    return template.replace("{dataset}", dataset).split("/")[:-1]


def _misplaced(dataset: str, template: str) -> str:
    *folders, file = template.replace("{dataset}", dataset).split("/")
    if not folders or folders[0] != dataset:
        return f"has to start with the folder {dataset}/"
    if not file.endswith(".parquet") or any(one in ("", ".", "..") for one in (*folders, file)):
        return "has to be a relative path to a file ending in .parquet"
    if any("HHmmss" in placeholders(level) for level in folders):
        return "has {HHmmss} in a folder; it belongs into the file's name"
    return ""


def _misfiled(contract: Dataset, folders: list[str]) -> str:
    """Fields that no row of the dataset fills, that come twice, or out of order."""
    fields = [name for level in folders for name in placeholders(level)]
    times = [name for name in fields if name in TIMES]
    for name in fields:
        if name in OWNERS and name not in contract.owner:
            known = " and ".join(f"{{{one}}}" for one in contract.owner)
            return (
                f"has {{{name}}}, by which {contract.name} cannot be told apart; there is {known}"
            )
        if name in OWNERS and fields.count(name) > 1:
            return f"has {{{name}}} twice"
    if times != list(TIMES[: len(times)]):
        return f"has its calendar folders out of order; expected {', '.join(TIMES)} from the left"
    return ""


def _misnamed(contract: Dataset, folders: list[str]) -> str:
    """A folder named for a column gives that column to a query, in the place of the file's own."""
    columns = {name.lower() for name in (*contract.schema, *OWNERS)}
    named: set[str] = set()
    for level in folders:
        column, equals, _ = level.partition("=")
        if equals and column.lower() in columns and level != f"{column}={{{column}}}":
            return (
                f"has the folder {level}, but the column {column} of {contract.name} holds "
                "something else; name the folder otherwise"
            )
        if equals and column.lower() in named:
            return f"has two folders that are named {column}="
        named |= {column.lower()} if equals else set()
    return ""


def _misread(contract: Dataset, folders: list[str]) -> str:
    """A level of several fields whose name may be read as another one's."""
    for level in folders:
        if len(placeholders(level)) < 2:
            continue
        for values in _samples(contract, level):
            name = filled(level, values)
            found = regex(level).fullmatch(name)
            if found is None or found.groupdict() != values:
                said = " and ".join(f"{one} {values[one]}" for one in placeholders(level))
                return (
                    f"has the folder {level}, which does not read back: {said} make {name}, and "
                    "that may be others'; give each a folder of its own"
                )
    return ""


def _samples(contract: Dataset, level: str) -> Iterator[Mapping[str, str]]:
    """Values of a level's fields; some hold what stands between the fields."""
    names = placeholders(level)
    owners = [name for name in names if name in OWNERS]
    tried = [tuple(_tried(contract, name, literals(level))) for name in owners]
    for ts, who in product(_MOMENTS, product(*tried)):
        known = {**calendar(ts), **dict(zip(owners, who, strict=True))}
        yield {name: known[name] for name in names}


def _tried(contract: Dataset, name: str, between: tuple[str, ...]) -> Iterator[str]:
    yield from _ANY_TEXT if contract.free_form else _TRIED[name]
    form = PLAIN_NAME if contract.free_form else FORMS[name]
    for text in between:
        doubled = (f"a{text}b", f"A{text}{text}B", f"A{text}{text}B-C{text}{text}D")
        yield from (one for one in doubled if re.fullmatch(form, one))
