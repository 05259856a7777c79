"""A sweep that was stopped goes on where it was, and comes to what it would have come to."""

from __future__ import annotations

import sys

import polars as pl
import pytest
from wandering import BARE, market

from cq.backtest.bars import Period
from cq.backtest.door import settings_of
from cq.errors import DataError, UsageError
from cq.lake import Lake
from cq.sweeps.door import How, Setting, recipe_of, swept
from cq.sweeps.runner import Runner
from cq.sweeps.space import axes_of
from cq.sweeps.unfinished import FOLDER, Unfinished
from cq.utils.time import HOUR

AXES = axes_of({"fast": [3, 6, 30, 400], "slow": [12, 24, 48, 96, 350]})
BARS = market(300, seed=5)


class Stopped(Unfinished):
    """It is stopped once so many outcomes are known."""

    after = 7

    def keep(self, outcome):
        super().keep(outcome)
        if len(self.numbers) == self.after:
            raise KeyboardInterrupt


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cross.yaml"
    path.write_text(BARE.format(symbols="BTC-BRL"))
    return path


def run(path, kept, bars=BARS, axes=AXES, how=None):
    asked = []
    setting = Setting(bars, recipe_of(path), settings_of({}), Period(), "BRL", lambda _: None)
    return swept(setting, axes, how or How(), asked.append, kept)


def stopped(path, runs, how=None):
    with pytest.raises(KeyboardInterrupt):
        run(path, Stopped(runs), how=how)
    (folder,) = (runs / FOLDER).iterdir()
    return folder


@pytest.mark.parametrize("how", [How(), How(random=15, seed=3)])
def test_what_is_stopped_and_gone_on_with_is_the_whole_sweep(path, tmp_path, monkeypatch, how):
    whole = run(path, None, how=how)
    folder = stopped(path, tmp_path, how)
    rows = pl.concat(pl.read_parquet(one) for one in folder.glob("part-*.parquet"))
    assert rows.height == Stopped.after
    kept = Unfinished(tmp_path, resume=True)
    ran, real = [], Runner.run

    def recorded(self, points, each):
        ran.extend(number for number, _ in points)
        return real(self, points, each)

    monkeypatch.setattr(Runner, "run", recorded)
    found = run(path, kept, how=how)
    count = 15 if how.random else 20
    assert sorted([*ran, *rows["number"]]) == list(range(1, count + 1))
    assert {one.number for one in kept.before} == set(rows["number"])
    assert found.trials.equals(whole.trials)
    assert found.best == whole.best
    assert found.overfitting.logits.tolist() == whole.overfitting.logits.tolist()
    assert (found.skipped, found.failed) == (whole.skipped, whole.failed)
    assert whole.skipped[0] > 0
    assert whole.failed[0] > 0
    kept.finish()
    assert not folder.exists()


def test_parts_are_written_while_it_runs(path, tmp_path):
    seen = []

    class Watched(Unfinished):
        def flush(self):
            super().flush()
            seen.append(len(self.numbers))

    run(path, Watched(tmp_path))
    assert seen[0] == 16
    assert seen[-1] == 20


