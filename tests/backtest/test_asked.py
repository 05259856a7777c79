import pytest

from cq.backtest.asked import settings_of, strategy_of
from cq.backtest.kept import Kept
from cq.errors import DataError
from cq.lake.fingerprint import Fingerprint, Owner

HOLD = {"kind": "buy_and_hold", "name": "hold", "symbols": ["BTC-BRL"], "interval": "1h"}


def kept(folder, strategy=HOLD, exchanges=("there",), **config):
    """A run whose fingerprint names these exchanges."""
    owners = {Owner(one, "BTC-BRL", "1h"): () for one in exchanges}
    (folder / "data.json").write_text(Fingerprint("bars", {}, ("ts",), "month", owners).as_json())
    return Kept(folder, {"strategy": dict(strategy), **config}, {}, {})


@pytest.mark.parametrize(
    ("said", "read", "expected"),
    [(None, ("there",), "there"), ("said", ("there",), "said"), (None, ("a", "b"), None)],
)
def test_a_run_is_made_again_over_the_exchange_that_it_said_or_read(tmp_path, said, read, expected):
    one = kept(tmp_path, HOLD | {"exchange": said}, read)
    assert strategy_of(one, tmp_path).config.exchange == expected


def test_without_a_fingerprint_the_exchange_stays_open(tmp_path):
    one = kept(tmp_path)
    (tmp_path / "data.json").unlink()
    assert strategy_of(one, tmp_path).config.exchange is None


def test_settings_of_another_cq_are_one_line_that_names_them(tmp_path):
    one = kept(tmp_path, backtest={"cash": "much", "unheard_of": 1})
    with pytest.raises(DataError) as caught:
        settings_of(one)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path.name}: its settings mean nothing to this cq: backtest")
    assert "cash" in said
    assert "unheard_of" in said
    assert "http" not in said
    assert "\n" not in said
