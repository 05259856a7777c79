import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from cq.errors import CatalogUnwritable, ConfigError, UsageError
from cq.lake import Lake
from cq.lake.file_views import file_views
from cq.lake.raw import stubs
from cq.lake.views import (
    KINDS,
    MACROS,
    WORDS,
    View,
    escaped,
    in_order,
    macros,
    names_in,
    project_files,
    quoted,
    text,
    views,
    words,
)
from cq.utils.resources import RECORD, digest_of, resource_root

FILES = sorted(project_files().rglob("*.sql"))
MADE_BY_MACROS = [path for path in FILES if path.parent.name == MACROS]


@pytest.mark.parametrize(
    "path", [path for path in FILES if path not in MADE_BY_MACROS], ids=lambda path: path.stem
)
def test_every_sql_file_opens_with_its_grain_and_makes_the_view_it_is_named_for(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("-- One row per ")
    assert lines[0].endswith(".")
    assert f"create or replace view {path.stem} as" in lines
    assert path.parent.name in KINDS


@pytest.mark.parametrize("path", MADE_BY_MACROS, ids=lambda path: path.stem)
def test_every_file_of_a_macro_opens_with_its_sentence_and_makes_what_it_is_named_for(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("-- ")
    assert lines[0].endswith(".")
    assert f"create or replace macro {path.stem}(" in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sql_file_is_one_statement(path):
    assert [one.type.name for one in duckdb.extract_statements(path.read_text())] == ["CREATE"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sql_is_written_in_lower_case(path):
    words = {"SELECT", "FROM", "WHERE", "WITH", "GROUP", "ORDER", "JOIN", "CASE", "AS"}
    code = [line for line in path.read_text().splitlines() if not line.startswith("--")]
    assert words & set(" ".join(code).split()) == set()


def test_every_check_has_the_same_columns_and_says_its_severity(lake):
    for view in views(lake.sql_root):
        if view.kind == "checks":
            columns = lake.sql(f"from {view.name}").columns
            assert columns == ["exchange", "symbol", "interval", "ts", "rows", "detail"]
            assert f"-- severity: {view.severity}" in view.text


def test_a_projects_own_file_adds_a_view_or_takes_the_place_of_one(tmp_path):
    (tmp_path / "sql/marts").mkdir(parents=True)
    (tmp_path / "sql/checks").mkdir()
    (tmp_path / "sql/marts/bars.sql").write_text(
        "-- One row per nothing.\ncreate or replace view bars as select 7 as seven;"
    )
    (tmp_path / "sql/checks/mine.sql").write_text(
        "-- One row per bar.\n-- severity: warn\ncreate or replace view mine as from later;"
    )
    (tmp_path / "sql/marts/later.sql").write_text(
        "-- One row per bar.\ncreate or replace view later as from bars;"
    )
    lake = Lake(tmp_path / "lake")
    assert lake.sql("from mine").rows() == [(7,)]
    assert [one.severity for one in lake.views.views if one.name == "mine"] == ["warn"]


def test_a_copy_of_an_older_version_gives_way_until_it_is_changed(tmp_path):
    old = "-- One row per bar.\ncreate or replace view latest as select 7 as seven"
    (tmp_path / "sql/marts").mkdir(parents=True)
    record = {"files": dict.fromkeys(("sql/marts/latest.sql", "sql/marts/gone.sql"))}
    for name in record["files"]:
        text = old.replace("latest", Path(name).stem)
        (tmp_path / name).write_text(text)
        record["files"][name] = digest_of(text.encode())
    (tmp_path / RECORD).write_text(json.dumps(record))
    names = {view.name: view.path for view in Lake(tmp_path / "lake").views.views}
    assert names["latest"].is_relative_to(project_files())
    assert "gone" not in names
    (tmp_path / "sql/marts/latest.sql").write_text(old.replace("7", "8"))
    assert Lake(tmp_path / "lake").sql("from latest").rows() == [(8,)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("create view x as select 1", "has to open with a comment"),
        ("-- One row.\ncreate or replace view x as selec 1", "syntax error"),
        ("-- One row.\ncreate or replace view x as from nowhere", "nowhere does not exist"),
        ("-- One row.\ncreate or replace view y as select 1", "makes no view called x"),
        (
            "-- One row.\ncreate or replace view x as select 1; drop view bars;",
            "holds create, drop; expected one statement, `create or replace view x",
        ),
        ("-- One row.\ndrop view bars", "holds drop; expected one statement"),
        ("-- One row.", "holds nothing; expected one statement"),
    ],
)
def test_a_sql_file_that_does_not_work_is_named(tmp_path, content, problem):
    (tmp_path / "sql/checks").mkdir(parents=True)
    (tmp_path / "sql/checks/x.sql").write_text(content)
    for doing in (lambda lake: lake.sql("from X"), Lake.refresh_catalog):
        with pytest.raises(ConfigError, match=rf"sql/checks/x\.sql: .*{problem}"):
            doing(Lake(tmp_path / "lake"))


def test_a_file_that_does_not_work_keeps_nobody_from_asking_for_others(tmp_path, bars):
    (tmp_path / "sql/checks").mkdir(parents=True)
    (tmp_path / "sql/checks/x.sql").write_text("-- One row.\ncreate or replace view x as selec 1")
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", bars(3), source="test", now_ns=1)
    assert lake.sql("select count(*) from BARS").item() == 3
    assert lake.scan("bars").select(pl.len()).collect().item() == 3


def test_a_question_may_put_names_together_or_ask_which_views_there_are(tmp_path):
    for query in ("from query_table('la' || 'test')", "from query('from ' || 'bars_' || '1h')"):
        lake = Lake(tmp_path / "lake")
        lake.sql("select 1")
        assert lake.sql(query).is_empty()
    for query in ("show tables", "from duckdb_views()", "from information_schema.tables"):
        lake = Lake(tmp_path / "lake")
        lake.sql("select count(*) from bars")
        assert "latest" in str(lake.sql(query).rows())
    with pytest.raises(UsageError, match="bars_1h"):
        Lake(tmp_path / "lake").sql("from bars_1hh")


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Tokyo"])
def test_ts_ns_takes_the_zone_of_a_moment_and_utc_where_it_has_none(zone):
    connection = duckdb.connect()
    connection.execute(f"set timezone = '{zone}'")
    for macro in macros(Path("/nonexistent")):
        if macro.name == "ts_ns":
            connection.execute(macro.text)
    midnight, hours = 1_704_067_200_000_000_000, 3_600_000_000_000
    for moment, expected in (
        ("'2024-01-01'", midnight),
        ("'2024-01-01 00:00'", midnight),
        ("'2024-01-01T00:00:00Z'", midnight),
        ("date '2024-01-01'", midnight),
        ("timestamp '2024-01-01'", midnight),
        ("timestamp_ns '2024-01-01 00:00:00.123456789'", midnight + 123_456_789),
        ("'2024-01-01T00:00:00-03:00'", midnight + 3 * hours),
        ("'2024-01-01T00:00:00+0900'", midnight - 9 * hours),
        ("'2024-01-01 00:00:00.123456789-03:00'", midnight + 3 * hours + 123_456_789),
        ("'2024-01-01 00:00:00 America/Sao_Paulo'", midnight + 3 * hours),
        ("timestamptz '2024-01-01 00:00:00-03'", midnight + 3 * hours),
    ):
        assert connection.execute(f"select ts_ns({moment})").fetchall() == [(expected,)]
    assert connection.execute("select ts_ns(now()) - epoch_ns(now())").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("interval", "length"),
    [("1m", 60), ("15m", 900), ("4h", 14400), ("1d", 86400), ("2w", 1209600), ("1M", None)]
    + [(one, None) for one in ("1.5h", "2.4h", " 2h", "-1h", "0h", "01h", "1e3m", "h", "1H", "")],
)
def test_step_ns_is_the_length_of_an_interval_and_of_nothing_else(lake, interval, length):
    told = lake.sql("select step_ns($1) as length", [interval]).item()
    assert told == (length and length * 1_000_000_000)


def test_a_severity_nobody_knows_is_named(tmp_path):
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/x.sql").write_text("-- One row.\n-- severity: fatal\nselect 1")
    view = next(one for one in views(tmp_path) if one.name == "x")
    with pytest.raises(ConfigError, match="severity 'fatal'; expected error, warn, info, off"):
        view.severity  # noqa: B018


def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path, bars):
    lake = Lake(tmp_path / "it's [a] *lake?")
    lake.write("ohlcv", bars(3), source="test", now_ns=1)
    assert lake.sql("select count(*) from bars").item() == 3
    assert lake.bars("BTC-BRL", "1h").collect().height == 3
    assert lake.refresh_catalog()


