"""`cq demo`: the whole path, offline."""

import json
from pathlib import Path

import pytest

from cq.cli.main import run
from cq.lake import Lake
from cq.sim.market import GeneratedMarket
from cq.utils.time import DAY

SHIPPED = sorted((Path(__file__).parents[2] / "configs/strategies").glob("*.yaml"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What the demo says in JSON, and where it worked."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("click.echo", lambda text="", **kinds: said.append(text))
        patch.setenv("CQ_INGESTION__REST_BASE_URL", "http://127.0.0.1:1")
        assert run(["demo", str(folder), "--json"]) == 0
    return json.loads(next(text for text in said if text.startswith("{"))), folder


def test_it_checks_backtests_and_replays_what_it_generated(shown):
    found, folder = shown
    assert found["quality"]["errors"] == 0
    assert found["bars"] == Lake(folder / "lake").sql("select count(*) from bars").item()
    assert len(found["strategies"]) == len(SHIPPED)
    assert all(row["trades"] > 0 for row in found["strategies"])


def test_paper_makes_the_backtests_trades(shown):
    found, _ = shown
    assert len(found["replays"]) >= 4
    assert all(one["equal"] for one in found["replays"])
    assert sum(one["trades"] for one in found["replays"]) > 0


def test_it_leaves_reports_and_a_lake_to_go_on_with(shown):
    found, folder = shown
    for path in found["reports"]:
        assert "<svg" in Path(path).read_text()
        results = Path(path).parent
        assert json.loads((results / "run.json").read_text())["id"] == results.name
    assert (folder / "lake.db").exists()
    assert (folder / "configs" / "default.yaml").exists()


def test_a_project_with_bars_of_its_own_is_left_alone(tmp_path, capsys):
    lake = Lake(tmp_path / "mine" / "lake")
    market = GeneratedMarket(0, DAY, name="mercadobitcoin")
    lake.write(
        "ohlcv", market.candles("BTC-BRL", "1h", 0, DAY), source="test", now_ns=market.end_ns
    )
    assert run(["demo", str(tmp_path / "mine")]) == 2
    assert "a project of your own" in capsys.readouterr().err
    assert not (tmp_path / "mine" / "configs").exists()
