"""A file is there whole, or as it was."""

import pytest

from cq.utils.files import beside, write_text


def test_a_file_takes_the_place_of_the_older_one(tmp_path):
    write_text(tmp_path / "a.json", "1")
    write_text(tmp_path / "a.json", "2 ä")
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "2 ä"


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path):
    write_text(tmp_path / "a.json", "whole")

    def half():
        with beside(tmp_path / "a.json") as written:
            written.write_text("ha")
            assert (tmp_path / "a.json").read_text() == "whole"
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        half()
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "whole"
