"""`cq indicators`: what can be computed from bars, with parameters and warm-ups."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from cq.cli.output import print_json, print_table
from cq.errors import UsageError

if TYPE_CHECKING:
    from cq.indicators import Indicator


@click.command(short_help="List indicators with parameters and warm-ups.")
@click.argument("name", required=False)
@click.option("--family", help="Only those of one family, such as trend.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list (with NAME: one object).")
def indicators(name: str | None, family: str | None, as_json: bool) -> None:
    """List indicators, or say all about one, e.g. `cq indicators rsi`.

    The warm-up counts bars, the current one included; that of a session is for hourly bars.
    """
    from cq.indicators import REGISTRY
    from cq.indicators.registry import described

    if name is not None:
        one = _known(REGISTRY, name, "an indicator", "cq indicators")
        print_json(described(one)) if as_json else _show(one)
        return
    families = {one.family: one.family for one in REGISTRY.values()}
    wanted = None if family is None else _known(families, family, "a family", "cq indicators")
    chosen = [one for one in REGISTRY.values() if wanted in (None, one.family)]
    if as_json:
        print_json([described(one) for one in chosen])
    else:
        print_table(
            ("family", "name", "of", "parameters", "gives", "warm-up"),
            [_row(one) for one in sorted(chosen, key=lambda one: (one.family, one.name))],
        )


def _known(among: Any, name: str, kind: str, command: str) -> Any:
    """What `name` means; a mistyped one is told its neighbour."""
    if name in among:
        return among[name]
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), among, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"`{command}` lists them"
    raise UsageError(f"{name!r} is not {kind}; {advice}")


def _row(one: Indicator[..., Any]) -> tuple[str, ...]:
    return (
        one.family,
        one.name,
        ", ".join(one.inputs),
        _said(one.parameters),
        ", ".join(one.outputs),
        _bars(one),
    )


def _said(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in parameters.items()) or "none"


def _bars(one: Indicator[..., Any]) -> str:
    bars = one.warmup(bar="1h")
    return "all" if bars is None else str(bars)


def _show(one: Indicator[..., Any]) -> None:
    low, high = ("…" if bound is None else f"{bound:g}" for bound in one.bounds)
    click.echo(f"{one.name}({', '.join(one.inputs)}; {_said(one.parameters)})\n")
    click.echo(textwrap.dedent(one.doc).strip() + "\n")
    click.echo(f"family   {one.family}")
    click.echo(f"gives    {', '.join(one.outputs)}")
    click.echo(f"range    {low} to {high} ({one.unit})")
    click.echo(f"warm-up  {_bars(one)} bars")