def test_a_question_mark_in_the_folder_of_lake_db_is_said_to_be_what_duckdb_cannot_take(
    tmp_path, bars
):
    lake = Lake(tmp_path / "what?" / "lake")
    lake.write("ohlcv", bars(3), source="test", now_ns=1)
    with pytest.raises(CatalogUnwritable, match=r"cannot take the \? in its path; all else works"):
        lake.refresh_catalog()
    assert lake.sql("select count(*) from bars").item() == 3


def test_names_and_words_are_quoted():
    assert (quoted('a"b'), text("it's"), escaped("a[b]*?")) == ('"a""b"', "'it''s'", "a[[]b][*][?]")


def test_an_unknown_view_is_told_what_there_is(lake):
    with pytest.raises(UsageError, match=r"no view 'candles'; there is .*bars"):
        lake.scan("candles")


def test_every_view_stands_in_the_docs_with_its_grain():
    page = (resource_root() / "docs/views.md").read_text()
    for view in views(project_files()):
        mark = f" ({view.severity})" if view.kind == "checks" else ""
        grain = view.grain.removeprefix("One row per ")
        assert f"| `{view.name}`{mark} | {grain} |" in page
    for macro in macros(project_files()):
        assert f"| `{macro.name}(" in page
        assert macro.grain[1:] in page