def both_bars(change=None, **where):
    """Two symbols' hours and minutes, those of one series or of some moments changed."""
    rows = [
        market(size, symbol, seed=seed).with_columns(
            ts=pl.int_range(pl.len()) * ns, interval=pl.lit(interval)
        )
        for seed, symbol in enumerate(("BTC-BRL", "ETH-BRL"))
        for interval, size, ns in (("1h", 400, HOUR), ("5m", 4_800, HOUR // 12))
    ]
    bars = pl.concat(rows)
    if change is not None:
        bars = bars.with_columns(volume=pl.col("volume") + pl.when(change).then(1).otherwise(0))
    return bars


@pytest.mark.parametrize(
    ("axis", "change", "more"),
    [
        ({"symbols": ["BTC", "ETH"]}, pl.col("symbol") == "ETH-BRL", ""),
        ({"interval": ["1h", "5m"]}, pl.col("interval") == "5m", ""),
        (
            {"backtest.detail_interval": [None, "5m"]},
            pl.col("interval") == "5m",
            "orders: {stop_loss: 0.05}\n",
        ),
        ({"slow": [12, 96]}, pl.col("ts") == 210 * HOUR, ""),
    ],
)
def test_bars_of_any_combination_that_are_others_are_another_sweep(
    path, tmp_path, axis, change, more
):
    path.write_text(BARE.format(symbols="BTC") + more)
    axes = axes_of({"fast": [3, 4, 5, 6], **axis})

    def resumed(bars):
        lake = Lake(tmp_path / "lakes" / str(bars["volume"].sum()))
        lake.write("ohlcv", bars, source="test", now_ns=1)
        period = Period(300 * HOUR, None)
        setting = Setting(lake, recipe_of(path), settings_of({}), period, "BRL", lambda _: None)
        resume = (tmp_path / FOLDER).exists()
        kept = (Unfinished if resume else Stopped)(tmp_path, resume=resume)
        return swept(setting, axes, How(), kept=kept)

    with pytest.raises(KeyboardInterrupt):
        resumed(both_bars())
    with pytest.raises(UsageError, match="no sweep that was stopped"):
        resumed(both_bars(change))
    assert resumed(both_bars()).trials.height == 8


@pytest.mark.parametrize(
    "other",
    [
        {"bars": BARS.with_columns(pl.col("volume") + 1)},
        {"axes": AXES[:1]},
        {"how": How(random=15)},
    ],
)
def test_nothing_else_is_gone_on_with(path, tmp_path, other):
    stopped(path, tmp_path)
    with pytest.raises(UsageError, match="no sweep that was stopped had this strategy, grid"):
        run(path, Unfinished(tmp_path, resume=True), **other)


def test_a_strategy_that_was_edited_since_is_another_one(path, tmp_path):
    stopped(path, tmp_path)
    path.write_text(path.read_text() + "shorts: true\n")
    with pytest.raises(UsageError, match="no sweep that was stopped"):
        run(path, Unfinished(tmp_path, resume=True))


OWN = """
import polars as pl
from cq.strategies import StrategyConfig
from held_above import LEVEL


class Config(StrategyConfig):
    fast: int = 1
    slow: int = 1
    warmup = property(lambda self: 1)


def generate_signals(bars, config):
    return bars.with_columns(signal=(pl.col("close") > LEVEL * config.fast).cast(pl.Int8))
"""


def test_a_module_that_a_users_own_code_imports_is_part_of_it(tmp_path, monkeypatch):
    (tmp_path / "held_above.py").write_text("LEVEL = 1\n")
    (tmp_path / "own.py").write_text(OWN)
    path = tmp_path / "own.yaml"
    path.write_text("python: own.py\nsymbols: [BTC-BRL]\ninterval: 1h\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    stopped(path, tmp_path)
    assert run(path, Unfinished(tmp_path, resume=True)).trials.height == 20
    (tmp_path / "held_above.py").write_text("LEVEL = 22\n")
    del sys.modules["held_above"]
    with pytest.raises(UsageError, match="no sweep that was stopped"):
        run(path, Unfinished(tmp_path, resume=True))
    del sys.modules["held_above"]


def test_without_it_a_sweep_begins_anew(path, tmp_path):
    folder = stopped(path, tmp_path)
    kept = Unfinished(tmp_path)
    run(path, kept)
    assert kept.before == []
    rows = pl.concat(pl.read_parquet(one) for one in folder.glob("part-*.parquet"))
    assert sorted(rows["number"]) == list(range(1, 21))


def test_a_part_that_cannot_be_read_is_said_in_a_line(path, tmp_path):
    folder = stopped(path, tmp_path)
    (folder / "part-000000.parquet").write_text("none")
    with pytest.raises(DataError, match=r"part-000000.parquet cannot be read .*leave --resume out"):
        run(path, Unfinished(tmp_path, resume=True))
