"""Whatever is done to a lake, in whatever order, killed or damaged: it holds what a dict would.

2,000 sequences of operations here; `python benchmarks/soak_model.py COUNT` tries more, and longer.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from lake_model import sequences

PARTS, EACH, STEPS = 4, 500, 3
MEMORY = Path("/dev/shm")


@pytest.fixture
def root() -> Iterator[Path]:
    """Where files cost least."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield folder / "lake"
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """The engine that is quickest over a dozen rows."""
    pl.Config.set_engine_affinity("in-memory")
    yield
    pl.Config.set_engine_affinity("auto")


@pytest.mark.parametrize("part", range(PARTS))
def test_any_sequence_of_operations_gives_the_rows_that_a_dict_would_hold(root, part):
    assert sequences(root, EACH, STEPS, 1_000 + part) > EACH
