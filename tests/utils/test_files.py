"""A file is there whole, or as it was."""

from pathlib import Path

import pytest

from cq.utils.files import beside, can_write_in, write_text


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


def test_a_folder_can_be_written_where_it_could_be_made(tmp_path):
    assert can_write_in(tmp_path / "not" / "yet")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_folder_of_the_system_cannot_be_written_by_anybody():
    assert not can_write_in(Path("/proc/self/none"))
