"""What `cq live` says: a line for what happens, tables for where the account stands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.output import print_table
from cq.utils.time import from_ns, iso

if TYPE_CHECKING:
    from cq.backtest.account import Fill
    from cq.execution.loop import Stepped
    from cq.execution.polling import Polled, Poller
    from cq.execution.replay import Replayed

EVERY = 500
"""Steps at least between two lines of progress where there is no terminal; ten lines at most."""

SETTINGS = {"stale_data": "live.stale_after_bars"}
"""The setting behind a rule, where it is not `live.` and the rule's name."""


def opening(poller: Poller, path: Path) -> str:
    """The first line of a paper session."""
    config = poller.strategy.config
    return (
        f"{poller.strategy.name} on paper: {', '.join(poller.symbols)} {config.interval} from "
        f"{poller.market.name}; journal {path}; Ctrl-C stops"
    )


def teller(out: Callable[[str], None]) -> Callable[[Polled], None]:
    """Says a line for each thing that a look brought; what stays stale or silent is said once."""
    known: set[str] = set()
    silent: set[str] = set()

    def tell(polled: Polled) -> None:
        for stepped in polled.steps:
            for line in lines_of(stepped):
                out(line)
        for fill in polled.fills:
            out(f"{_minute(fill.ts)}  {fill_line(fill)}")
        for symbol in sorted(polled.stale.keys() - known):
            out(f"{_minute(polled.now_ns)}  no order in {symbol}: {polled.stale[symbol]}")
        for symbol in sorted(known - polled.stale.keys()):
            out(f"{_minute(polled.now_ns)}  {symbol} has fresh bars again")
        known.clear()
        known.update(polled.stale)
        for symbol in sorted(polled.unanswered.keys() - silent):
            reason = polled.unanswered[symbol]
            out(f"{_minute(polled.now_ns)}  no answer for {symbol} ({reason}); the others go on")
        silent.clear()
        silent.update(polled.unanswered)
        if polled.failed:
            out(f"{_minute(polled.now_ns)}  no answer ({polled.failed}); trying again")

    return tell


def lines_of(stepped: Stepped) -> list[str]:
    """What a step did, the account's worth last."""
    at = _minute(stepped.ts)
    found = [f"{at}  {fill_line(fill)}" for fill in stepped.fills]
    for one in stepped.decisions:
        if one.state == "pending":
            found.append(f"{at}  {one.symbol}: {one.target:.4g} of equity at the next bar")
        elif one.state == "blocked":
            found.append(f"{at}  {one.symbol}: {one.target:.4g} of equity blocked: {one.reason}")
    return [*found, f"{at}  equity {stepped.equity:,.2f}  cash {stepped.cash:,.2f}"]


def fill_line(fill: Fill) -> str:
    """One trade in words."""
    verb = "bought" if fill.side == "buy" else "sold"
    return f"{verb} {fill.qty:.8g} {fill.symbol} at {fill.price:,.8g} (fee {fill.fee:,.2f})"


def progress() -> Callable[[Stepped, int, int], None]:
    """Says how far a replay has come: in one changing line on a terminal, else now and then."""
    terminal = sys.stderr.isatty()

    def say(stepped: Stepped, done: int, total: int) -> None:
        if terminal and (done % 20 == 0 or done == total):
            end = "\n" if done == total else ""
            text = f"\r{done * 100 // total:3d} %  {iso(stepped.ts)}  {stepped.equity:,.2f}{end}"
            click.echo(text, err=True, nl=False)
        elif not terminal and done % max(EVERY, -(-total // 10)) == 0:
            click.echo(f"{done} of {total} bars, {iso(stepped.ts)}", err=True)

    return say


def how_far(done: Replayed, last_bar: str | None, blocked: Mapping[str, int]) -> str:
    """The last line of a replay: how far it came, and what no backtest would have stopped."""
    return _how_far(done, last_bar) + "".join(
        f"; {count:,} decision{'s' * (count > 1)} blocked by "
        f"{SETTINGS.get(rule, f'live.{rule}')}: the backtest knows no such limit"
        for rule, count in blocked.items()
    )


def _how_far(done: Replayed, last_bar: str | None) -> str:
    if not done.finished:
        return (
            f"stopped after {done.before + done.steps} of {done.total} bars ({last_bar}); "
            "the same command goes on from there"
        )
    if not done.steps:
        return f"all {done.total} bars were replayed before; --fresh replays them again"
    went_on = f", {done.before} of them before" if done.before else ""
    return f"replayed {done.total} bars{went_on}"


def print_summary(found: dict[str, Any]) -> None:
    """Where the account stands, in tables."""
    said = {
        "strategy": found["strategy"],
        "mode": found["mode"],
        "journal": found["journal"],
        "last bar": found["last_bar"] or "none yet",
        "equity": f"{found['equity']:,.2f} ({found['total_return']:+.2%})",
        "cash": f"{found['cash']:,.2f}",
        "trades": f"{found['trades']:,} (fees {found['fees']:,.2f}, "
        f"slippage {found['slippage']:,.2f})",
    }
    for name, value in said.items():
        click.echo(f"{name:<10}{value}")
    if not found["decisions"]:
        click.echo("nothing has been decided yet; `cq live --paper` looks for the first bars")
    for title in ("positions", "pending", "decisions", "alerts"):
        if part := found[title]:
            print_table(tuple(part[0]), [tuple(one.values()) for one in part], title)


def _minute(ts: int) -> str:
    return f"{from_ns(ts):%Y-%m-%d %H:%M}"
