"""Values that another system published, to the digits that it printed.

The files print prices and values with so many digits; where a value needs more of the price than
the file prints (single precision, two decimals), the tolerance says so beside the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pytest

from cq.indicators import (
    aroon,
    atr,
    bollinger,
    cci,
    cmf,
    dema,
    dmi,
    donchian,
    ema,
    hma,
    kama,
    keltner,
    macd,
    mfi,
    obv,
    rsi,
    sma,
    stoch,
    supertrend,
    t3,
    tema,
    true_range,
    vortex,
    vwma,
    willr,
    wma,
)

HLC = ("high", "low", "close")
OHLC = "date open high low close"
OHLCV = OHLC + " volume"
BANDS = bollinger("close", 20, 2.0)
WIDTH = BANDS["upper"] - BANDS["lower"]
MACD = macd("close", 12, 26, 9)
DMI = dmi(*HLC, 14, start="wilder")
DONCHIAN = donchian("high", "low", 50)
KELTNER = keltner(*HLC, 20, 20, 1.5, mean="simple")
STOCH = stoch(*HLC, 12, 3, 5)
VORTEX = vortex(*HLC, 14)
AROON = aroon("high", "low", 14)
OHLC_MEAN = pl.sum_horizontal("open", "high", "low", "close") / 4

Wanted = Mapping[str, tuple[pl.Expr, float]]
FILES: dict[str, tuple[str, Wanted]] = {
    # closes of two decimals
    "spx_lwma.csv": ("date close lwma", {"lwma": (wma("close", 6), 1e-3)}),
    "spy_aroon_oscillator.txt": (f"{OHLC} aroon", {"aroon": (AROON["up"] - AROON["down"], 1e-5)}),
    "spy_atr.txt": (f"{OHLC} atr", {"atr": (atr(*HLC, 14, mean="simple"), 5e-6)}),
    # the first bar's range counts as its true range
    "spy_atr_wilder.txt": (f"{OHLC} atr", {"atr": (atr(*HLC, 14, first="range"), 5.1e-6)}),
    "spy_bollinger_bands.txt": (
        f"{OHLC} mid upper lower width place",
        {
            "mid": (BANDS["mid"], 5e-5),
            "upper": (BANDS["upper"], 6.1e-5),  # of a deviation already rounded
            "lower": (BANDS["lower"], 6.1e-5),
            "width": (100 * WIDTH / BANDS["mid"], 1.1e-4),
            "place": ((pl.col("close") - BANDS["lower"]) / WIDTH, 7e-5),
        },
    ),
    "spy_cmf.txt": (f"{OHLCV} cmf", {"cmf": (cmf(*HLC, "volume", 20), 1e-14)}),
    "spy_dema.txt": (f"{OHLC} dema", {"dema": (dema("close", 5), 1e-12)}),
    "spy_ema.csv": ("date close ema", {"ema": (ema("close", 14), 1e-12)}),
    "spy_hma.txt": (f"{OHLCV} hma", {"hma": (hma("close", 16), 5e-8)}),
    "spy_kama.txt": (f"{OHLCV} kama", {"kama": (kama("close", 5), 1e-12)}),
    "spy_mfi.txt": (f"{OHLCV} mfi", {"mfi": (mfi(*HLC, "volume", 20), 1e-5)}),
    "spy_t3.txt": (f"{OHLCV} t3", {"t3": (t3("close", 5, 0.7), 1e-12)}),
    "spy_tema.txt": (f"{OHLC} tema", {"tema": (tema("close", 5), 1e-12)}),
    # Wilder's sums begin with those of the first window
    "spy_with_adx.txt": (
        f"{OHLC} tr p1 m1 tr14 p14 m14 plus minus diff sum dx adx adxr",
        {
            "tr": (true_range(*HLC), 5.1e-3),
            "plus": (DMI["plus"], 5.1e-5),
            "minus": (DMI["minus"], 5.1e-5),
            "dx": (DMI["dx"], 5e-3),
            "adx": (DMI["adx"], 5e-5),
            "adxr": (DMI["adxr"], 5e-5),
        },
    ),
    "spy_with_cci.txt": (f"{OHLC} cci", {"cci": (cci(*HLC, 14), 3e-3)}),  # of single precision
    "spy_with_don50.txt": (
        f"{OHLC} upper lower mid",
        {name: (DONCHIAN[name], 5e-5) for name in ("upper", "lower", "mid")},
    ),
    # both EMAs begin on their own
    "spy_with_indicators.txt": (
        "date sma ema macd rsi rsi_wilder obv close",
        {
            "sma": (sma("close", 14), 6e-3),
            "ema": (ema("close", 14), 6e-3),
            "macd": (ema("close", 12) - ema("close", 26), 2e-4),
            "rsi": (rsi("close", 14, mean="simple"), 3e-4),
            "rsi_wilder": (rsi("close", 14), 5e-6),
        },
    ),
    "spy_with_keltner.csv": (
        f"{OHLC} upper lower mid typical",
        {name: (KELTNER[name], 6.5e-5) for name in ("upper", "lower", "mid")},
    ),
    "spy_with_macd.txt": (
        f"{OHLC} macd signal hist",
        {name: (MACD[name], 6e-6) for name in ("macd", "signal", "hist")},
    ),
    # without the first bar's volume; of seven digits
    "spy_with_obv.txt": (f"{OHLCV} obv", {"obv": (obv("close", "volume"), 1.5e3)}),
    "spy_with_stoch12k3.txt": (
        f"{OHLC} k d",
        {"k": (STOCH["k"], 4e-4), "d": (STOCH["d"], 3e-4)},  # of single precision
    ),
    "spy_with_vtx.csv": (
        f"{OHLCV} plus minus",
        {name: (VORTEX[name], 1e-15) for name in ("plus", "minus")},
    ),
    # of the mean of all four prices
    "spy_with_vwap.txt": (f"{OHLCV} vwap", {"vwap": (vwma(OHLC_MEAN, "volume", 50), 6e-5)}),
    "spy_with_williamsR14.txt": (f"{OHLC} r", {"r": (willr(*HLC, 14), 4e-4)}),
    # the first bar's range counts, and the line begins downward
    "dwac_supertrend.txt": (
        f"{OHLC} line",
        {"line": (supertrend(*HLC, 10, 3.0, first="range")["supertrend"], 6e-8)},
    ),
}

LEFT_OUT = {
    "spy_cmf.txt": -1,  # the last bar was not closed when it was printed
    "dwac_supertrend.txt": 9,  # the one bar on which the first direction shows
}


@pytest.mark.parametrize("name", FILES)
def test_lean_prints_the_same(shared, name):
    names, wanted = FILES[name]
    path = shared / "golden" / "lean" / name
    raw = pl.read_csv(path, infer_schema=False)
    raw.columns = names.split()
    numbers = pl.all().exclude("date").str.strip_chars().cast(pl.Float64, strict=False)
    bars = raw.with_columns(numbers.fill_nan(None)).filter(pl.col("close").is_not_null())
    keep = pl.Series([True] * bars.height)
    if name in LEFT_OUT:
        keep[LEFT_OUT[name]] = False
    for output, (expr, tolerance) in wanted.items():
        both = bars.select(theirs=output, ours=expr.cast(pl.Float64)).filter(keep)
        compared = both.drop_nulls()
        assert compared.height > bars.height // 3
        assert (compared["ours"] - compared["theirs"]).abs().max() <= tolerance, output


def test_every_file_is_compared(shared):
    assert {path.name for path in (shared / "golden" / "lean").iterdir()} == set(FILES)


def test_the_volume_that_lean_adds_up_without_printing_it_goes_where_the_close_goes(shared):
    path = shared / "golden" / "lean" / "spy_with_indicators.txt"
    raw = pl.read_csv(path, infer_schema=False)
    raw.columns = FILES[path.name][0].split()
    theirs = raw.select(pl.col("obv", "close").cast(pl.Float64, strict=False).diff()).drop_nulls()
    moved = theirs.filter(pl.col("obv") != 0)  # of three digits, so a small step may be none
    assert moved.height > 400
    assert moved.filter(pl.col("obv").sign() != pl.col("close").sign()).is_empty()
