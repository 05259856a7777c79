"""Of noise, the best is not believed: through the sweep as it is, not through its parts."""

import numpy as np
import polars as pl
from wandering import market

from cq.sweeps import sweep

NOISE = '''
import polars as pl
from cq.strategies import StrategyConfig


class Config(StrategyConfig):
    """Holds by the throw of a coin."""
    coin: int = 0

    @property
    def warmup(self) -> int:
        return 1


def generate_signals(bars, config):
    thrown = pl.struct("ts", pl.lit(config.coin)).hash(seed=11) % 2
    return bars.with_columns(signal=thrown.cast(pl.Int8))
'''
FREE = {"fees": {"taker": 0.0, "maker": 0.0}, "slippage": {"bps": 0.0}}


def of_noise(tmp_path, seed, trials, size=384):
    (tmp_path / "noise.py").write_text(NOISE)
    path = tmp_path / "noise.yaml"
    path.write_text("python: noise.py\nsymbols: [BTC-BRL]\ninterval: 1h\n")
    bars = market(size, seed=seed)
    flat = bars.with_columns(pl.col("close").shift(1, fill_value=100.0).alias("open"))
    return sweep(flat, path, {"coin": range(trials)}, top=1, **FREE)


def test_the_best_of_a_thousand_coins_is_no_evidence(tmp_path):
    found = of_noise(tmp_path, 1, 1_000)
    best = found.best[0].luck
    assert found.trials.height == best.tried == 1_000
    assert best.probabilistic > 0.9
    assert best.deflated < 0.95


def test_of_pure_noise_the_probability_of_overfitting_is_about_one_half(tmp_path):
    every = [of_noise(tmp_path, seed, 20).overfitting.probability for seed in range(8)]
    assert 0.35 < np.mean(every) < 0.65
    assert min(every) < 0.5 < max(every)


def test_the_order_of_the_costs_that_are_tried_changes_nothing(tmp_path):
    (tmp_path / "noise.py").write_text(NOISE)
    path = tmp_path / "noise.yaml"
    path.write_text("python: noise.py\nsymbols: [BTC-BRL]\ninterval: 1h\n")

    def best(fees):
        axes = {"coin": range(4), "backtest.fees.taker": fees}
        return sweep(market(384, seed=1), path, axes, top=1).best[0].luck

    assert best([0.0, 0.01]) == best([0.01, 0.0])
    assert best([0.0, 0.01]).tried == 4


def test_what_is_truly_better_is_believed(tmp_path):
    bars = market(1_000, seed=3)
    drift = pl.col("ts").rank() * 0.004
    rising = bars.with_columns(
        (pl.col(name).log() + drift).exp() for name in ("open", "high", "low", "close")
    )
    path = tmp_path / "hold.yaml"
    path.write_text(
        "kind: crossover\nsymbols: [BTC-BRL]\ninterval: 1h\nfast: 5\nslow: 20\n"
        "sizing: {kind: fixed_fraction}\n"
    )
    found = sweep(rising, path, {"fast": [2, 5], "slow": [20, 40]}, top=1, **FREE)
    assert found.best[0].luck.deflated > 0.95
