"""A strategy that compares symbols below a window, and markets that trade unequally often."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import makers
import polars as pl

from cq.strategies import Strategy, load

CODE = """
import polars as pl
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    warmup = property(lambda self: 1)

def generate_signals(bars, config):
    return bars.with_columns(signal=(pl.col("usual") > 0.5).cast(pl.Int8))

def size_positions(bars, config):
    return bars.with_columns(target=pl.col("usual"))
"""
SAID = """\
python: comparing.py
symbols: [{symbols}]
interval: 1h
features:
  place: {{use: rank, of: close}}
  usual: {{use: sma, of: place, window: 6}}
"""


def strategy(folder: Path, symbols: Sequence[str]) -> Strategy:
    """The strategy, kept as `comparing.yaml` in the folder: its target is a mean of ranks."""
    (folder / "comparing.py").write_text(CODE)
    path = folder / "comparing.yaml"
    path.write_text(SAID.format(symbols=", ".join(symbols)))
    return load(path)


def markets(often: str, seldom: str, ended: str | None = None) -> pl.DataFrame:
    """300 hours of one that is traded each hour, one each ninth, and one that ended after 100."""
    parts = [
        makers.hourly(often, [100.0 + n * 7 % 40 for n in range(300)]),
        makers.hourly(seldom, [100.0 + n * 11 % 30 for n in range(300)]).gather_every(9),
    ]
    if ended is not None:
        parts.append(makers.hourly(ended, [100.0 + n * 5 % 60 for n in range(100)]))
    return pl.concat(parts).with_columns(interval=pl.lit("1h"))
