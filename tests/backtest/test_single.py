"""Whole runs over a lake of real hourly bars, held against the slow engine and its own signals."""

from __future__ import annotations

from pathlib import Path

import makers
import polars as pl
import pytest
import reference_engine as slow
from polars.testing import assert_frame_equal

from cq import backtest
from cq.errors import DataError, EmptyDataset, NoBars, StrategyError, UnknownSymbol
from cq.lake import Lake
from cq.strategies import load
from cq.utils.config import defaults
from cq.utils.time import parse_time

PROJECT = Path(__file__).parents[2]
STRATEGIES = PROJECT / "configs" / "strategies"
SETTINGS = defaults(PROJECT).backtest
NOW = 1_800_000_000_000_000_000


def as_ours(bars: pl.DataFrame, interval: str) -> pl.DataFrame:
    symbol = pl.col("symbol").str.replace("USDT$", "-USDT")
    return bars.with_columns(symbol=symbol, interval=pl.lit(interval))


@pytest.fixture(scope="module")
def hourly(shared) -> pl.DataFrame:
    return as_ours(pl.read_parquet(shared / "market/ohlcv/hourly_binance_usdt_12.parquet"), "1h")


@pytest.fixture(scope="module")
def lake(hourly, tmp_path_factory) -> Lake:
    made = Lake(tmp_path_factory.mktemp("hourly") / "lake")
    assert made.write("ohlcv", hourly, source="test", now_ns=NOW).landed == hourly.height
    return made


def reference(hourly, strategy, settings, start=None, end=None):
    """The same run by the slow engine, signals included."""
    config = strategy.config
    first = parse_time(start) if start else 0
    last = parse_time(end) if end else NOW
    known: list[slow.Bar] = []
    for symbol in config.symbols:
        bars = hourly.filter(pl.col("symbol") == symbol, pl.col("ts") < last).sort("ts")
        closes = bars["close"].to_list()
        signals = slow.sma_signals if config.average == "sma" else slow.ema_signals
        found = signals(closes, config.fast, config.slow)
        if config.sizing.kind == "fixed_fraction":
            targets = slow.fixed(found, config.sizing.fraction)
        else:
            measured = slow.volatility(closes, config.sizing.window, 365 * 24)
            wanted, most = config.sizing.annual_volatility, config.sizing.max_fraction
            targets = slow.by_volatility(found, measured, wanted, most)
        rows = bars.select("ts", "symbol", "open", "close").rows()
        known += [slow.Bar(*row, target=one) for row, one in zip(rows, targets, strict=True)]
    rules = slow.Rules(
        cash=settings.cash,
        fill=settings.fill,
        taker=settings.fees.taker,
        minimum_fee=settings.fees.minimum,
        bps=settings.slippage.bps,
        decimals=settings.quantity_decimals,
        min_notional=settings.min_notional,
        max_position=settings.max_position,
        max_gross=settings.max_gross_exposure,
        band=config.sizing.rebalance,
    )
    return slow.trade(known, rules, first)


