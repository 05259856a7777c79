"""The lake in SQL: views in memory for cq itself, and in `lake.db` for any DuckDB shell."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from cq.errors import CatalogUnwritable, ConfigError, CqError, DataError, UsageError
from cq.lake.answers import is_beyond, plain, small
from cq.lake.damage import damage, damaged_run, found_in
from cq.lake.file_views import file_views
from cq.lake.places import filesystem, is_remote
from cq.lake.raw import anchor_runs, damaged, is_bound, raw_views, runs_bound, stubs
from cq.lake.scan import frame, patiently
from cq.lake.statements import check_creation, check_question, first_line
from cq.lake.stillness import still
from cq.lake.views import View, in_order, macros, named_in, names_in, quoted, text, views, words
from cq.utils.calls import interruptible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cq.lake.layout import Layout

STORAGE = "v1.0.0"  # the oldest that every 1.x and 2.x command line opens
PATIENCE_S = 1.5
STATE = ".catalog.json"
MADE = """select view_name from duckdb_views() where not internal
union all select function_name from duckdb_functions() where not internal"""
COLUMNS = """select schema_name, table_name, column_name from duckdb_columns()
where not internal order by schema_name, table_name, column_index"""


NO_LOOPS = "asof_loop_join_threshold=0"
"""DuckDB makes an as-of join a loop over all pairs where it expects few rows, and often errs."""

TEXT_AS_VIEWS = "set session arrow_output_version = '1.4'"
"""Text goes to Polars in its own form, not copied twice."""


LISTING = re.compile(
    r"\b(show|describe|desc|summarize|pragma\w*|duckdb_\w+|information_schema|pg_\w+|sqlite_\w+)\b"
)
"""Words of a question that may be about all views."""

Names = frozenset[str] | None
"""Of views and macros; None are all of them."""


AT_FIRST = 2
"""For so many questions no more views are made than they need."""


@dataclass(frozen=True)
class Made:
    """A connection that has views: what made them, of which datasets, which, and their columns."""

    connection: duckdb.DuckDBPyConnection
    statements: list[str]
    bound: tuple[bool, ...]
    names: Names
    questions: int = 1
    """For how many that named other views it was made."""
    schemas: dict[str, pl.Schema] = field(default_factory=dict)
    """As they were asked for: a view is bound to its columns once."""

    def has(self, names: Names) -> bool:
        """Whether all of `names` are there."""
        return self.names is None or (names is not None and names <= self.names)


class Catalog:
    """The views of one lake."""

    def __init__(
        self,
        root: Path,
        db: Path,
        layouts: Mapping[str, Layout],
        sql_root: Path,
        runs: Path | None = None,
    ) -> None:
        self.root, self.db, self.layouts, self.sql_root = root, db, layouts, sql_root
        self.runs = runs or root.parent / "runs"
        self._making = Lock()
        self._latest: Made | None = None

    @cached_property
    def views(self) -> list[View]:
        """Every view that a file defines."""
        return views(self.sql_root)

    @cached_property
    def macros(self) -> list[View]:
        """Every macro that a file defines."""
        return macros(self.sql_root)

    @cached_property
    def _named(self) -> dict[str, set[str]]:
        """By the name of a view or macro, in small letters, the names that stand in its file."""
        found = named_in(self.macros + self.views)
        return {name.lower(): {one.lower() for one in others} for name, others in found.items()}

    def _needed(self, query: str) -> Names:
        """The views and macros that a question names, and those that they build on."""
        query = query.lower()
        if LISTING.search(query):
            return None
        found, left = set[str](), names_in(query) & self._named.keys()
        while left:
            found |= left
            left = set().union(*(self._named[name] for name in left)) - found
        return frozenset(found)

    def scan(self, view: str) -> pl.LazyFrame:
        """A lazy frame over a view, by name."""
        known = {one.name for one in self.views} | {f"raw.{name}" for name in self.layouts}
        if view not in known:
            raise UsageError(f"no view {view!r}; there is {', '.join(sorted(known))}")
        query = f"from {'.'.join(quoted(part) for part in view.split('.'))}"
        made = self._made(self._needed(view))

        def opened() -> duckdb.DuckDBPyRelation:
            cursor = self._opened(made.connection)
            cursor.execute(TEXT_AS_VIEWS)
            return plain(cursor.sql(query))

        def told(error: BaseException) -> CqError:
            return self.told(error, UsageError(f"{view}: {first_line(error)}"))

        if view not in made.schemas:
            try:
                none = patiently(self.root, lambda: opened().limit(0).pl())
            except (duckdb.Error, pl.exceptions.PolarsError) as error:
                raise told(error) from error
            made.schemas[view] = none.schema
        return frame(self.root, opened, made.schemas[view], told)

    def sql(self, query: str, params: Any = None) -> pl.DataFrame:
        """The answer to a question over the views; what is no question is refused.

        What has no counterpart in Polars or Python is text: intervals, the year 10000, infinity.
        """
        try:
            check_question(query)
            answer = patiently(self.root, lambda: self._answer(query, params))
        except duckdb.IOException as error:
            raise self.told(error, DataError(first_line(error))) from error
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise self.told(error, UsageError(f"sql: {first_line(error)}")) from error
        return small(answer)

    def _answer(self, query: str, params: Any) -> pl.DataFrame:
        made = self._made(self._needed(query))
        try:
            return self._answered(made, query, params)
        except duckdb.Error:
            if made.names is None:
                raise
        return self._answered(self._made(), query, params)  # a name may be put together in it

    def _answered(self, made: Made, query: str, params: Any) -> pl.DataFrame:
        with still(self.root):
            cursor = self._opened(made.connection)  # held, to be interrupted
            relation = cursor.sql(query, params=params)
            answer: pl.DataFrame = pl.DataFrame() if relation is None else plain(relation).pl()
            if far := [name for name in answer.columns if is_beyond(answer[name])]:
                answer = plain(relation, far).pl()
        return answer

    def told(self, error: BaseException, otherwise: CqError) -> CqError:
        """The error of a file of the lake or a run that could not be read, else `otherwise`."""
        if (path := found_in(self.runs, str(error))) is not None:
            return damaged_run(path, first_line(error))
        return otherwise if found_in(self.root, str(error)) is None else damage(self.root, error)

    def cursor(self, query: str | None = None) -> duckdb.DuckDBPyConnection:
        """A fresh cursor on the views in memory, which sees the files that there are now.

        With a query at least those that it names are there, else all.
        """
        needed = None if query is None else self._needed(query)
        return self._opened(self._made(needed).connection)

    def _opened(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        if is_remote(self.root):
            filesystem().invalidate_cache()
        return interruptible(connection.cursor())

    def _made(self, names: Names = None) -> Made:
        """The views in memory; made again once a dataset that had no file has one.

        For a first question those of `names` alone, in a fraction of the time, for a second one
        those of both; then all there are.
        """
        with self._making:
            every = all(is_bound(self.root, layout) for layout in self.layouts.values())
            bound, latest = (every, *runs_bound(self.runs)), self._latest
            questions = 1 if latest is None else latest.questions
            if latest is not None and latest.has(names):
                names = latest.names
            elif latest is not None:
                known, latest, questions = latest.names, None, questions + 1
                if known is None or names is None or questions > AT_FIRST:
                    names = None
                else:
                    names = known | names
            if latest is None or latest.bound != bound:
                latest = self._new(names, bound, questions)
                self._latest = latest
            return latest

    def _new(self, names: Names, bound: tuple[bool, ...], questions: int) -> Made:
        connection = self._connected()
        try:
            statements, whole = self._build(connection, names)
        except ConfigError:
            if names is None:
                raise
            # perhaps it builds on what its text does not name
            return self._new(None, bound, questions)
        return Made(connection, statements, bound if whole else (), names, questions)

    def _connected(self) -> duckdb.DuckDBPyConnection:
        connection = interruptible(duckdb.connect(":memory:"))
        connection.execute("set global timezone='UTC'")
        connection.execute(f"set global {NO_LOOPS}")
        if is_remote(self.root):
            filesystem().invalidate_cache()
            connection.register_filesystem(filesystem())
            connection.execute("set parquet_metadata_cache=true")
        return connection

    def statements(self, query: str | None = None) -> list[str]:
        """What makes the views, in an order that works; with a query at least those it names."""
        return self._made(None if query is None else self._needed(query)).statements

    def _build(self, connection: duckdb.DuckDBPyConnection, names: Names) -> tuple[list[str], bool]:
        """Make the views of `names`, those that build on others after them; say how it went.

        And whether all are as they should be.
        """
        for layout in self.layouts.values():
            layout.files(self.root)  # DuckDB passes over folders that it may not read
        done = self._stubs()
        for statement in done:
            connection.execute(statement)
        wanted = [
            one
            for one in in_order(self.macros + self.views)
            if names is None or one.name.lower() in names
        ]
        waiting = wanted
        while waiting:
            later: list[tuple[View, duckdb.Error]] = []
            for view in waiting:
                try:
                    if not view.is_shipped:
                        check_creation(view)
                    connection.execute(view.text)
                except duckdb.CatalogException as error:
                    later.append((view, error))
                except duckdb.Error as error:
                    raise self.told(
                        error, ConfigError(str(view.path), first_line(error))
                    ) from error
                else:
                    done += [view.text, view.comment]
            if len(later) == len(waiting):
                raise ConfigError(str(later[0][0].path), first_line(later[0][1]))
            waiting = [view for view, _ in later]
        own = [view for view in wanted if not view.is_shipped]
        made = {name for (name,) in connection.execute(MADE).fetchall()} if own else set()
        for view in own:
            if view.name not in made:
                what = "macro" if view.kind == "macros" else "view"
                raise ConfigError(str(view.path), f"makes no {what} called {view.name}")
        true, whole = self._over_files(connection)
        return done + true, whole

    def _stubs(self) -> list[str]:
        """Statements for views over the files as if there were none, which bind at once."""
        return [*stubs(self.root, self.layouts), *file_views(self.root, {})]

    def _over_files(self, connection: duckdb.DuckDBPyConnection) -> tuple[list[str], bool]:
        """Make the views over the files that there are; the statements, and whether all are right.

        A damaged run must not keep the lake from answering, so that a view over such files is
        another one until that is mended.
        """
        true = [
            *raw_views(self.root, self.layouts, self.runs),
            *file_views(self.root, self.layouts),
        ]
        whole = True
        for at, statement in enumerate(true):
            try:
                connection.execute(statement)
            except duckdb.Error as error:
                if (path := found_in(self.runs, str(error))) is None:
                    raise damage(self.root, error) from error
                true[at], whole = damaged(path), False
                connection.execute(true[at])
        return true, whole

    def _meanings(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Statements that say, in a database shell, what each column of the views there is."""
        known, own = words(self.sql_root), {view.name: view.words for view in self.views}
        return [
            f"comment on column {schema}.{quoted(view)}.{quoted(column)} is {text(meaning)}"
            for schema, view, column in connection.execute(COLUMNS).fetchall()
            if (schema == "raw" or view in own)
            and (meaning := own.get(view, {}).get(column) or known.get(column))
        ]

    def refresh(self) -> bool:
        """Write the views into `lake.db` where they are not there yet; False while it is in use.

        CatalogUnwritable where it cannot be written for another reason.
        """
        anchor_runs(self.runs)
        true = self._true()
        digest, before = self._digest(true), self._state()
        if self.db.exists() and before.get("digest") == digest:
            return True
        statements = self._tried(true)
        names = [view.name for view in self.views]
        things = {view.name: view.thing for view in self.macros}
        gone = [f"view if exists {quoted(n)}" for n in before.get("views", []) if n not in names]
        gone += [
            f"{thing} if exists {quoted(name)}"
            for name, thing in before.get("macros", {}).items()
            if things.get(name) != thing
        ]
        try:
            self._rewrite([f"drop {one}" for one in gone] + statements)
            said = {"digest": digest, "views": names, "macros": things}
            (self.root / STATE).write_text(json.dumps(said) + "\n")
        except (duckdb.Error, OSError) as error:
            if _in_use(error):
                return False
            raise CatalogUnwritable(self.db, first_line(error)) from error
        return True

    def _true(self) -> list[str]:
        """Statements for the views over the files that there are."""
        with closing(self._connected()) as connection:
            for statement in self._stubs():
                connection.execute(statement)
            return self._over_files(connection)[0]

    def _digest(self, true: list[str]) -> str:
        """What `lake.db` has to hold, in a fifth of the time that making all of it takes."""
        said = self._stubs() + true
        said += [text for one in self.macros + self.views for text in (one.text, one.comment)]
        said += [f"{name}: {meaning}" for name, meaning in words(self.sql_root).items()]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def _tried(self, true: list[str]) -> list[str]:
        """What makes the views, `true` among it; a project's own files are tried in memory first.

        Those that came with cq are known to work in this order.
        """
        files = in_order(self.macros + self.views)
        if not all(one.is_shipped for one in files):
            return self.statements()
        made = [text for one in files for text in (one.text, one.comment)]
        return [*self._stubs(), *made, *true]

    def _rewrite(self, statements: list[str]) -> None:
        config: dict[str, Any] = {"storage_compatibility_version": STORAGE}
        for attempt in Retrying(
            retry=retry_if_exception(_in_use),
            stop=stop_after_delay(PATIENCE_S),
            wait=wait_random_exponential(max=0.3),
            reraise=True,
        ):
            with attempt, closing(duckdb.connect(str(self.db), config=config)) as connection:
                interruptible(connection).execute("begin")
                for statement in statements:
                    connection.execute(statement)
                for statement in self._meanings(connection):
                    connection.execute(statement)
                connection.execute("commit")

    def _state(self) -> dict[str, Any]:
        try:
            found = json.loads((self.root / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _in_use(error: BaseException) -> bool:
    """Whether somebody has the file open: another process, or this one in another way."""
    if isinstance(error, duckdb.ConnectionException):
        return True
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)
