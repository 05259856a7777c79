from pathlib import Path

import pytest

from cq.cli.lake_compact import _line
from cq.lake.compaction import Compacted


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("coverage/BTC-BRL", "1 of 2: coverage BTC-BRL, 5 files → 1"),
        ("coverage/BTC-BRL/2026", "1 of 2: coverage BTC-BRL 2026, 5 files → 1"),
    ],
)
def test_a_folder_that_is_called_like_its_symbol_is_named_once(capsys, folder, said):
    _line(Compacted("coverage", Path(folder), {"symbol": "BTC-BRL"}, 9, 5, 1, 900, 300), 1, 2)
    assert capsys.readouterr().err == f"{said}\n"
