"""Engines and samplers that are extras: the same sweep elsewhere, the same proposals again."""

import os
from importlib.util import find_spec

import pytest
from wandering import BARE, market

from cq.errors import MissingExtra, UsageError
from cq.sweeps import sweep

BARS = market(400)
GRID = {"fast": [3, 5, 30], "slow": [9, 20, 900]}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "cross.yaml").write_text(BARE.format(symbols="BTC-BRL"))
    return tmp_path / "cross.yaml"


def needs(package: str):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


@pytest.mark.parametrize(
    "engine",
    [pytest.param("ray", marks=needs("ray")), pytest.param("dask", marks=needs("distributed"))],
)
@pytest.mark.filterwarnings("ignore")
def test_two_workers_elsewhere_give_what_this_process_gives(path, engine, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("tests", os.environ.get("PYTHONPATH", ""))))
    there = sweep(BARS, path, GRID, engine=engine, workers=2)
    here = sweep(BARS, path, GRID)
    assert there.trials.equals(here.trials)
    assert there.best == here.best
    assert (there.skipped, there.failed) == (here.skipped, here.failed)
    assert there.overfitting.probability == here.overfitting.probability


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_an_engine_that_is_not_there_is_told_with_what_to_type(path, engine, monkeypatch):
    monkeypatch.setattr("cq.sweeps.engines.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=rf"pip install 'cq\[{engine}\]'"):
        sweep(BARS, path, GRID, engine=engine)


def test_there_is_no_other_engine(path):
    with pytest.raises(UsageError, match="no engine 'spark'; there is ray, dask"):
        sweep(BARS, path, GRID, engine="spark")
    with pytest.raises(UsageError, match="leave --engine out"):
        sweep(BARS, path, GRID, engine="ray", optuna=3)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_sampler_knows_is_refused_in_a_line(path, seed):
    with pytest.raises(UsageError, match=f"--seed {seed}; --optuna expects .* to 4,294,967,295"):
        sweep(BARS, path, GRID, optuna=3, seed=seed)


@needs("optuna")
@pytest.mark.filterwarnings("ignore")
def test_proposals_are_trials_of_the_grid_and_the_same_seed_makes_the_same_ones(path):
    grid = {"fast": "2:12", "slow": [20, 40, 80], "average": ["sma", "ema"]}
    found = sweep(BARS, path, grid, optuna=12, seed=3)
    assert 6 <= found.trials.height <= 12
    assert found.trials.select(found.params).is_unique().all()
    whole = sweep(BARS, path, grid)
    columns = [one for one in found.trials.columns if one != "trial"]
    there = found.trials.select(columns).join(whole.trials, on=columns, nulls_equal=True)
    assert there.height == found.trials.height
    assert found.trials.equals(sweep(BARS, path, grid, optuna=12, seed=3).trials)


def test_a_sampler_that_is_not_there_is_told_with_what_to_type(path, monkeypatch):
    monkeypatch.setattr("cq.sweeps.seeking.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'cq\[optuna\]'"):
        sweep(BARS, path, GRID, optuna=3)
