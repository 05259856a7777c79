from __future__ import annotations

import pytest

from cq.backtest.show import percent


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.1234, "12.34 %"),
        (-0.5, "-50.00 %"),
        (9_999.0, "999,900.00 %"),
        (5.7e14, "> 1,000,000 %"),
    ],
)
def test_percentages_stay_readable_however_large(value, said):
    assert percent(value) == said
