"""A project folder: configs/, sql/, lake/, made from the files that come with cq."""

from __future__ import annotations

from pathlib import Path

from cq.errors import LakeUnwritable
from cq.utils.resources import resource_root

GITIGNORE = "/lake/*\n!/lake/README.md\n/lake.db\n/lake.db.wal\n/runs/\n/configs/local.yaml\n"


def create(folder: Path) -> tuple[list[Path], list[Path]]:
    """Make `folder` a project; returns the files made, and those left because they were there."""
    made: list[Path] = []
    kept: list[Path] = []
    for relative, content in _files().items():
        path = folder / relative
        if path.exists():
            kept.append(path)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(path.name + ".tmp")
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError as error:
            raise LakeUnwritable(path, error.strerror or str(error)) from None
        made.append(path)
    return made, kept


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
