import gc

import pytest

from cq.utils.garbage import nothing_collected


@pytest.fixture
def thawed():
    """Nothing is set aside to begin with, and nothing afterwards."""
    gc.unfreeze()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("freeze", [False, True])
def test_collecting_goes_on_after_the_block_even_if_it_fails(freeze):
    def fails():
        with nothing_collected(freeze=freeze):
            assert not gc.isenabled()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert gc.isenabled()
    assert (gc.get_freeze_count() > 0) is freeze


@pytest.mark.usefixtures("thawed")
def test_who_has_turned_it_off_finds_it_off():
    gc.disable()
    with nothing_collected():
        assert not gc.isenabled()
    assert not gc.isenabled()
