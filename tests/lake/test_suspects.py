import pytest

from cq.errors import ConfigError
from cq.lake.suspects import Suspicion, block_ns
from cq.lake.views import View
from cq.utils.time import DAY, HOUR, MINUTE


def check(tmp_path, *header: str) -> View:
    lines = "\n".join(f"-- {one}" for one in header)
    return View("mine", "checks", tmp_path / "mine.sql", f"-- One row.\n{lines}\nselect 1")


def test_a_check_that_suspects_nothing_looks_everywhere(tmp_path):
    assert Suspicion.of(check(tmp_path, "severity: warn")) is None


def test_facts_and_reach_are_read_from_the_header(tmp_path):
    said = ("fact: top = max(high)", "suspect: top > 5", "suspect: hole > 0", "reach: 100 bars")
    one = Suspicion.of(check(tmp_path, *said))
    assert one
    assert dict(one.facts) == {"top": "max(high)"}
    assert one.suspect == "(top > 5) or (hole > 0)"
    assert (one.reach_ns("1m"), one.reach_ns("1h")) == (100 * MINUTE, 100 * HOUR)


@pytest.mark.parametrize(
    ("said", "problem"),
    [("reach: far", "reach 'far'; expected such as"), ("fact: max(high)", "expected NAME =")],
)
def test_a_header_that_says_nothing_is_named(tmp_path, said, problem):
    with pytest.raises(ConfigError, match=problem):
        Suspicion.of(check(tmp_path, "suspect: true", said))


def test_blocks_are_hours_of_minutes_and_days_of_hours():
    assert [block_ns(one) for one in ("1m", "5m", "15m", "1h", "1d", "1w", "1M")] == [
        *(HOUR, HOUR, DAY, DAY, None, None, None),
    ]
