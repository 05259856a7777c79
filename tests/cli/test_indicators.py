from __future__ import annotations

import json
import subprocess
import sys

from click.testing import CliRunner

from cq.cli.main import cli, run
from cq.indicators import REGISTRY


def said(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["indicators", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_indicator_is_listed_with_its_warmup():
    listed = said()
    assert [name for name in REGISTRY if name not in listed] == []
    assert [one["name"] for one in json.loads(said("--json"))] == list(REGISTRY)


def test_a_family_is_listed_alone():
    names = {one["name"] for one in json.loads(said("--family", "volume", "--json"))}
    assert names == {name for name, one in REGISTRY.items() if one.family == "volume"}


def test_one_indicator_says_formula_parameters_and_warmup():
    text = said("rsi")
    assert "rsi(values; window=14, mean=wilder)" in text
    assert "100 × m(gains) / m(|changes|)" in text
    assert "warm-up  420 bars" in text
    one = json.loads(said("macd", "--json"))
    assert one["outputs"] == ["macd", "signal", "hist"]
    assert one["parameters"] == {"fast": 12, "slow": 26, "signal": 9, "seed": "mean"}


def test_a_mistyped_name_is_told_its_neighbour(capsys):
    assert run(["indicators", "bolinger"]) == 2
    assert "'bolinger' is not an indicator; did you mean 'bollinger'?" in capsys.readouterr().err
    assert run(["indicators", "--family", "zzz"]) == 2
    assert "`cq indicators` lists them" in capsys.readouterr().err


def test_listing_compiles_nothing():
    code = (
        "import sys; from cq.cli.main import run; run(['indicators']);"
        "assert 'numba' not in sys.modules and 'duckdb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
