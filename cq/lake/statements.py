"""What a statement in SQL may be, and what DuckDB says of one that is wrong."""

from __future__ import annotations

import re

import duckdb

from cq.errors import ConfigError, UsageError
from cq.lake.views import View

QUESTIONS = ("SELECT", "MULTI")
"""DuckDB's kinds of statement that only ask: from, with, values, describe, summarize and show are
of the first, pivot is of the second."""
EXPLAINED = re.compile(r".*?\bexplain\b(\s+analyze\b|\s*\([^)]*\))?", re.DOTALL | re.IGNORECASE)


def check_question(query: str) -> None:
    """Refuse what would change views or files; in memory nothing of that would last."""
    statements = duckdb.extract_statements(query)
    if len(statements) != 1:
        raise UsageError(f"sql: expected one question, found {len(statements)} statements")
    kind = statements[0].type.name
    if kind == "EXPLAIN":
        check_question(EXPLAINED.sub("", query, count=1))
    elif kind not in QUESTIONS:
        raise UsageError(
            f"sql: {kind.lower().replace('_', ' ')} is no question; ask with select, from, "
            "describe, summarize, show or explain (views are the files in sql/)"
        )


def check_creation(view: View) -> None:
    """Refuse a file that is more than the one statement that makes something, or another one."""
    kinds = [one.type.name for one in duckdb.extract_statements(view.text)]
    if kinds != ["CREATE"]:
        held = ", ".join(kind.lower().replace("_", " ") for kind in kinds) or "nothing"
        what = "macro" if view.kind == "macros" else "view"
        raise ConfigError(
            str(view.path),
            f"holds {held}; expected one statement, `create or replace {what} {view.name} …`",
        )


def first_line(error: BaseException) -> str:
    """What DuckDB says, without the picture of the query."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("LINE ", "^"))]
    return " ".join(kept) or type(error).__name__
