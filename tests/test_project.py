"""A new project folder."""

import json
from pathlib import Path

import pytest

from cq.cli.main import run
from cq.errors import LakeUnwritable
from cq.project import Created, create
from cq.schemas import schemas
from cq.utils.config import load
from cq.utils.resources import RECORD, digest_of, resource_root


def test_a_new_project_has_settings_sql_strategies_and_the_lakes_readme(tmp_path):
    done = create(tmp_path / "mine")
    names = {str(path.relative_to(tmp_path / "mine")) for path in done.made}
    assert done.renewed == done.kept == []
    assert {"configs/default.yaml", "lake/README.md", ".gitignore", "sql/marts/bars.sql"} <= names
    assert {"configs/config.schema.json", "configs/strategy.schema.json"} <= names
    assert "configs/strategies/crossover_btc.yaml" in names
    assert load(tmp_path / "mine").settings.data_root == tmp_path / "mine" / "lake"


def test_what_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "configs").mkdir()
    mine = tmp_path / "configs" / "default.yaml"
    mine.write_text("env: prod\n")
    done = create(tmp_path)
    assert mine.read_text() == "env: prod\n"
    assert done.kept == [mine]
    assert done.made
    assert create(tmp_path) == Created(kept=[mine])


def as_if_older(project, name, text):
    """Put `text` where an older version of cq would have, with its digest."""
    path = project / name
    path.write_text(text)
    record = json.loads((project / RECORD).read_text())
    record["files"][name] = digest_of(text.encode())
    (project / RECORD).write_text(json.dumps(record))
    return path


def test_what_an_older_version_made_is_renewed_and_what_was_changed_since_is_kept(tmp_path):
    create(tmp_path)
    old = as_if_older(tmp_path, "configs/default.yaml", "env: dev\n")
    changed = as_if_older(tmp_path, "lake/README.md", "old words\n")
    changed.write_text("my words\n")
    assert create(tmp_path) == Created(renewed=[old], kept=[changed])
    assert old.read_text() == (resource_root() / "configs" / "default.yaml").read_text()
    assert changed.read_text() == "my words\n"


def test_a_copy_is_one_whatever_line_ends_git_gave_it(tmp_path):
    create(tmp_path)
    path = tmp_path / "sql" / "marts" / "bars.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert create(tmp_path) == Created()


@pytest.mark.parametrize("text", ["", "[]", '{"files": 1}', "\udcff"])
def test_without_a_record_every_file_that_differs_is_the_users(tmp_path, text):
    create(tmp_path)
    (tmp_path / RECORD).write_bytes(text.encode(errors="surrogateescape"))
    view = tmp_path / "sql" / "marts" / "bars.sql"
    view.write_text("-- Mine.\ncreate or replace view bars as select 1")
    assert create(tmp_path) == Created(kept=[view])


def test_init_says_what_it_did(tmp_path, capsys):
    assert run(["init", str(tmp_path / "a b")]) == 0
    said = capsys.readouterr().err
    assert "files made" in said
    assert "cd '" in said
    as_if_older(tmp_path / "a b", "sql/marts/bars.sql", "-- Old.\nselect 1")
    (tmp_path / "a b" / "sql" / "marts" / "latest.sql").write_text("-- Mine.\nselect 1")
    assert run(["init", str(tmp_path / "a b")]) == 0
    said = capsys.readouterr().err
    assert "1 file brought up to date, 1 file of yours kept" in said
    assert "yours: sql/marts/latest.sql" in said
    (tmp_path / "a b" / "sql" / "marts" / "latest.sql").unlink()
    assert run(["init", str(tmp_path / "a b")]) == 0
    capsys.readouterr()
    assert run(["init", str(tmp_path / "a b")]) == 0
    assert capsys.readouterr().err == f"{tmp_path / 'a b'}: nothing to do\n"


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeUnwritable, match="cannot write"):
        create(tmp_path / "file" / "project")


def test_the_schemas_in_configs_are_up_to_date():
    for name, text in schemas().items():
        committed = resource_root() / "configs" / name
        assert committed.read_text() == text, f"{name} is old; run `cq config schema`"


def test_example_strategies_name_their_schema():
    for path in Path(resource_root() / "configs" / "strategies").glob("*.yaml"):
        assert path.read_text().startswith(
            "# yaml-language-server: $schema=../strategy.schema.json"
        )
