"""`cq check lookahead` and `cq check warmup`: a strategy over the lake's bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.output import note, print_json, print_table
from cq.cli.periods import period_of
from cq.errors import CheckFailed
from cq.utils.time import iso

if TYPE_CHECKING:
    import polars as pl

    from cq.checks import Dependence, Difference
    from cq.strategies import Strategy


def strategy_options(command: Callable[..., None]) -> Callable[..., None]:
    """What both commands take."""
    options = (
        click.argument("file", type=click.Path(path_type=Path)),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="A parameter of the strategy, such as fast=10.",
        ),
        click.option("--start", metavar="TIME", help="First bar; default: all there are."),
        click.option("--end", metavar="TIME", help="Where to stop; this bar is not in."),
        click.option(
            "--looks",
            default=24,
            show_default=True,
            type=click.IntRange(1),
            help="Moments to look at, spread over the bars.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.pass_obj,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@strategy_options
def lookahead(
    app: App,
    *,
    file: Path,
    overrides: tuple[str, ...],
    start: str | None,
    end: str | None,
    looks: int,
    as_json: bool,
) -> None:
    """Ask whether the strategy in FILE sees later bars, e.g. `cq check lookahead my_strategy.yaml`.

    Its plan is read for expressions that reach ahead, and it is run again over bars that end
    earlier and over bars whose future is another: what it said before must stay the same.
    """
    from cq.checks import is_opaque, leaks, suspicions

    strategy, bars = strategy_and_bars(app, file, overrides, start, end)
    plan = _plan(bars.clear(), strategy)
    suspected = suspicions(plan)
    found = leaks(_made(strategy), bars, looks)
    if as_json:
        print_json(
            {
                "strategy": strategy.name,
                "bars": bars.height,
                "plan": [asdict(one) for one in suspected],
                "opaque": is_opaque(plan),
                "leaks": [_told(one) for one in found],
            }
        )
    else:
        _show_lookahead(strategy, bars, suspected, found, opaque=is_opaque(plan))
    if found:
        one = found[0]
        raise CheckFailed(
            f"{strategy.name} sees the future: {one.column} of {one.symbol} at {iso(one.ts)} "
            f"is {_value(one.whole)} with later bars and {_value(one.part)} without"
        )
    if suspected:
        first = suspected[0]
        where = f"column {first.column}: " if first.column else ""
        raise CheckFailed(
            f"{strategy.name} may see the future ({where}{first.what}), though these bars do not "
            "show it"
        )


@click.command()
@strategy_options
def warmup(
    app: App,
    *,
    file: Path,
    overrides: tuple[str, ...],
    start: str | None,
    end: str | None,
    looks: int,
    as_json: bool,
) -> None:
    """Ask by how much signals depend on where history starts, e.g. `cq check warmup my.yaml`.

    Live trading sees the last `warmup` bars. Each column is computed over as many, twice and four
    times as many, and held against all history. A signal or target that differs is at fault.
    """
    from cq.checks import at_fault, dependences

    strategy, bars = strategy_and_bars(app, file, overrides, start, end)
    found = dependences(_made(strategy), bars, strategy.warmup, looks, strategy.compares)
    faults = at_fault(found, strategy.warmup)
    if as_json:
        told = [
            asdict(one) | {"first": None if one.first is None else _told(one.first)}
            for one in found
        ]
        print_json({"strategy": strategy.name, "warmup": strategy.warmup, "histories": told})
    else:
        _show_warmup(strategy, found)
    if not found:
        note(f"no bar has {strategy.warmup} others before it; nothing could be compared")
    if faults:
        one = faults[0]
        assert one.first is not None
        raise CheckFailed(
            f"{strategy.name} needs more than its warmup of {strategy.warmup} bars: {one.column} "
            f"of {one.first.symbol} at {iso(one.first.ts)} is {_value(one.first.whole)} over all "
            f"history and {_value(one.first.part)} over the last {strategy.warmup} bars"
        )


def strategy_and_bars(
    app: App, file: Path, overrides: tuple[str, ...], start: str | None, end: str | None
) -> tuple[Strategy, pl.DataFrame]:
    """The strategy in a file, and the bars of the lake that it would be run over."""
    from cq.backtest.bars import Period, bars_of, symbols_of
    from cq.backtest.gating import with_gate
    from cq.errors import NoBars
    from cq.lake import collected
    from cq.strategies import load

    strategy, zone = load(file, overrides), app.settings.timezone
    strategy.backtest(app.settings.backtest)  # a mistake there would wait for the first backtest
    symbols, notes = symbols_of(app.lake, strategy, app.settings.quote)
    for one in notes:
        note(one)
    period = Period(*period_of(start, end, zone))
    plan = bars_of(app.lake, sorted(symbols), strategy, period, 0)
    bars = collected(plan, app.lake.root)
    if bars.is_empty():
        raise NoBars(", ".join(symbols), str(period), "others; see `cq lake status`")
    return with_gate(strategy, None, note), bars


def _plan(bars: pl.DataFrame, strategy: Strategy) -> pl.LazyFrame:
    from cq.signals import with_targets

    return with_targets(bars.lazy(), strategy)


def _made(strategy: Strategy) -> Callable[[pl.DataFrame], pl.DataFrame]:
    from cq.signals import collected

    return lambda bars: collected(_plan(bars, strategy), strategy)


def _show_lookahead(
    strategy: Strategy, bars: pl.DataFrame, suspected: Any, found: list[Difference], *, opaque: bool
) -> None:
    if suspected:
        print_table(
            ("column", "the plan says"), [(one.column or None, one.what) for one in suspected]
        )
    if found:
        print_table(
            ("column", "symbol", "first bar at fault", "with later bars", "without"),
            [(d.column, d.symbol, iso(d.ts), _value(d.whole), _value(d.part)) for d in found],
        )
    if opaque:
        note("a Python function stands in the plan; what it does was only looked at from outside")
    if not suspected and not found:
        click.echo(f"{strategy.name}: no look-ahead found in {bars.height:,} bars")


def _show_warmup(strategy: Strategy, found: list[Dependence]) -> None:
    click.echo(f"{strategy.name}: warmup of {strategy.warmup} bars")
    print_table(
        (
            "history",
            "column",
            "compared",
            "differing",
            "largest difference",
            "first bar that differs",
        ),
        [
            (
                one.bars,
                one.column,
                one.compared,
                one.differing,
                f"{one.largest:.3g}",
                None if one.first is None else iso(one.first.ts),
            )
            for one in found
        ],
    )


def _told(one: Difference) -> dict[str, Any]:
    return asdict(one) | {"time": iso(one.ts)}


def _value(value: Any) -> str:
    return "null" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
