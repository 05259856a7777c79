import numpy as np
import polars as pl

from cq.report.heat_map import heat_map, write_heat_map
from cq.stats import correlation

RETURNS = pl.DataFrame({f"S{i}-BRL": np.random.default_rng(i).normal(size=50) for i in range(4)})


def test_each_number_and_each_name_is_in_the_picture():
    axes = heat_map(correlation(RETURNS)).axes[0]
    shown = [text.get_text() for text in axes.texts]
    wanted = [f"{v:.2f}" for row in correlation(RETURNS).drop("symbol").rows() for v in row]
    assert shown == wanted
    assert [label.get_text() for label in axes.get_xticklabels()] == RETURNS.columns


def test_many_symbols_are_shown_without_numbers_and_what_is_unknown_as_a_dash():
    many = pl.DataFrame({f"S{i:02}": np.random.default_rng(i).normal(size=50) for i in range(21)})
    assert len(heat_map(correlation(many)).axes[0].texts) == 0
    still = RETURNS.with_columns(pl.lit(0.0).alias("S0-BRL"))
    assert heat_map(correlation(still)).axes[0].texts[0].get_text() == "–"


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        write_heat_map(correlation(RETURNS), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
