"""The SQL files in `sql/`: views, checks and macros, and the words for their columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cq.errors import ConfigError
from cq.utils.resources import copies, is_copy, resource_root

KINDS = ("staging", "marts", "checks")
MACROS = "macros"
SEVERITIES = ("error", "warn", "info", "off")
WORDS = "columns.yaml"


@dataclass(frozen=True)
class View:
    """One file of `sql/`: its name, what a row of it is, and the statement that makes it.

    A macro is a file of the same form; its sentence says what it gives.
    """

    name: str
    kind: str
    path: Path
    text: str

    @property
    def is_shipped(self) -> bool:
        """Whether the file came with cq."""
        return self.path.is_relative_to(project_files())

    @property
    def grain(self) -> str:
        """The sentence on the file's first line."""
        return self.text.splitlines()[0].removeprefix("--").strip()

    @property
    def severity(self) -> str:
        """How bad a row of a check is: `error`, `warn` or `info`; `off` is not run."""
        found = re.search(r"^-- severity: *(\w+)", self.text, re.MULTILINE)
        severity = found[1] if found else SEVERITIES[0]
        if severity not in SEVERITIES:
            expected = ", ".join(SEVERITIES)
            raise ConfigError(str(self.path), f"severity {severity!r}; expected {expected}")
        return severity

    @property
    def thing(self) -> str:
        """What the file makes, as SQL calls it: a view, a macro or a macro table."""
        if self.kind != MACROS:
            return "view"
        return "macro table" if re.search(r"\)\s+as\s+table\b", self.text) else "macro"

    @property
    def comment(self) -> str:
        """The statement that shows the grain in a database shell."""
        return f"comment on {self.thing} {quoted(self.name)} is {text(self.grain)}"

    @property
    def words(self) -> dict[str, str]:
        """Meanings that its own `-- column NAME: MEANING` lines give to columns."""
        return dict(re.findall(r"^-- column (\w+): *(.+)$", self.text, re.MULTILINE))


def views(project_sql: Path) -> list[View]:
    """The package's views, and the project's own, which win where names are equal.

    Copies that `cq init` put there are not the project's own: they may be of an older version.
    """
    return _of_kinds(project_sql, KINDS)


def macros(project_sql: Path) -> list[View]:
    """The package's macros and the project's own, as with views."""
    return _of_kinds(project_sql, (MACROS,))


def _of_kinds(project_sql: Path, kinds: Iterable[str]) -> list[View]:
    found = {path.stem: _view(path, kind) for path, kind in _files_in(project_files(), kinds)}
    known = copies(project_sql.parent)
    for path, kind in _files_in(project_sql, kinds):
        if not is_copy(path, project_sql.parent, known):
            found[path.stem] = _view(path, kind)
    return list(found.values())


def names_in(sql: str) -> set[str]:
    """The words of a statement that may name a view or macro, in small letters.

    Those of the schema `raw` and in lines of comment are none, but what a check's header asks is.
    """
    return set(re.findall(r"(?<!\braw\.)\b\w+", _code(sql)))


def _code(sql: str) -> str:
    return re.sub(r"^--(?! *(fact|suspect):).*$", "", sql.lower(), flags=re.MULTILINE)


def named_in(files: Sequence[View]) -> dict[str, set[str]]:
    """For each file the others that it may build on: those whose names stand in it."""
    names = {one.name.lower(): one.name for one in files}
    found = {one.name: names_in(one.text) & names.keys() for one in files}
    return {name: {names[one] for one in others} for name, others in found.items()}


def in_order(files: Sequence[View]) -> list[View]:
    """Those that others name, other than in quotes, before those others."""
    by_name = {one.name: one for one in files}
    named = named_in([replace(one, text=re.sub(r"'[^']*'", "", _code(one.text))) for one in files])
    done: dict[str, View] = {}

    def add(name: str, above: frozenset[str]) -> None:
        for other in sorted(named[name] - above - done.keys() - {name}):
            add(other, above | {name})
        done.setdefault(name, by_name[name])

    for name in by_name:
        add(name, frozenset())
    return list(done.values())


def words(project_sql: Path) -> dict[str, str]:
    """The meaning of each column's name, one for all views; the project's own words win."""
    found: dict[str, str] = {}
    for root in (project_files(), project_sql):
        if (root / WORDS).is_file():
            lines = _read(root / WORDS)
            found |= re.findall(r"^(\w+): *(.+)$", lines, re.MULTILINE)
    return found


def _files_in(root: Path, kinds: Iterable[str]) -> Iterator[tuple[Path, str]]:
    for kind in kinds:
        for path in sorted((root / kind).glob("*.sql")):
            yield path, kind


def project_files() -> Path:
    """The folder of SQL files that comes with cq."""
    return resource_root() / "sql"


def _view(path: Path, kind: str) -> View:
    content = _read(path).strip()
    if not content.startswith("--"):
        what = "it gives" if kind == MACROS else "one row is"
        raise ConfigError(str(path), f"has to open with a comment that says what {what}")
    return View(path.stem, kind, path, content)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Notepad begins with a mark
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), f"is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read as a file ({error.strerror}); mend that or move it away"
        ) from error


def quoted(name: str) -> str:
    """An identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string in SQL."""
    return "'" + value.replace("'", "''") + "'"


def escaped(path: str) -> str:
    """`path` with the characters that a glob would interpret taken literally."""
    return re.sub(r"([*?\[])", r"[\1]", path)
