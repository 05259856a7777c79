from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from cq.exchanges.limits import Limits, TokenBucket, shared
from cq.utils.time import MINUTE, SECOND


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self):
        self.now_ns, self.slept = 0, []

    def clock(self):
        return self.now_ns

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now_ns += round(seconds * SECOND)


def used_at(bucket, arrivals):
    """When each of `arrivals` (pauses before asking) may use its token, one after the other."""
    now, used = 0, []
    for pause in arrivals:
        now += pause
        now += bucket.take(now)
        used.append(now)
    return used


def most_in_a_window(used, window_ns):
    return max(sum(start <= one < start + window_ns for one in used) for start in used)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=120),
)
def test_no_window_ever_holds_more_than_the_limit(limit, burst, pauses):
    bucket = TokenBucket(limit, SECOND, min(limit, burst))
    assert most_in_a_window(used_at(bucket, pauses), SECOND) <= limit


@given(st.lists(st.integers(0, SECOND), min_size=200, max_size=200))
def test_in_the_long_run_the_limit_is_used(pauses):
    bucket = TokenBucket(100, SECOND, 10)
    waited = used_at(bucket, [0] * 200)
    assert waited[-1] <= 200 / 91 * SECOND


def test_a_bucket_that_rested_gives_a_burst_but_no_more():
    bucket = TokenBucket(10, SECOND, 4)
    assert used_at(bucket, [0] * 4) == [0, 0, 0, 0]
    assert bucket.take(0) > 0
    assert bucket.take(60 * SECOND) == 0


def test_less_than_one_a_window_is_a_limit_too():
    bucket = TokenBucket(0.5, SECOND)
    assert used_at(bucket, [0, 0, 0]) == [0, 2 * SECOND, 4 * SECOND]


def test_each_endpoint_waits_for_itself():
    time = Time()
    limits = Limits(500, 1, clock=time.clock, sleep=time.sleep)
    limits.wait("candles")
    limits.wait("tickers")
    assert time.slept == []
    limits.wait("candles")
    assert len(time.slept) == 1
    assert 1.0 <= time.slept[0] < 1.1


def test_all_endpoints_together_keep_the_limit_a_minute():
    time = Time()
    limits = Limits(500, 1000, clock=time.clock, sleep=time.sleep)
    used = []
    for number in range(1200):
        limits.wait(f"endpoint {number % 7}")
        used.append(time.now_ns)
    counts = [sum(start <= one < start + MINUTE for one in used) for start in used[::50]]
    assert max(counts) <= 500
    assert used[-1] < 3 * MINUTE


def test_threads_share_one_bucket():
    time, used = Time(), []
    limits = Limits(60_000, 1, clock=lambda: 0, sleep=used.append)
    threads = [Thread(target=limits.wait, args=("candles",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gaps = [later - earlier for earlier, later in zip(sorted(used), sorted(used)[1:], strict=False)]
    assert len(used) == 7
    assert min(gaps) >= 1.0
    assert time.slept == []


def test_where_calls_were_too_many_nobody_else_calls_for_a_while():
    time = Time()
    limits = Limits(6000, 100, clock=time.clock, sleep=time.sleep)
    waiting = limits.turns("candles")
    limits.hold("candles", 7)
    limits.wait("tickers")
    assert time.slept == []
    assert sum(waiting) == 7.0
    limits.wait("candles", again=True)
    assert sum(time.slept) < 1
    limits.wait("candles")
    assert time.now_ns >= 7 * SECOND


def test_the_process_has_one_set_of_limits_for_an_exchange():
    assert shared("one.example", 500, 1) is shared("one.example", 500, 1)
    assert shared("one.example", 500, 1) is not shared("two.example", 500, 1)
