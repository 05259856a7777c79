"""The SQL behind the views: typed globs over the lake's files, and the files in `sql/`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cq.errors import ConfigError
from cq.lake.datasets import DATASETS, LEVELS, Dataset
from cq.lake.layout import TIMES, Layout
from cq.utils.resources import copies, is_copy, resource_root

KINDS = ("staging", "marts", "checks")
SEVERITIES = ("error", "warn")
SQL_TYPES: dict[pl.DataType, str] = {
    pl.Int64(): "bigint",
    pl.Float64(): "double",
    pl.String(): "varchar",
    pl.List(pl.String): "varchar[]",
    LEVELS: "struct(price double, size double)[]",
}


@dataclass(frozen=True)
class View:
    """One file of `sql/`: its name, what a row of it is, and the statement that makes it."""

    name: str
    kind: str
    path: Path
    text: str

    @property
    def grain(self) -> str:
        """The sentence on the file's first line."""
        return self.text.splitlines()[0].removeprefix("--").strip()

    @property
    def severity(self) -> str:
        """How bad a row of a check is: `error` or `warn`."""
        found = re.search(r"^-- severity: *(\w+)", self.text, re.MULTILINE)
        severity = found[1] if found else SEVERITIES[0]
        if severity not in SEVERITIES:
            raise ConfigError(str(self.path), f"severity {severity!r}; expected error or warn")
        return severity

    @property
    def comment(self) -> str:
        """The statement that shows the grain in a database shell."""
        return f"comment on view {quoted(self.name)} is {text(self.grain)}"


def views(project_sql: Path) -> list[View]:
    """The package's views, and the project's own, which win where names are equal.

    Copies that `cq init` put there are not the project's own: they may be of an older version.
    """
    found = {path.stem: _view(path, kind) for path, kind in _files_in(project_files())}
    known = copies(project_sql.parent)
    for path, kind in _files_in(project_sql):
        if not is_copy(path, project_sql.parent, known):
            found[path.stem] = _view(path, kind)
    return list(found.values())


def _files_in(root: Path) -> Iterator[tuple[Path, str]]:
    for kind in KINDS:
        for path in sorted((root / kind).glob("*.sql")):
            yield path, kind


def project_files() -> Path:
    """The folder of SQL files that comes with cq."""
    return resource_root() / "sql"


def _view(path: Path, kind: str) -> View:
    try:
        content = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), f"is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read as a file ({error.strerror}); mend that or move it away"
        ) from error
    if not content.startswith("--"):
        raise ConfigError(str(path), "has to open with a comment that says what one row is")
    return View(path.stem, kind, path, content)


def raw_views(root: Path, layouts: Mapping[str, Layout]) -> Iterator[str]:
    """Statements for the schema `raw`: each dataset as its files hold it."""
    yield "create schema if not exists raw"
    for name, layout in layouts.items():
        yield f"create or replace view raw.{name} as {raw(root, DATASETS[name], layout)}"


def raw(root: Path, contract: Dataset, layout: Layout) -> str:
    """The typed rows of one dataset; none where the lake holds no file to bind to."""
    if not is_bound(root, layout):
        columns = (f"null::{SQL_TYPES[k]} as {quoted(n)}" for n, k in contract.schema.items())
        return f"select {', '.join(columns)} where false"
    hive = {} if contract.free_form else layout.hive
    levels = [re.sub(r"\{\w+\}", "*", level) for level in layout.folders]
    levels[0] = levels[0] if "{" not in layout.folders[0] else contract.name
    glob = "/".join([escaped(str(root)), *levels, "*.parquet"])
    types = ", ".join(f"{quoted(c)}: {_hive_type(field)}" for c, field in hive.items())
    options = (
        f"hive_partitioning=true, hive_types={{{types}}}" if hive else "hive_partitioning=false"
    )
    extra = [column for column in hive if column not in contract.schema]
    names = ", ".join(quoted(name) for name in (*contract.schema, *extra))
    return f"select {names} from read_parquet({text(glob)}, {options})"


def is_bound(root: Path, layout: Layout) -> bool:
    """Whether a view over the dataset's files can be made: one needs a file to know its columns."""
    return (root / layout.anchor()).exists() or bool(layout.files(root))


def _hive_type(field: str) -> str:
    return "integer" if field in TIMES else "varchar"


def quoted(name: str) -> str:
    """An identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string in SQL."""
    return "'" + value.replace("'", "''") + "'"


def escaped(path: str) -> str:
    """`path` with the characters that a glob would interpret taken literally."""
    return re.sub(r"([*?\[])", r"[\1]", path)
