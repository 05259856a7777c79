"""`lake.json`: what a lake remembers about itself, and the empty files that views bind to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import get_ident

from cq.errors import ConfigError, DataError, LakeUnwritable, Unreadable
from cq.lake import disk, places
from cq.lake.datasets import DATASETS
from cq.lake.layout import DEFAULT_PARTITIONS, Layout
from cq.lake.locks import LOCKS, held

MANIFEST = "lake.json"
FORMAT = 1
WAIT_S = 10


def layouts(root: Path, partitions: Mapping[str, str] | None) -> dict[str, Layout]:
    """Each dataset's layout: what the lake remembers, else what is given, else the default."""
    given = dict(partitions or {})
    for name in given:
        if name not in DATASETS:
            raise ConfigError("partitions", f"no dataset {name!r}; there is {', '.join(DATASETS)}")
    remembered = read(root)
    for name, template in given.items():
        if name in remembered and remembered[name] != template:
            raise ConfigError(
                f"partitions.{name}.path",
                f"the lake {root} was made with {remembered[name]!r}, "
                f"the settings say {template!r}; go back to the first, "
                "or import into another data_root",
            )
    return {
        name: Layout(name, t) for name, t in {**DEFAULT_PARTITIONS, **given, **remembered}.items()
    }


def read(root: Path) -> dict[str, str]:
    """The templates in `lake.json`; none where there is no such file."""
    path = root / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ConfigError(
                str(path), f"format {found['format']}; this cq reads {FORMAT}; use a newer cq"
            )
        return {str(name): str(template) for name, template in found["partitions"].items()}
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise DataError(
            f"{root} cannot be a lake's folder, a file is in its place; move that file away, "
            "or let data_root name another folder"
        ) from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, a file was expected; move it away") from None
    except OSError as error:
        raise Unreadable(path, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            str(path),
            f"is not a lake's manifest ({error}); put the right one back, or delete it where "
            "`partitions` in the settings still say how the lake was made",
        ) from error


def prepare(root: Path, layouts: Mapping[str, Layout]) -> None:
    """Give the lake its empty files and its `lake.json`, where they are not there yet."""
    anchors = {name: root / layout.anchor() for name, layout in layouts.items()}
    try:
        missing = [name for name, path in anchors.items() if not path.exists()]
        if not missing and (root / MANIFEST).exists():
            return
    except OSError as error:
        raise LakeUnwritable(root, error.strerror or str(error)) from error
    from cq.lake import parquet

    for name in missing:
        path = anchors[name]
        empty = parquet.encoded(DATASETS[name].empty(), required=DATASETS[name].required)
        parquet.place(empty, path.parent, path.name)
    _remember(root, {name: layout.template for name, layout in layouts.items()})


def _remember(root: Path, templates: Mapping[str, str]) -> None:
    """Write `lake.json` unless somebody else was first."""
    text = json.dumps({"format": FORMAT, "partitions": templates}, indent=2) + "\n"
    beside = root / f"{MANIFEST}.{get_ident()}.{os.getpid()}.tmp"
    with disk.writing(root), held(root / LOCKS / f"{MANIFEST}.lock", str(root), WAIT_S):
        if places.is_remote(root):
            with suppress(FileExistsError):
                disk.put(root / MANIFEST, text.encode(), only_new=True)
        elif not (root / MANIFEST).exists():
            with disk.create(beside) as file:
                disk.append(file, text.encode())
                disk.sync_file(file)
            disk.replace(beside, root / MANIFEST)
            disk.sync_folder(root)
    for name, template in read(root).items():
        if templates.get(name, template) != template:
            raise ConfigError(
                f"partitions.{name}.path",
                f"another process made the lake {root} with {template!r} just now",
            )
