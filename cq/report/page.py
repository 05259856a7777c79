"""The report as one HTML page that needs nothing else, on a phone as on a desk."""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import polars as pl

from cq.backtest import BacktestResult
from cq.backtest.definitions import BY_NAME
from cq.backtest.metrics import Metrics
from cq.backtest.rounds import Trip
from cq.backtest.show import NONE, count, number, percent, shown, text
from cq.report.conventions import conventions
from cq.report.curves import monthly, yearly
from cq.report.panels import Chart
from cq.report.svg import drawings
from cq.report.symbols import shares
from cq.utils.names import counted
from cq.utils.time import bar_end, iso

SHOWN_TRADES = 12
"""So many of the first and as many of the last trades are printed."""

SHOWN_WARNINGS = 4
"""So many stand open; the others unfold."""

CARDS = (
    "total_return",
    "buy_and_hold",
    "equal_weight",
    "annualized_return",
    "sharpe",
    "max_dd",
    "profit_factor",
    "trades",
)


def page(
    result: BacktestResult,
    main: Chart,
    markets: Sequence[Chart],
    spread: Sequence[Chart],
    trips: Sequence[Trip],
    luck: Metrics,
) -> str:
    """The whole page around the drawings, of which the style shows the one that fits."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    title = escape(result.name)
    sections = [
        _header(result),
        _cards(result),
        *_warnings(result),
        _figure(main),
        _section("Returns by month", _months(result)),
        _section("Trades among candles", "".join(map(_figure, markets))),
        _section("Symbols", _symbols(result, trips)),
        *([_section("How returns are spread", "".join(map(_figure, spread)))] if spread else []),
        _section("Metrics", _metrics(result, luck)),
        _section("First and last trades", _trades(result)),
        _section("Conventions", _conventions(result)),
        _section("Where it comes from", _origin(result)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} – backtest</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def _figure(chart: Chart) -> str:
    note = f"<figcaption>{escape(chart.note)}</figcaption>" if chart.note else ""
    return f"<figure>{drawings(chart)}{note}</figure>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>\n{body}</section>"


def _warnings(result: BacktestResult) -> list[str]:
    """What makes the result doubtful; nothing where nothing does."""
    lines = [f"<li>{escape(one)}</li>" for one in result.config.get("warnings", [])]
    if not lines:
        return []
    body = "<ul>" + "".join(lines[:SHOWN_WARNINGS]) + "</ul>"
    if more := lines[SHOWN_WARNINGS:]:
        body += f"<details><summary>{len(more)} more</summary><ul>{''.join(more)}</ul></details>"
    return [_section("Warnings", body)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str) -> str:
    """A table whose cells are HTML already; wide ones scroll inside their own frame."""
    top = "".join(f"<th>{one}</th>" for one in head)
    body = "\n".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    hint = "" if kind == "metrics" else '<p class="hint">swipe the table sideways →</p>'
    return (
        f'{hint}<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def _header(result: BacktestResult) -> str:
    ts = result.equity["ts"]
    symbols = escape(", ".join(result.symbols))
    until = iso(bar_end(ts[-1], result.interval))
    bars = counted(ts.len(), "bar", "bars")
    return (
        f"<header><h1>{escape(result.name)}</h1><p>{symbols} · {bars} of "
        f"{escape(result.interval)} · {iso(ts[0])[:10]} to {until[:10]}</p></header>"
    )


def _cards(result: BacktestResult) -> str:
    cards = [(BY_NAME[key].label, _brief(result, key)) for key in CARDS]
    return (
        '<div class="cards">'
        + "".join(
            f"<div><b>{escape(said)}</b><span>{escape(label)}</span></div>" for label, said in cards
        )
        + "</div>"
    )


def brief(value: float) -> str:
    """A fraction as a percentage of few digits."""
    return percent(value) if value > 1e4 else f"{value * 100:,.{1 if abs(value) < 10 else 0}f} %"


def _brief(result: BacktestResult, key: str) -> str:
    value = result.metrics[key]
    if value is not None and BY_NAME[key].unit == "fraction":
        return brief(value)
    return text(key, value)


def _metrics(result: BacktestResult, luck: Metrics) -> str:
    known = result.metrics | luck
    rows = [
        [
            f"<th>{escape(BY_NAME[key].label)}</th>",
            _cell(text(key, value), "n"),
            _cell(escape(BY_NAME[key].definition)),
        ]
        for key, value in known.items()
    ]
    money = [
        [f"<th>{label}</th>", _cell(said, "n"), "<td></td>"] for label, said in shown(result)[:2]
    ]
    return _table(("", "", "definition"), money + rows, "metrics")


def _months(result: BacktestResult) -> str:
    months = monthly(result)
    known = {(year, month): growth for year, month, growth in months.rows()}
    years = yearly(months)
    rows = [
        [
            f"<th>{year}</th>",
            *(_growth(known.get((year, month))) for month in range(1, 13)),
            _growth(years[year], "year"),
        ]
        for year in years
    ]
    return _table(("", *calendar.month_abbr[1:], "year"), rows, "months")


def _growth(value: float | None, kind: str = "") -> str:
    if value is None:
        return "<td></td>"
    strength = min(abs(value) / 0.25, 1.0) * 0.55
    color = "22,163,74" if value > 0 else "220,38,38"
    shade = f' style="background:rgba({color},{strength:.2f})"' if abs(value) >= 0.0005 else ""
    return f'<td class="n {kind}"{shade}>{value * 100:.1f}</td>'


def _symbols(result: BacktestResult, trips: Sequence[Trip]) -> str:
    rows = [
        [
            f"<th>{escape(one.symbol)}</th>",
            _cell(number(one.profit), "n won" if one.profit > 0 else "n lost"),
            _cell(brief(one.profit / result.cash), "n"),
            _cell(NONE if one.market is None else brief(one.market), "n"),
            _cell(count(one.trades), "n"),
            _cell(count(one.round_trips), "n"),
            _cell(text("hit_rate", one.hit_rate), "n"),
            _cell(number(one.value), "n"),
            _cell(number(one.fees), "n"),
            _cell(number(one.slippage), "n"),
            _cell(number(one.held) if one.held else NONE, "n"),
        ]
        for one in sorted(shares(result, trips), key=lambda one: -one.profit)
    ]
    head = (
        *("symbol", "profit", "of cash", "market", "trades", "round trips", "hit rate"),
        *("traded", "fees", "slippage", "still held"),
    )
    return _table(head, rows, "symbols")


def _trades(result: BacktestResult) -> str:
    trades = result.trades
    if trades.is_empty():
        return "<p>Nothing was traded.</p>"
    whole = trades.height <= 2 * SHOWN_TRADES
    rows = _trade_rows(trades if whole else trades.head(SHOWN_TRADES))
    if not whole:
        left = trades.height - 2 * SHOWN_TRADES
        rows.append([f'<td colspan="8" class="more">… {left:,} more in trades.csv …</td>'])
        rows += _trade_rows(trades.tail(SHOWN_TRADES))
    return _table(
        ("time (UTC)", "symbol", "side", "qty", "price", "fee", "slippage", "why"), rows, "trades"
    )


def _trade_rows(trades: pl.DataFrame) -> list[list[str]]:
    return [
        [
            _cell(iso(ts)[:16].replace("T", " ")),
            _cell(escape(symbol)),
            _cell(side, side),
            _cell(f"{qty:,.8g}", "n"),
            _cell(f"{price:,.8g}", "n"),
            _cell(number(fee), "n"),
            _cell(number(slippage), "n"),
            _cell(reason.replace("_", " ")),
        ]
        for ts, symbol, side, qty, price, fee, slippage, reason in trades.rows()
    ]


def _conventions(result: BacktestResult) -> str:
    lines = conventions(result.config)
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _origin(result: BacktestResult) -> str:
    data = result.config["data"]
    settings = {key: result.config[key] for key in ("strategy", "backtest", "code")}
    return (
        f"<p>{data['rows']:,} rows, {data['first']} to {data['last']}, from {len(data['files'])} "
        f"files; digest of the rows <code>{data['digest']}</code></p>"
        f"<details><summary>Configuration</summary><pre>{escape(json.dumps(settings, indent=2))}"
        "</pre></details>"
    )
