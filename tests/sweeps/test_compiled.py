import pytest

from cq.sweeps import compiled
from cq.sweeps.compiled import CROSSING, FOLLOWING, LONG, VERY_LONG, is_worth_it, kept

pytest.importorskip("numba")


@pytest.fixture
def crossings_on_disk(monkeypatch):
    """A machine on which crossings were run before, and nothing else."""
    code = compiled.compiled()
    there = [getattr(code, name) for name in CROSSING]
    monkeypatch.setattr(compiled, "is_on_disk", lambda one: any(one is has for has in there))


@pytest.mark.usefixtures("crossings_on_disk")
def test_what_was_made_for_crossings_serves_them_without_the_rest():
    assert kept(CROSSING)
    assert not kept(FOLLOWING)


@pytest.mark.usefixtures("crossings_on_disk")
def test_machine_code_is_made_for_much_work_and_loaded_for_less():
    assert not is_worth_it(LONG - 1, CROSSING)
    assert is_worth_it(LONG, CROSSING)
    assert not is_worth_it(VERY_LONG - 1, FOLLOWING)
    assert is_worth_it(VERY_LONG, FOLLOWING)
