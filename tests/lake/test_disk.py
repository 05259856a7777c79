import errno
import inspect
import os
from pathlib import Path

import pytest

from cq.errors import CannotExchange, LakeUnwritable
from cq.lake import disk


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text(name)
    return path


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir())


def refusing(number: int):
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_every_door_is_a_function_that_says_what_it_does():
    for name in disk.DOORS:
        assert inspect.isfunction(getattr(disk, name)), name
        assert getattr(disk, name).__doc__, name


def test_the_lake_changes_nothing_on_disk_but_through_the_doors():
    changing = (
        *(".mkdir(", ".unlink(", ".rmdir(", ".replace(target", "write_bytes(", "FileIO("),
        *("os.fsync", "os.link", "rmtree", "os.remove", "os.rename", ".touch(", 'open("w'),
    )
    for path in Path(disk.__file__).parent.glob("*.py"):
        if path.stem not in ("disk", "locks"):
            text = path.read_text().replace("disk.replace(", "")
            assert [word for word in changing if word in text] == [], path.name


def test_two_folders_take_each_others_names(tmp_path):
    one, other = folder(tmp_path / "one", "a"), folder(tmp_path / "other", "b", "c")
    disk.exchange(one, other)
    assert (names(one), names(other)) == (["b", "c"], ["a"])


def test_where_folders_cannot_be_exchanged_one_line_says_so(tmp_path, monkeypatch):
    one, other = folder(tmp_path / "one", "a"), folder(tmp_path / "other", "b")
    monkeypatch.setattr(disk, "_exchanger", lambda: (None, None))
    with pytest.raises(CannotExchange, match=f"{other} stays as it is.*such as ext4"):
        disk.exchange(one, other)
    assert (names(one), names(other)) == (["a"], ["b"])


def test_another_refusal_of_an_exchange_is_what_the_system_says(tmp_path):
    with pytest.raises(FileNotFoundError):
        disk.exchange(tmp_path / "none", tmp_path)


def test_a_linked_file_is_one_file_of_two_names(tmp_path):
    there = folder(tmp_path / "one", "a")
    disk.link(there / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(there / "a")
    with pytest.raises(FileExistsError):
        disk.link(there / "a", tmp_path / "b")


def test_where_files_cannot_have_two_names_they_are_copied(tmp_path, monkeypatch):
    there = folder(tmp_path / "one", "a")
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    disk.link(there / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    monkeypatch.setattr(os, "link", refusing(errno.EACCES))
    with pytest.raises(PermissionError):
        disk.link(there / "a", tmp_path / "c")


def test_a_short_write_is_gone_on_with(tmp_path):
    class Slow:
        def __init__(self) -> None:
            self.got = b""

        def write(self, content: memoryview) -> int:
            self.got += bytes(content[:3])
            return len(content[:3])

    file = Slow()
    disk.append(file, b"0123456789")
    assert file.got == b"0123456789"


def test_a_folder_that_is_removed_while_it_is_made_comes_again(tmp_path, monkeypatch):
    real, seen = Path.mkdir, []

    def once_gone(self: Path, *args: object, **more: object) -> None:
        seen.append(self)
        if len(seen) == 1:
            raise FileNotFoundError
        real(self, *args, **more)

    monkeypatch.setattr(Path, "mkdir", once_gone)
    disk.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_what_is_not_there_is_removed_already(tmp_path):
    disk.remove(tmp_path / "none")
    disk.remove_folder(tmp_path / "none")
    with pytest.raises(OSError, match="not empty"):
        disk.remove_folder(folder(tmp_path / "full", "a").parent)


def test_what_the_system_refuses_is_an_unwritable_lake(tmp_path):
    said = f"cannot write to {tmp_path} \\(No space left"
    with pytest.raises(LakeUnwritable, match=said), disk.writing(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