MANY = "symbols=BTC-USDT,ETH-USDT,SOL-USDT,ADA-USDT,DOGE-USDT"
CASES = {
    "as shipped, btc": ("crossover_btc", ["symbols=BTC-USDT"], {}),
    "as shipped, majors": ("crossover_majors", ["symbols=BTC-USDT,ETH-USDT,SOL-USDT"], {}),
    "as shipped, volatility": ("crossover_eth_volatility", ["symbols=ETH-USDT"], {}),
    "closes, minimum fee, coarse lots": (
        "crossover_majors",
        [MANY, "backtest.fill=next_close", "backtest.fees.minimum=25", "fast=5", "slow=20",
         "backtest.quantity_decimals=1", "backtest.min_notional=500"],
        {},
    ),
    "a purse too small, no lots, no costs": (
        "crossover_majors",
        [MANY, "sizing.fraction=0.4", "backtest.quantity_decimals=null",
         "backtest.fees.taker=0", "backtest.slippage.bps=0"],
        {},
    ),
    "volatility of many, capped, closes": (
        "crossover_eth_volatility",
        [MANY, "average=sma", "sizing.rebalance=0.02", "backtest.max_position=0.35",
         "backtest.max_gross_exposure=0.9", "backtest.fill=next_close"],
        {},
    ),
    "a period with history before it": (
        "crossover_eth_volatility",
        ["symbols=ETH-USDT,BTC-USDT", "fast=12", "slow=48"],
        {"start": "2021-03-01", "end": "2021-09-15T12:00"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_run_agrees_with_the_slow_engine(case, hourly, lake):
    name, overrides, period = CASES[case]
    strategy = load(STRATEGIES / f"{name}.yaml", overrides)
    trades, curve = reference(hourly, strategy, strategy.backtest(SETTINGS), **period)
    result = backtest.run(lake, strategy, SETTINGS, **period)
    assert len(trades) > 50
    expected = pl.DataFrame(trades)
    keys = ["ts", "symbol", "side"]
    assert_frame_equal(result.trades.select(keys), expected.select(keys))
    numbers = ["qty", "price", "fee", "slippage"]
    assert_frame_equal(
        result.trades.select(numbers), expected.select(numbers), rel_tol=1e-9, abs_tol=1e-9
    )
    equity = pl.DataFrame(curve, schema=["ts", "equity", "cash"], orient="row")
    assert_frame_equal(result.equity.drop("exposure"), equity, rel_tol=1e-9, abs_tol=1e-6)


def made_lake(tmp_path, *frames):
    lake = Lake(tmp_path / "lake")
    for frame in frames:
        lake.write("ohlcv", frame.with_columns(interval=pl.lit("1h")), source="t", now_ns=NOW)
    return lake


def small(tmp_path, size=40, symbol="BTC-BRL"):
    closes = [100.0 + (i % 9) * (1 if i % 2 else -1) for i in range(size)]
    return made_lake(tmp_path, makers.hourly(symbol, closes))


def quick(*overrides):
    return load(STRATEGIES / "crossover_btc.yaml", ["fast=2", "slow=5", *overrides])


def test_a_base_alone_takes_the_only_market_there_is_and_says_so(tmp_path):
    notes: list[str] = []
    result = backtest.run(small(tmp_path, symbol="BTC-EUR"), quick(), SETTINGS, say=notes.append)
    assert result.symbols == ("BTC-EUR",)
    assert notes == ["BTC: the lake has no BTC-BRL, taking BTC-EUR"]


def test_an_unknown_symbol_names_those_there_are(tmp_path):
    with pytest.raises(UnknownSymbol, match="no SOL-BRL here; there is BTC-BRL"):
        backtest.run(small(tmp_path), quick("symbols=SOL"), SETTINGS)


def test_an_empty_lake_says_how_to_fill_it(tmp_path):
    with pytest.raises(EmptyDataset, match="cq lake ingest"):
        backtest.run(Lake(tmp_path / "lake"), quick(), SETTINGS)


def test_a_period_without_bars_names_what_is_held(tmp_path):
    with pytest.raises(NoBars, match=r"from 2030.* holds 1h bars from 1970-01-01T00:00:00Z to"):
        backtest.run(small(tmp_path), quick(), SETTINGS, start="2030-01-01")


def test_a_period_too_short_to_decide_says_what_is_needed(tmp_path):
    with pytest.raises(DataError, match=r"needs 5 bars of 1h .* has 4"):
        backtest.run(small(tmp_path, size=4), quick(), SETTINGS)


def test_history_before_the_period_warms_the_signals_up(tmp_path):
    lake = small(tmp_path)
    whole = backtest.run(lake, quick(), SETTINGS)
    later = backtest.run(lake, quick(), SETTINGS, start=20 * makers.HOUR)
    assert later.config["data"]["rows"] == 20 + 4
    assert later.equity["ts"][0] == 20 * makers.HOUR
    assert later.trades["ts"][0] <= 25 * makers.HOUR
    assert set(later.trades["ts"][1:]) <= set(whole.trades["ts"])


def test_a_market_that_starts_within_the_period_has_no_history(tmp_path):
    lake = made_lake(
        tmp_path,
        makers.hourly("BTC-BRL", [100.0 + i for i in range(40)]),
        makers.hourly("ETH-BRL", [50.0 + i for i in range(20)], start=20 * makers.HOUR),
    )
    result = backtest.run(lake, quick("symbols=BTC,ETH"), SETTINGS, start=10 * makers.HOUR)
    assert result.trades["symbol"].to_list()[:1] == ["BTC-BRL"]
    assert result.equity.height == 30


def test_the_digest_is_that_of_the_rows_not_of_the_files(tmp_path):
    closes = [100.0 + i % 7 for i in range(40)]
    bars = makers.hourly("BTC-BRL", closes)
    one = made_lake(tmp_path / "one", bars)
    two = made_lake(tmp_path / "two", bars.head(25), bars.tail(15))
    changed = made_lake(tmp_path / "three", makers.hourly("BTC-BRL", [*closes[:-1], 101.5]))
    first, second, third = (
        backtest.run(lake, quick(), SETTINGS).config["data"] for lake in (one, two, changed)
    )
    assert first["digest"] == second["digest"] != third["digest"]
    assert len(first["files"]) == 1
    assert len(second["files"]) == 2
    assert first["rows"] == 40


def own(tmp_path, body):
    (tmp_path / "mine.py").write_text(
        "import polars as pl\n"
        "from cq.strategies import StrategyConfig\n"
        "class Config(StrategyConfig):\n"
        "    @property\n"
        "    def warmup(self): return 1\n" + body
    )
    (tmp_path / "mine.yaml").write_text("python: mine.py\nsymbols: [BTC]\ninterval: 1h\n")
    return load(tmp_path / "mine.yaml")


def test_a_users_own_strategy_runs(tmp_path):
    strategy = own(
        tmp_path,
        "def generate_signals(bars, config):\n"
        "    return bars.with_columns(signal=(pl.col('volume') > 0).cast(pl.Int8))\n",
    )
    result = backtest.run(small(tmp_path), strategy, SETTINGS)
    assert result.trades["side"].to_list() == ["buy"]
    assert len(result.config["code"]["python"]) == 64


def test_rows_that_lost_their_order_are_put_right(tmp_path):
    strategy = own(
        tmp_path,
        "def generate_signals(bars, config):\n"
        "    return bars.with_columns(signal=pl.lit(1)).sort('close')\n",
    )
    result = backtest.run(small(tmp_path), strategy, SETTINGS)
    assert result.equity["ts"].is_sorted()
    assert result.trades["ts"].to_list() == [makers.HOUR]


@pytest.mark.parametrize("number", ["float('nan')", "float('inf')"])
def test_a_target_that_is_no_number_is_refused(tmp_path, number):
    strategy = own(
        tmp_path,
        "def generate_signals(bars, config):\n    return bars.with_columns(signal=1)\n"
        "def size_positions(bars, config):\n"
        f"    return bars.with_columns(target=pl.lit({number}))\n",
    )
    with pytest.raises(StrategyError, match=r"mine\.py: the target of BTC-BRL at 1970-01-01T00"):
        backtest.run(small(tmp_path), strategy, SETTINGS)


def test_a_users_own_frame_that_fails_names_its_file(tmp_path):
    strategy = own(
        tmp_path,
        "def generate_signals(bars, config):\n"
        "    return bars.with_columns(signal=pl.col('symbol').cast(pl.Int8))\n",
    )
    with pytest.raises(StrategyError, match=r"mine\.py: its frame cannot be computed"):
        backtest.run(small(tmp_path), strategy, SETTINGS)


@pytest.mark.parametrize("signal", ["7.5", "pl.col('close') + 2"])
def test_a_signal_out_of_range_is_refused(tmp_path, signal):
    strategy = own(
        tmp_path,
        f"def generate_signals(bars, config):\n    return bars.with_columns(signal={signal})\n",
    )
    with pytest.raises(StrategyError, match=r"mine\.py: (the signal of BTC-BRL|its frame cannot)"):
        backtest.run(small(tmp_path), strategy, SETTINGS)


def test_a_short_signal_on_a_spot_market_is_said(tmp_path):
    strategy = own(
        tmp_path, "def generate_signals(bars, config):\n    return bars.with_columns(signal=-1)\n"
    )
    said = []
    backtest.run(small(tmp_path), strategy, SETTINGS, say=said.append)
    assert any("spot markets know no shorts" in line for line in said)


def signals(body):
    return f"def generate_signals(bars, config):\n    return {body}\n"


def test_a_strategy_cannot_change_the_prices_it_trades_at(tmp_path):
    lake = small(tmp_path)
    honest = own(tmp_path, signals("bars.with_columns(signal=1)"))
    before = backtest.run(lake, honest, SETTINGS)
    doubled = own(tmp_path, signals("bars.with_columns(signal=1, close=2*pl.col('close'))"))
    assert backtest.run(lake, doubled, SETTINGS).equity.equals(before.equity)


@pytest.mark.parametrize(
    "body",
    [
        "bars.with_columns(signal=1).filter(pl.col('ts') > 0)",
        "pl.concat([bars, bars]).with_columns(signal=1)",
        "bars.with_columns(signal=1, ts=pl.col('ts') + 1)",
    ],
)
def test_a_strategy_keeps_every_bar_once(tmp_path, body):
    with pytest.raises(StrategyError, match=r"mine\.py: its frame has .* keep every bar, once"):
        backtest.run(small(tmp_path), own(tmp_path, signals(body)), SETTINGS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "bars.with_columns(signal=pl.col('close').map_elements("
            "lambda x: 1 // 0, return_dtype=pl.Int64))",
            "mine.py: its frame cannot be computed: ",
        ),
        ("exit(7)", "mine.py: generate_signals fails in line "),
        ("bars.with_columns(signal=0.5)", "a signal is none of −1, 0, 1 and null"),
        ("bars.with_columns(signal=pl.lit(None))", "gives no signal on any of 40 bars"),
    ],
)
def test_what_fails_in_a_users_own_code_is_one_line_with_its_file(tmp_path, body, said):
    with pytest.raises(StrategyError) as caught:
        backtest.run(small(tmp_path), own(tmp_path, signals(body)), SETTINGS)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("warmup", ["0", "-5", "2.5", "None", "1 // 0"])
def test_a_warmup_that_is_no_count_is_refused(tmp_path, warmup):
    strategy = own(tmp_path, signals("bars.with_columns(signal=1)"))
    text = (tmp_path / "mine.py").read_text().replace("return 1\n", f"return {warmup}\n", 1)
    (tmp_path / "mine.py").write_text(text)
    strategy = load(tmp_path / "mine.yaml")
    with pytest.raises(StrategyError, match=r"mine\.py: warmup (is|fails)"):
        backtest.run(small(tmp_path), strategy, SETTINGS)


def test_an_unknown_exchange_names_those_there_are(tmp_path):
    with pytest.raises(DataError, match=r"no bars of exchange 'nope'; there is \w+"):
        backtest.run(small(tmp_path), quick("exchange=nope"), SETTINGS)


def test_a_price_too_large_to_compute_on_is_one_line(tmp_path):
    lake = made_lake(tmp_path, makers.hourly("BTC-BRL", [1e15] * 40))
    with pytest.raises(DataError, match="a price is too large to compute on"):
        backtest.run(lake, quick(), SETTINGS)