def test_every_column_of_every_view_and_every_macro_has_its_words_in_lake_db(lake):
    assert lake.refresh_catalog()
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        bare = connection.sql(
            "select table_name || '.' || column_name from duckdb_columns() "
            "where not internal and comment is null"
        ).fetchall()
        things = connection.sql(
            "select view_name from duckdb_views() where not internal and comment is null union all "
            "select function_name from duckdb_functions() where not internal and comment is null"
        ).fetchall()
    assert (bare, things) == ([], []), f"say what they are in sql/{WORDS}"


def test_every_word_is_the_meaning_of_a_column_that_there_is(lake):
    there = {name for (name,) in lake.sql("select column_name from duckdb_columns()").rows()}
    assert words(project_files()).keys() - there == set()


def test_a_view_may_say_what_its_own_column_is_and_a_project_add_words(tmp_path):
    (tmp_path / "sql/marts").mkdir(parents=True)
    (tmp_path / "sql" / WORDS).write_text("mood: how it feels\nclose: mine\n")
    (tmp_path / "sql/marts/moods.sql").write_text(
        "-- One row per bar.\n-- column ts: when it was felt\n"
        "create or replace view moods as select ts, 'glad' as mood, close from bars;"
    )
    lake = Lake(tmp_path / "lake")
    lake.refresh_catalog()
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        said = connection.sql(
            "select comment from duckdb_columns() where table_name = 'moods' order by column_index"
        ).fetchall()
    assert said == [("when it was felt",), ("how it feels",), ("mine",)]


def test_files_that_build_on_others_come_after_them():
    def file(name: str, text: str) -> View:
        return View(name, "marts", Path(name), text)

    chain = [file("a", "from b, c"), file("b", "from c"), file("c", "from d"), file("d", "from a")]
    order = [one.name for one in in_order(chain)]
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order.index("c") < order.index("b") < order.index("a")


def test_what_came_with_cq_is_made_one_after_another_in_that_order(lake):
    shipped = in_order(macros(project_files()) + views(project_files()))
    with duckdb.connect() as connection:
        for statement in [*stubs(lake.root, lake.layouts), *file_views(lake.root, {})]:
            connection.execute(statement)
        for one in shipped:
            connection.execute(one.text)


def test_names_in_comments_and_of_the_schema_raw_are_no_views_to_build_on():
    sql = "-- gaps\n-- fact: a = lost(ts)\n-- suspect: ABOVE(a)\nselect * from raw.trades, bars"
    assert names_in(sql) & {"gaps", "lost", "above", "trades", "bars"} == {"lost", "above", "bars"}


def test_a_projects_own_macro_is_added_wins_and_goes_with_its_file(tmp_path):
    folder = tmp_path / "sql/macros"
    folder.mkdir(parents=True)
    (folder / "twice.sql").write_text("-- Twice.\ncreate or replace macro twice(x) as 2 * x;")
    (folder / "step_ns.sql").write_text("-- Mine.\ncreate or replace macro step_ns(step) as 7;")
    assert Lake(tmp_path / "lake").sql("select twice(4) as a, step_ns('1h') as b").rows() == [
        (8, 7)
    ]
    assert Lake(tmp_path / "lake").refresh_catalog()
    (folder / "twice.sql").write_text(
        "-- Two rows.\ncreate or replace macro twice(x) as table select unnest([x, x]) as x;"
    )
    lake = Lake(tmp_path / "lake")
    assert lake.refresh_catalog()
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        assert connection.sql("from twice(3)").fetchall() == [(3,), (3,)]
    (folder / "twice.sql").unlink()
    assert Lake(tmp_path / "lake").refresh_catalog()
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        known = "select function_name from duckdb_functions() where not internal"
        assert ("twice",) not in connection.sql(known).fetchall()


def test_a_macro_that_makes_something_else_or_says_nothing_is_named(tmp_path):
    folder = tmp_path / "sql/macros"
    folder.mkdir(parents=True)
    (folder / "x.sql").write_text("-- One.\ncreate or replace macro y(a) as a;")
    with pytest.raises(ConfigError, match=r"macros/x\.sql: makes no macro called x"):
        Lake(tmp_path / "lake").sql("select x(1)")
    (folder / "x.sql").write_text("create or replace macro x(a) as a;")
    with pytest.raises(ConfigError, match="has to open with a comment that says what it gives"):
        Lake(tmp_path / "lake").sql("select 1")


def test_a_byte_order_mark_is_no_part_of_a_view(tmp_path):
    (tmp_path / "sql/marts").mkdir(parents=True)
    mine = "-- One answer.\ncreate or replace view mine as select 42 as answer"
    (tmp_path / "sql/marts/mine.sql").write_text(mine, encoding="utf-8-sig")
    assert Lake(tmp_path / "lake").sql("from mine").rows() == [(42,)]


def test_a_view_that_is_not_utf_8_or_a_folder_is_named(tmp_path):
    (tmp_path / "marts").mkdir()
    path = tmp_path / "marts/mine.sql"
    path.write_bytes(b"-- caf\xe9\n")
    with pytest.raises(ConfigError, match=r"mine\.sql: is not UTF-8"):
        views(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=r"mine\.sql: cannot be read as a file"):
        views(tmp_path)
