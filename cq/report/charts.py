"""What a report draws of a run: the account, the trades among candles, how returns are spread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from cq.backtest import BacktestResult
from cq.backtest.days import Days, equal_weight, growth
from cq.backtest.metrics import drawdown
from cq.backtest.rounds import Trip
from cq.report.candles import bars_each, busiest, candles, marked
from cq.report.curves import Floats, averaged, rolling_sharpe, thinned
from cq.report.panels import (
    EQUAL,
    GAIN,
    HOLD,
    INK,
    LOSS,
    OURS,
    QUIET,
    Chart,
    Mark,
    Panel,
    finite,
    money,
    plain,
    share,
)
from cq.utils.names import counted
from cq.utils.time import DAY, HOUR, MINUTE, SECOND, bar_end, interval_ns, iso

if TYPE_CHECKING:
    from cq.lake import Lake

WINDOW: Final = 90
"""Days of the rolling Sharpe ratio; a third of a run that has fewer than thrice as many."""
LEAST: Final = 5
"""Days, or longer bars, that it is told of."""
CANDLES: Final = 150
CLOSE_UP: Final = 120
SHOWN: Final = 3
"""Symbols whose candles are shown."""
NEWEST: Final = 6
"""Fills that the close-up shows at least, where there are as many."""
BINS: Final = 40


def account(result: BacktestResult) -> Chart:
    """Equity against the baselines, falls, the Sharpe ratio over time, what was invested."""
    ts = result.equity["ts"].to_numpy()
    days = Days.of(ts, result.interval)
    panels = [_equity(result, days), _falls(result)]
    panels += _sharpe(result, days)
    when, invested = averaged(result.equity["exposure"].to_numpy(), ts)
    panels.append(
        Panel("Invested", [Mark("area", when, invested, OURS)], share, 0.4, least=(0.0, 1.0))
    )
    return Chart("equity", "Equity, drawdown, Sharpe ratio, exposure", panels, span=_span(result))


def _span(result: BacktestResult) -> tuple[float, float]:
    """When the first bar opens and the last one closes."""
    ts = result.equity["ts"]
    return float(ts[0]), float(bar_end(int(ts[-1]), result.interval))


def _equity(result: BacktestResult, days: Days) -> Panel:
    ts, equity = result.equity["ts"].to_numpy(), result.equity["equity"].to_numpy()
    start = int(ts[0])
    lines = [(ts, result.held, "buy and hold", HOLD, 1.2)]
    if len(result.markets) > 1:
        equal = equal_weight(result.markets, start, days, result.cash)
        lines.append((days.ts, equal, "equal weight", EQUAL, 1.2))
    lines.append((ts, equity, result.name, OURS, 1.8))
    marks = []
    for x, y, label, color, width in lines:
        rows = thinned(y)
        marks.append(Mark("line", x[rows], y[rows], color, label, width))
    lowest, highest = min(float(y.min()) for _, y, *_ in lines), max(y.max() for _, y, *_ in lines)
    log = lowest > 0 and highest / lowest > 4
    return Panel("Equity" + (" (logarithmic)" if log else ""), marks, money, 1.6, log=log)


def _falls(result: BacktestResult) -> Panel:
    ts = result.equity["ts"].to_numpy()
    fall = drawdown(result.equity["equity"].to_numpy(), result.cash)
    rows = thinned(fall)
    return Panel(
        "Drawdown",
        [Mark("area", ts[rows], fall[rows], LOSS, width=0.8)],
        share,
        0.6,
        least=(-0.01, 0.0),
    )


def _sharpe(result: BacktestResult, days: Days) -> list[Panel]:
    equity = result.equity["equity"].to_numpy()[days.rows]
    window = min(max(round(WINDOW / days.length), LEAST), equity.size // 3)
    if window < LEAST:
        return []
    ratios = rolling_sharpe(growth(equity, result.cash), window, days.per_year)
    x, y = finite(days.ts, ratios)
    rows = thinned(y) if y.size else np.arange(0)
    marks = [Mark("rule", (), (0.0,), QUIET), Mark("line", x[rows], y[rows], INK, width=1.0)]
    length = _bars_or_days(window, result, days)
    return [Panel(f"Sharpe ratio of {length}", marks, plain, 0.6, least=(0.0,))]


def _bars_or_days(count: int, result: BacktestResult, days: Days) -> str:
    """So many days; where bars are longer, so many bars."""
    return f"{count:,} days" if days.length == 1 else f"{count:,} bars of {result.interval}"


def market_charts(result: BacktestResult, lake: Lake | None = None) -> list[Chart]:
    """Candles of the symbols most traded, with what was bought and sold; one of them close up."""
    length = interval_ns(result.interval)
    start, end = (int(one) for one in _span(result))
    symbols = busiest(result.trades, result.symbols, SHOWN)
    found = [_market(result, one, start, end, lake, at) for at, one in enumerate(symbols)]
    mine = _fills(result, symbols[0])
    if mine.height and (end - start) // length > CLOSE_UP:
        last = min(int(mine["ts"][-1]) + 12 * length, end)
        first = int(mine["ts"][-min(mine.height, NEWEST)]) - 12 * length
        first = max(min(first, last - CLOSE_UP * length), start)
        found.append(_market(result, symbols[0], first, last, lake, len(found)))
    return [one for one in found if one is not None]


def _market(
    result: BacktestResult, symbol: str, start: int, end: int, lake: Lake | None, number: int
) -> Chart | None:
    start = max(start, min(int(one.ts[0]) for one in result.markets if one.symbol == symbol))
    shown = candles(result, symbol, start, end, CANDLES, lake)
    if shown.is_empty():
        return None
    inside = pl.col("ts").is_between(start, end, closed="left")
    where = marked(_fills(result, symbol).filter(inside), shown)
    each = bars_each(result.interval, start, end, CANDLES)
    width = each * interval_ns(result.interval)
    x = shown["ts"].to_numpy() + width // 2
    prices = tuple(shown[name].to_numpy() for name in ("open", "high", "low", "close"))
    marks = [Mark("candles", x, prices[3], INK, more=prices)]
    for side, kind, edge, color in (("buy", "up", "low", GAIN), ("sell", "down", "high", LOSS)):
        rows = where.filter(pl.col("side") == side)
        label = f"{'bought' if side == 'buy' else 'sold'} {int(rows['fills'].sum()):,}×"
        at = rows["candle"].to_numpy() + width // 2
        marks.append(Mark(kind, at, rows[edge].to_numpy(), color, label))  # type: ignore[arg-type]
    low, high = float(prices[2].min()), float(prices[1].max())
    panel = Panel(symbol, marks, _price, 1.3, log=low > 0 and high / low > 4)
    note = f"{iso(start)[:16].replace('T', ' ')} to {iso(end)[:16].replace('T', ' ')}, a candle is "
    note += _length(width) if result.interval != "1M" else counted(each, "month", "months")
    return Chart(f"candles_{number + 1}", f"{symbol} with trades", [panel], None, note,
                 (float(start), float(end)))  # fmt: skip


def _fills(result: BacktestResult, symbol: str) -> pl.DataFrame:
    """The trades of a symbol, each within its bar: the end of one is the next one's opening."""
    stamps = pl.col("ts") - pl.Series(result.at_close, dtype=pl.Int64)
    return result.trades.with_columns(stamps).filter(pl.col("symbol") == symbol)


