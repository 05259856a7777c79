import json

import pytest

from cq.errors import ConfigError, DataError, LakeUnwritable, Unreadable
from cq.lake import DATASETS, Lake
from cq.lake.manifest import MANIFEST

FLAT = "ohlcv/{symbol}/file-{HHmmss}.parquet"


def test_a_lake_remembers_its_templates(tmp_path):
    Lake(tmp_path / "lake", partitions={"ohlcv": FLAT}).prepare()
    assert Lake(tmp_path / "lake").layouts["ohlcv"].template == FLAT
    assert json.loads((tmp_path / "lake" / MANIFEST).read_text())["format"] == 1


def test_looking_at_a_lake_makes_nothing(tmp_path):
    lake = Lake(tmp_path / "lake")
    assert lake.stored().is_empty()
    assert lake.sql("select count(*) from bars").item() == 0
    assert list(tmp_path.iterdir()) == []


def test_other_templates_than_remembered_are_refused_with_both(tmp_path):
    lake = Lake(tmp_path / "lake", partitions={"ohlcv": FLAT})
    lake.prepare()
    with pytest.raises(ConfigError) as caught:
        Lake(tmp_path / "lake", partitions={"ohlcv": "ohlcv/{symbol}/x.parquet"})
    assert FLAT in str(caught.value)
    assert "ohlcv/{symbol}/x.parquet" in str(caught.value)
    assert Lake(tmp_path / "lake", partitions={"ohlcv": FLAT}).layouts == lake.layouts


def test_two_makers_of_one_lake_agree_or_the_second_is_told(tmp_path):
    first = Lake(tmp_path / "lake")
    second = Lake(tmp_path / "lake", partitions={"ohlcv": FLAT})
    first.prepare()
    with pytest.raises(ConfigError, match="another process made the lake"):
        second.prepare()


def test_a_dataset_nobody_knows_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no dataset 'candles'; there is ohlcv"):
        Lake(tmp_path / "lake", partitions={"candles": FLAT})


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 9, "partitions": {}}'])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ConfigError, match=r"lake\.json"):
        Lake(tmp_path)


def test_each_dataset_has_an_empty_file_that_nobody_lists(lake):
    lake.prepare()
    assert len(list(lake.root.rglob("anchor.parquet"))) == len(DATASETS)
    for name in DATASETS:
        assert lake.stored(name).is_empty()
        assert lake.sql(f"from raw.{name}").is_empty()


def test_preparing_again_touches_nothing(lake):
    lake.prepare()
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")}
    lake.prepare()
    assert before == {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")}


def test_a_lost_anchor_comes_back(lake):
    lake.prepare()
    path = lake.root / lake.layouts["trades"].anchor()
    path.unlink()
    lake.prepare()
    assert path.exists()


def test_a_lake_where_no_file_can_be_made_is_one_clear_error(lake, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    lake.prepare()
    (lake.root / MANIFEST).unlink()
    monkeypatch.setattr("pathlib.Path.replace", refused)
    with pytest.raises(LakeUnwritable, match="Permission denied"):
        lake.prepare()


def test_a_file_in_the_place_of_the_lake_is_no_empty_lake(tmp_path):
    (tmp_path / "lake").write_text("")
    for root in (tmp_path / "lake", tmp_path / "lake" / "below"):
        with pytest.raises(DataError, match="a file is in its place"):
            Lake(root)


def test_a_folder_in_the_place_of_the_manifest_is_said(tmp_path):
    (tmp_path / "lake/lake.json").mkdir(parents=True)
    with pytest.raises(DataError, match=r"lake\.json is a folder"):
        Lake(tmp_path / "lake")


def test_a_manifest_that_may_not_be_read_is_no_empty_lake(tmp_path, monkeypatch):
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", denied)
    with pytest.raises(Unreadable, match="check its permissions"):
        Lake(tmp_path / "lake")
