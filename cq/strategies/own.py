"""A strategy that its user wrote: a Python file, run as it stands, and the code it is made of."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, resolve_name, spec_from_file_location
from pathlib import Path
from pkgutil import get_importer
from types import CodeType, ModuleType, new_class
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from warnings import catch_warnings, filterwarnings

import cq
from cq.errors import StrategyError
from cq.strategies.contract import Kind, StrategyConfig, by_sizing, wanted

if TYPE_CHECKING:
    from cq.features import Feature

LIBRARIES: Final = tuple(f"{Path(one).parent}{os.sep}" for one in (os.__file__, cq.__file__))
"""Where the standard library lies, and cq."""
INSTALLED: Final = {"site-packages", "dist-packages"}
"""Folders of packages that were installed."""


@dataclass(frozen=True)
class OwnCode:
    """A user's Python file with its SHA-256, and those of the user's other files that it imports.

    `imports`: file, as in `rules/entry.py`, → its SHA-256. Reads as the file's path.
    """

    path: Path
    digest: str
    imports: Mapping[str, str]

    def __str__(self) -> str:
        return str(self.path)


def kind_in(path: Path, where: str) -> tuple[Kind, OwnCode]:
    """The strategy in a user's Python file: `Config`, `generate_signals`, perhaps sizing."""
    if not path.is_file():
        raise StrategyError(where, f"python: no such file: {path}")
    module, features = _module(path)
    config = getattr(module, "Config", None)
    if not (isinstance(config, type) and issubclass(config, StrategyConfig)):
        raise StrategyError(
            str(path), "needs a class `Config` made from cq.strategies.StrategyConfig"
        )
    wanted(config, str(path))
    if features:
        if config.__module__ != module.__name__:  # others may take it from there, too
            config = cast("type[StrategyConfig]", new_class(config.__name__, (config,)))
        config.own_features = features
    signals = getattr(module, "generate_signals", None)
    if not callable(signals):
        raise StrategyError(str(path), "needs a function `generate_signals(bars, config)`")
    kind = Kind(config, signals, getattr(module, "size_positions", by_sizing))
    code = _Source.of(path)
    return kind, OwnCode(path, code.digest, _imports(code))


class _Newest(SourceFileLoader):
    """Compiles what the file says now.

    Bytecode kept beside it counts as fresh while the file's size and second of change are the same,
    so that a digit corrected at once would not be seen.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _module(path: Path) -> tuple[ModuleType, Mapping[str, Feature]]:
    """What a user's file is when it is run, and the features that it lists."""
    from cq.features.registry import features_of

    name = f"cq_own_{path.stem}"
    loader = _Newest(name, str(path)) if path.suffix == ".py" else None
    spec = spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise StrategyError(str(path), "is not a Python file; expected a name that ends in .py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic resolves annotations through it
    try:
        with catch_warnings(), features_of(name) as features:
            filterwarnings("ignore", 'Field name "warmup"')  # `wanted` says it in a line
            spec.loader.exec_module(module)
    except SyntaxError as error:
        raise StrategyError(f"{path}:{error.lineno}", f"is not Python: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise StrategyError(str(path), f"fails when imported: {_said(error)}") from error
    return module, features


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


class _Source(NamedTuple):
    """What a file of code says: its SHA-256, and the modules that it names in imports."""

    digest: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, path: Path, package: str = "") -> _Source:
        """What the file says now; its relative imports start at `package`."""
        content = path.read_bytes()
        try:
            names = tuple(_names(ast.parse(content), package)) if path.suffix == ".py" else ()
        except (SyntaxError, ValueError):  # which its import tells of, should it come to that
            names = ()
        return cls(hashlib.sha256(content).hexdigest(), names)


def _names(source: ast.Module, package: str) -> Iterator[str]:
    """Every module that is named in an import, wherever it stands, after the packages it is in.

    What is taken from a module may be a module too.
    """
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            whole = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            try:
                above = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # above all packages: Python refuses it, too
                continue
            whole = [f"{above}.{one.name}" for one in node.names]
        else:
            continue
        for name in whole:
            parts = name.split(".")
            yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


_loaded: dict[str, tuple[ModuleSpec, _Source]] = {}
"""Module → as what it was loaded, and what its file said when that was first seen.

That is the code which runs until it is loaded anew, whatever becomes of the file.
"""


def _imports(code: _Source) -> dict[str, str]:
    """The user's own files that `code` imports, and that these import, each with its digest."""
    found: dict[str, str] = {}
    specs: dict[str, ModuleSpec | None] = {}
    waiting = list(code.names)
    for name in waiting:  # which grows
        if name in specs:
            continue
        spec = specs[name] = _spec(name, specs.get)
        if spec is None or spec.origin is None:
            continue
        path = Path(spec.origin)
        try:
            source = _as_loaded(name, spec, path)
        except OSError:  # in an archive, or gone: there is no file to name
            continue
        waiting += source.names
        depth = name.count(".") + 1 + (path.stem == "__init__")
        found["/".join(path.parts[-depth:])] = source.digest
    return dict(sorted(found.items()))


def _spec(name: str, known: Callable[[str], ModuleSpec | None]) -> ModuleSpec | None:
    """What the module was loaded from, or would be, unless that is no code of the user's."""
    folders: Iterable[str] = sys.path
    if package := name.rpartition(".")[0]:
        above = known(package)
        if above is None or above.submodule_search_locations is None:
            return None
        folders = above.submodule_search_locations
    spec = getattr(sys.modules.get(name), "__spec__", None) or _found(name, folders)
    return spec if spec is not None and _is_users(spec) else None


def _found(name: str, folders: Iterable[str]) -> ModuleSpec | None:
    """What an import would take from these folders; nothing is loaded by looking."""
    package = None
    for finder in map(get_importer, folders):
        spec = None if finder is None else finder.find_spec(name)
        if spec is not None and spec.loader is not None:
            return spec
        package = package or spec  # a folder without __init__.py, if there is nothing else
    return package


def _is_users(spec: ModuleSpec) -> bool:
    """Whether a module comes from files of the user's: neither Python's, cq's nor installed."""
    places = [spec.origin] if spec.has_location else spec.submodule_search_locations or ()
    return any(
        place is not None
        and not place.startswith(LIBRARIES)
        and INSTALLED.isdisjoint(Path(place).parts)
        for place in places
    )


def _as_loaded(name: str, spec: ModuleSpec, path: Path) -> _Source:
    was, source = _loaded.get(name, (None, None))
    if source is None or was is not spec:
        source = _Source.of(path, spec.parent or "")
        if name in sys.modules:
            _loaded[name] = spec, source
    return source