def _length(width: int) -> str:
    for size, unit in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if width >= size:
            return f"one {unit}" if width == size else f"{width / size:.3g} {unit}s"
    return f"{width / SECOND:.3g} seconds"


def _price(value: float, digits: int = 3) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.{digits - 3}f}"
    return f"{value:.{digits + 1}g}"


def spread_charts(result: BacktestResult, trips: list[Trip]) -> list[Chart]:
    """How the returns of round trips, and of days, are spread."""
    found = []
    each = np.array([one.profit / one.paid for one in trips if one.paid > 0])
    if each.size:
        title = f"Returns of {each.size:,} round trips"
        found.append(_histogram("round_trips", title, each, {}))
    ts = result.equity["ts"].to_numpy()
    days = Days.of(ts, result.interval)
    returns = growth(result.equity["equity"].to_numpy()[days.rows], result.cash)
    if returns.size >= 20:
        risk = result.metrics["var_95"]
        rules = {} if risk is None else {"value at risk": float(risk)}
        moved = returns[returns != 0]
        if moved.size:
            title = f"Returns of {_bars_or_days(moved.size, result, days)} that moved"
            found.append(_histogram("days", title, moved, rules))
    return found


def _histogram(name: str, title: str, values: Floats, rules: dict[str, float]) -> Chart:
    """Bars green above zero and red below; what lies far out is gathered in the last ones."""
    low, high = (float(one) for one in np.quantile(values, [0.01, 0.97]))
    low, high = min(low, 0.0), max(high, 0.0)
    bins = min(BINS, max(8, math.ceil(math.sqrt(values.size)) * 2))
    size = (high - low) / bins or 0.01
    edges = np.arange(math.floor(low / size), math.ceil(high / size) + 1) * size
    if edges.size < 2:
        edges = np.array([0.0, size])
    counts, _ = np.histogram(np.clip(values, edges[0], np.nextafter(edges[-1], 0)), edges)
    lefts, rights = edges[:-1], edges[1:]
    gains = lefts >= -size * 1e-6
    marks = [
        Mark("bars", lefts[side], counts[side], color, label, more=(rights[side],))
        for side, color, label in ((~gains, LOSS, "lost"), (gains, GAIN, "won"))
    ]
    marks += [Mark("rule", (x,), (), INK, f"{label} {share(x)}") for label, x in rules.items()]
    panel = Panel(title, marks, plain, 1.0, least=(0.0,))
    beyond = int(((values < edges[0]) | (values > edges[-1])).sum())
    note = f"the outermost bars hold {beyond:,} that lie beyond" if beyond else ""
    return Chart(name, title, [panel], share, note, (float(edges[0]), float(edges[-1])))
