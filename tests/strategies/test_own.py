"""A user's own Python file: what it may be, and the code that it is made of."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys

import polars as pl
import pytest
from refused import problem

from cq.strategies import load

OWN = """\
import polars as pl
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    level: float = 100.0

    @property
    def warmup(self) -> int:
        return 1

def generate_signals(bars, config):
    return bars.with_columns(signal=(pl.col("close") > config.level).cast(pl.Int8))
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "level.py").write_text(OWN)
    path = tmp_path / "own.yaml"
    path.write_text("python: level.py\nsymbols: [BTC]\ninterval: 1d\nlevel: 5\n")
    return path


def test_a_users_own_strategy_is_a_file_beside(own):
    strategy = load(own, ["level=7"])
    assert strategy.config.level == 7
    assert str(strategy.code) == str(own.parent / "level.py")
    assert strategy.warmup == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:", "level.py:1: is not Python"),
        ("import nothing_like_this", "level.py: fails when imported: ModuleNotFoundError"),
        ("x = 1", "level.py: needs a class `Config`"),
        (OWN.replace("warmup", "warm"), "level.py: Config needs a property `warmup`"),
        (OWN.replace("generate_signals", "signals"), "level.py: needs a function"),
    ],
)
def test_a_mistake_in_a_users_own_file_names_it(own, text, said):
    (own.parent / "level.py").write_text(text)
    assert said in problem(own)


LISTED = """
from cq.features import feature


@feature()
def level(close):
    return close * {factor}
"""


def test_two_files_may_have_features_of_one_name(own, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "own.yaml"
    said = own.read_text() + "features: {marked: level}\n"
    made = []
    for path, factor in ((own, 2), (other, 3)):
        path.write_text(said)
        (path.parent / "level.py").write_text(OWN + LISTED.format(factor=factor))
        made.append(load(path))
    closes = pl.LazyFrame({"symbol": ["BTC-BRL"], "ts": [0], "close": [1.0]})
    for strategy, factor in zip(made, (2, 3), strict=True):
        again = type(strategy.config).model_validate(strategy.config.model_dump())
        assert again.pipeline.apply(closes).collect()["marked"].to_list() == [factor]


def test_a_configuration_that_files_share_has_the_features_of_each(own, monkeypatch):
    (own.parent / "shared_config.py").write_text(OWN)
    monkeypatch.syspath_prepend(own.parent)
    own.write_text(own.read_text() + "features: {marked: level}\n")
    taken = "from shared_config import Config, generate_signals\n" + LISTED
    made = []
    for factor in (2, 3):
        (own.parent / "level.py").write_text(taken.format(factor=factor))
        made.append(load(own).config)
    closes = pl.LazyFrame({"symbol": ["BTC-BRL"], "ts": [0], "close": [1.0]})
    found = [one.pipeline.apply(closes).collect()["marked"].item() for one in made]
    assert found == [2, 3]


def test_no_feature_takes_the_name_of_one_that_everybody_has(own):
    (own.parent / "level.py").write_text(OWN + LISTED.replace("def level", "def lag"))
    assert "feature lag: cq has one of that name; choose another" in problem(own)


PROPERTY = """\
    @property
    def warmup(self) -> int:
        return 1
"""


def test_a_warmup_may_be_a_constant(own):
    constant = OWN.replace(PROPERTY, "    warmup: ClassVar[int] = 7\n")
    (own.parent / "level.py").write_text("from typing import ClassVar\n" + constant)
    assert load(own).warmup == 7


def test_a_warmup_among_the_parameters_is_told_what_it_should_be(own):
    (own.parent / "level.py").write_text(OWN.replace(PROPERTY, "    warmup: int = 7\n"))
    assert "expected a property, or a constant" in problem(own)


def test_a_users_own_file_that_is_not_there_is_named(own):
    (own.parent / "level.py").unlink()
    assert "own.yaml:1: python: no such file" in problem(own)


def test_a_digit_that_is_corrected_at_once_is_seen(own):
    """Bytecode of a file counts as fresh while its size and second of change are the same."""
    code = own.with_name("level.py")
    for digit in "139":
        code.write_text(f"{OWN}\nNEWEST = {digit}\n")
        os.utime(code, (1_700_000_000, 1_700_000_000))
        load(own)
        assert int(digit) == sys.modules["cq_own_level"].NEWEST
    assert not list(code.parent.rglob("*.pyc"))


@pytest.fixture
def helped(own, monkeypatch):
    """The folder of a strategy that imports a module beside it and a package below it."""
    folder = own.parent
    files = {
        "level.py": "from cutoff import CUT\nimport json, polars, rules\n" + OWN,
        "cutoff.py": "CUT = 1\n",
        "rules/__init__.py": "from . import entry\nfrom .deep import (\n    leave,\n)\n",
        "rules/entry.py": "import rules  # which imports it\n",
        "rules/deep/leave.py": "from ..unsaid import *\n",
        "rules/unsaid.py": "",
        "rules/never.py": "",
        "later.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    forget()


def forget():
    """As another process would begin."""
    for name in [one for one in sys.modules if one.split(".")[0] in ("cutoff", "rules", "later")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_code_is_the_file_and_all_of_the_users_that_it_imports(helped):
    code = load(helped / "own.yaml").code
    names = ["cutoff.py", *(f"rules/{one}.py" for one in ("__init__", "deep/leave", "entry"))]
    assert code.digest == digest(helped / "level.py")
    assert code.imports == {name: digest(helped / name) for name in (*names, "rules/unsaid.py")}


def test_code_that_is_imported_when_it_is_needed_counts_and_is_not_run_before(helped):
    code = helped / "level.py"
    code.write_text(
        OWN.replace("    return bars", "    import later, rules.never\n    return bars")
    )
    (helped / "rules" / "__init__.py").write_text("raise ValueError")
    found = load(helped / "own.yaml").code
    assert list(found.imports) == ["later.py", "rules/__init__.py", "rules/never.py"]
    assert "later" not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "import json, os.path, numpy, cq.indicators\nfrom polars import selectors\n",
        "try:\n    from . import cutoff\nexcept ImportError:\n    pass\n",
        "try:\n    import nowhere.at.all\nexcept ImportError:\n    pass\n",
    ],
)
def test_what_was_installed_and_what_is_not_there_is_no_code_of_the_user(helped, text):
    (helped / "level.py").write_text(text + OWN)
    assert load(helped / "own.yaml").code.imports == {}


def test_a_file_that_is_no_python_is_named_and_imports_nothing(helped):
    (helped / "level.py").write_text("def later():\n    import cutoff\n\n\n" + OWN)
    (helped / "cutoff.py").write_text("import rules\nno python")
    assert list(load(helped / "own.yaml").code.imports) == ["cutoff.py"]


def test_a_file_that_was_edited_after_its_import_is_what_was_imported(helped):
    first = load(helped / "own.yaml").code
    (helped / "cutoff.py").write_text("CUT = 22\n")
    assert load(helped / "own.yaml").code == first  # the module that is there says 1
    importlib.reload(sys.modules["cutoff"])
    assert load(helped / "own.yaml").code.imports["cutoff.py"] == digest(helped / "cutoff.py")
    (helped / "cutoff.py").write_text("CUT = 333\n")
    forget()
    assert load(helped / "own.yaml").code.imports["cutoff.py"] == digest(helped / "cutoff.py")
