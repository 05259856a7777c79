"""A project folder: configs/, sql/, lake/, made from the files that come with cq."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from cq import __version__
from cq.errors import LakeUnwritable
from cq.utils.files import beside
from cq.utils.resources import RECORD, copies, digest_of, is_copy, resource_root

GITIGNORE = (
    "/lake/*\n!/lake/README.md\n/lake.db\n/lake.db.wal\n/runs/\n/recordings/\n/configs/local.yaml\n"
)


@dataclass(frozen=True)
class Created:
    """What became of a project's files.

    `made` were not there; `renewed` were copies of an older version, untouched since; `kept` are
    the user's own words and stay as they are.
    """

    made: list[Path] = field(default_factory=list)
    renewed: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def create(folder: Path) -> Created:
    """Make `folder` a project, or bring one up to date with this version of cq."""
    done, known = Created(), copies(folder)
    record = dict(known)
    for relative, content in _files().items():
        path = folder / relative
        if not path.exists():
            done.made.append(path)
        elif _holds(path, content):
            record[relative.as_posix()] = digest_of(content)
            continue
        elif is_copy(path, folder, known):
            done.renewed.append(path)
        else:
            done.kept.append(path)
            continue
        _write(path, content)
        record[relative.as_posix()] = digest_of(content)
    if record != known:
        said = {"cq": __version__, "files": dict(sorted(record.items()))}
        _write(folder / RECORD, (json.dumps(said, indent=2) + "\n").encode())
    return done


def _holds(path: Path, content: bytes) -> bool:
    try:
        return digest_of(path.read_bytes()) == digest_of(content)
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as written:
            written.write_bytes(content)
    except OSError as error:
        raise LakeUnwritable(path, error.strerror or str(error)) from None


def _files() -> dict[Path, bytes]:
    from cq.schemas import schemas

    root = resource_root()
    found = {Path(".gitignore"): GITIGNORE.encode()}
    sources = [root / "configs" / "default.yaml", root / "lake" / "README.md"]
    sources += sorted((root / "configs" / "strategies").glob("*.yaml"))
    sources += sorted((root / "sql").rglob("*.sql"))
    for source in sources:
        found[source.relative_to(root)] = source.read_bytes()
    for name, text in schemas().items():
        found[Path("configs") / name] = text.encode()
    return found
