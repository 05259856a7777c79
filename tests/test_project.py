"""A new project folder."""

from pathlib import Path

import pytest

from cq.errors import LakeUnwritable
from cq.project import create
from cq.schemas import schemas
from cq.utils.config import load
from cq.utils.resources import resource_root


def test_a_new_project_has_settings_sql_strategies_and_the_lakes_readme(tmp_path):
    made, kept = create(tmp_path / "mine")
    names = {str(path.relative_to(tmp_path / "mine")) for path in made}
    assert kept == []
    assert {"configs/default.yaml", "lake/README.md", ".gitignore", "sql/marts/bars.sql"} <= names
    assert {"configs/config.schema.json", "configs/strategy.schema.json"} <= names
    assert "configs/strategies/crossover_btc.yaml" in names
    assert load(tmp_path / "mine").settings.data_root == tmp_path / "mine" / "lake"


def test_what_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "configs").mkdir()
    mine = tmp_path / "configs" / "default.yaml"
    mine.write_text("env: prod\n")
    made, kept = create(tmp_path)
    assert mine.read_text() == "env: prod\n"
    assert kept == [mine]
    assert made
    assert create(tmp_path)[0] == []


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
