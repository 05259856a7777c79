import json
from pathlib import Path

import pytest

from cq.errors import ConfigError, UsageError
from cq.lake import Lake
from cq.lake.views import KINDS, escaped, project_files, quoted, text, views
from cq.utils.resources import RECORD, digest_of, resource_root

FILES = sorted(project_files().rglob("*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sql_file_opens_with_its_grain_and_makes_the_view_it_is_named_for(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("-- One row per ")
    assert lines[0].endswith(".")
    assert f"create or replace view {path.stem} as" in lines
    assert path.parent.name in KINDS


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
    ],
)
def test_a_sql_file_that_does_not_work_is_named(tmp_path, content, problem):
    (tmp_path / "sql/checks").mkdir(parents=True)
    (tmp_path / "sql/checks/x.sql").write_text(content)
    with pytest.raises(ConfigError, match=rf"sql/checks/x\.sql: .*{problem}"):
        Lake(tmp_path / "lake").sql("select 1")


def test_a_severity_nobody_knows_is_named(tmp_path):
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/x.sql").write_text("-- One row.\n-- severity: fatal\nselect 1")
    view = next(one for one in views(tmp_path) if one.name == "x")
    with pytest.raises(ConfigError, match="severity 'fatal'; expected error or warn"):
        view.severity  # noqa: B018


def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path, bars):
    lake = Lake(tmp_path / "it's [a] *lake?")
    lake.write("ohlcv", bars(3), source="test", now_ns=1)
    assert lake.sql("select count(*) from bars").item() == 3
    assert lake.bars("BTC-BRL", "1h").collect().height == 3
    assert lake.refresh_catalog()


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
