"""The picture of a sweep over two parameters."""

import numpy as np
from matplotlib.figure import Figure

from cq.report.sweep_map import LETTERS, _colours, _numbers, _ticks


def test_numbers_are_light_on_dark_and_dark_on_light():
    table = np.array([[-12.0, -7.0, -1.5, np.nan]])
    axes = Figure().subplots()
    _numbers(axes, axes.imshow(table, **_colours(table)), table)
    assert [one.get_text() for one in axes.texts] == ["-12", "-7", "-1.5"]
    assert [one.get_color() == "white" for one in axes.texts] == [True, True, False]


def test_labels_know_how_many_letters_they_have():
    axes = Figure().subplots()
    assert _ticks(axes.xaxis, [5, 10, 20]) == 5
    assert _ticks(axes.xaxis, [f"COIN{i}-USDT" for i in range(11)]) > LETTERS
