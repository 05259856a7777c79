from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cq.exchanges.mercado_bitcoin.backoff import Backoff


def test_delays_double_up_to_the_cap():
    backoff = Backoff(0.5, 30, 0.2, uniform=lambda low, high: 1.0)
    assert [backoff.delay_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_only_a_reset_begins_anew():
    backoff = Backoff(0.5, 30, 0.2, uniform=lambda low, high: 1.0)
    backoff.delay_s(), backoff.delay_s()
    backoff.reset()
    assert backoff.delay_s() == 0.5


@given(st.integers(1, 12))
def test_every_delay_lies_within_a_fifth_of_its_middle(count):
    backoff, middle = Backoff(), 0.5
    for _ in range(count):
        assert middle * 0.8 <= backoff.delay_s() <= middle * 1.2
        middle = min(2 * middle, 30)


def test_two_clients_do_not_wait_alike():
    assert any(a != b for a, b in pairwise([Backoff().delay_s() for _ in range(20)]))
