"""`cq sim`: a local Mercado Bitcoin to rehearse on."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.output import note
from cq.errors import UsageError

if TYPE_CHECKING:
    from cq.sim.holders import Holder
    from cq.sim.plan import Plan
    from cq.sim.server import Address
    from cq.sim.simulation import Simulation
    from cq.sim.tape import Tape


@click.command()
@click.option(
    "--data",
    default="generated",
    show_default=True,
    metavar="LAKE|PATH|generated",
    help="A lake's folder, files that `cq lake import` can read, or a market made up.",
)
@click.option("--speed", default=1.0, show_default=True, help="Times real time; 0 stands still.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8790,
    show_default=True,
    help="0 takes any free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--start",
    help="The exchange's time at the start, such as 2026-01-01. By default now for a generated "
    "market, and the first moment of other data.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed is another market.")
@click.option(
    "--trades-per-minute",
    "trades",
    default=4.0,
    show_default=True,
    help="Of each symbol, in minutes in which anybody trades.",
)
@click.option("--symbol", help="Of a file that does not say it.")
@click.option("--interval", help="Of a file of bars that does not say it.")
@click.option("--faults", type=click.Path(path_type=Path), help="A fault plan (YAML).")
@click.option("--check", type=click.Path(path_type=Path), help="Only check this fault plan.")
@click.option("--no-limits", is_flag=True, help="Never answer 429 for asking too often.")
@click.option(
    "--switch", "switches", multiple=True, metavar="NAME=VALUE", help="One unknown, decided."
)
@click.option(
    "--balance",
    "balances",
    multiple=True,
    metavar="ASSET=AMOUNT",
    help="What the account has at the start; by default BRL=100000.",
)
@click.option(
    "--accounts", type=click.Path(path_type=Path), help="Several accounts and their keys (YAML)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object once it listens.")
def sim(**options: Any) -> None:
    """Serve a simulated Mercado Bitcoin (REST v4 and WebSocket) on this machine.

    It speaks the exchange's wire with the quirks that were seen there. Ctrl-C stops it, and it
    tells then what it has done.

    \b
    cq sim --speed 60
    cq sim --data lake --start 2026-01-01 --speed 1000 --faults plan.yaml
    cq sim --check plan.yaml
    """
    from cq.sim.holders import holders_of
    from cq.sim.plan import read_plan

    _check(options)
    if options["check"] is not None:
        plan = read_plan(options["check"], _tape(options).listings)
        kinds = ", ".join(rule.kind for rule in plan.faults) or "no faults"
        click.echo(f"{options['check']}: seed {plan.seed}; {kinds}")
        return
    holders = holders_of(options["balances"], options["accounts"])
    _serve(_simulation(options, holders), holders[0].login, options)


def _check(options: dict[str, Any]) -> None:
    """UsageError for a number that makes no sense."""
    if not options["host"].strip():
        raise UsageError(
            "--host is empty, which would be every address; name one, such as 127.0.0.1, or "
            "0.0.0.0 for all of them"
        )
    if not (isfinite(options["speed"]) and options["speed"] >= 0):
        raise UsageError(f"--speed {options['speed']} is no pace; expected 0 or more, such as 60")
    if not (isfinite(options["trades"]) and 0 < options["trades"] <= 100_000):
        raise UsageError(
            f"--trades-per-minute {options['trades']} is no count; expected above 0, at most 100000"
        )
    if options["seed"] < 0:
        raise UsageError(f"--seed {options['seed']} is below 0; expected a whole number from 0 on")


def _simulation(options: dict[str, Any], holders: tuple[Holder, ...]) -> Simulation:
    from cq.sim.clock import SimClock
    from cq.sim.faults import Faults
    from cq.sim.plan import Plan, read_plan
    from cq.sim.private import private_side
    from cq.sim.simulation import Simulation
    from cq.utils import clock

    tape = _tape(options)
    plan = Plan()
    if options["faults"] is not None:
        plan = read_plan(options["faults"], tape.listings)
    plan = _switched(plan, options["switches"])
    for said in tape.notes:
        note(said)
    tape = tape.with_weeks(plan.switches.week_starts)
    start_ns = _start(tape, options["start"], clock.now_ns())
    return Simulation(
        tape=tape,
        clock=SimClock(start_ns, options["speed"]),
        switches=plan.switches,
        faults=Faults(plan),
        exchange=private_side(tape, start_ns, holders, plan.switches, options["seed"]),
        limited=not options["no_limits"],
    )


def _tape(options: dict[str, Any]) -> Tape:
    from cq.sim.sources import tape_of
    from cq.utils import clock

    return tape_of(
        options["data"],
        seed=options["seed"],
        trades_per_minute=options["trades"],
        now_ns=clock.now_ns(),
        symbol=options["symbol"],
        interval=options["interval"],
    )


def _switched(plan: Plan, said: tuple[str, ...]) -> Plan:
    """The plan with the switches of the command line, which win."""
    from pydantic import ValidationError

    from cq.sim.problems import problem
    from cq.sim.switches import Switches
    from cq.utils.names import nearest
    from cq.utils.yamls import parse_scalar

    values = plan.switches.model_dump()
    for one in said:
        name, equals, value = one.partition("=")
        if name not in values:
            raise UsageError(f"--switch {one}: no switch {name!r}; {nearest(name, values)}")
        if not equals:
            raise UsageError(f"--switch {one}: its value is missing; expected {one}=VALUE")
        values[name] = value if isinstance(values[name], str) else parse_scalar(value)
    try:
        switches = Switches.model_validate(values)
    except ValidationError as error:
        found = [
            f"--switch {one['loc'][0]}: {problem([one], (str(one['loc'][0]),), Switches)}"
            for one in error.errors(include_url=False)
        ]
        raise UsageError("; ".join(found)) from None
    return plan.model_copy(update={"switches": switches})


def _start(tape: Tape, asked: str | None, now_ns: int) -> int:
    """Where the exchange's clock begins."""
    from cq.utils.time import iso, parse_time

    if asked is None:
        return now_ns if tape.source == "generated" else tape.begin_ns
    start = now_ns if asked == "now" else parse_time(asked)
    if not tape.begin_ns <= start < tape.end_ns:
        raise UsageError(
            f"--start {asked}: {tape.source} has trades from {iso(tape.begin_ns)} "
            f"to {iso(tape.end_ns)}"
        )
    return start


def _serve(simulation: Simulation, login: str, options: dict[str, Any]) -> None:
    import asyncio

    asyncio.run(_until_stopped(simulation, login, options))
    found = simulation.shown()
    counted = {name: found[name] for name in ("requests", "limited", "faults", "frames", "sockets")}
    note(f"stopped at {found['now']}; {json.dumps(counted)}")


async def _until_stopped(simulation: Simulation, login: str, options: dict[str, Any]) -> None:
    import asyncio
    import signal

    from cq.sim.server import listening

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stopping.set)
    runner, address = await listening(simulation, options["host"], options["port"])
    try:
        _tell(simulation, address, login, options)
        await stopping.wait()
    finally:
        await runner.cleanup()


def _tell(simulation: Simulation, address: Address, login: str, options: dict[str, Any]) -> None:
    """Where it listens, and how to point cq there; a password of the user's own is not shown."""
    from shlex import quote

    from cq.sim.holders import PASSWORD

    shown = simulation.shown()
    if options["as_json"]:
        where = {"rest": address.rest, "ws": address.ws, "status": address.status}
        about = {name: shown[name] for name in ("source", "seed", "now", "speed", "symbols")}
        click.echo(json.dumps(where | {"port": address.port} | about))
        return
    count = len(shown["symbols"])
    click.echo(
        f"Mercado Bitcoin, simulated: {shown['source']}, seed {shown['seed']}, {count} markets, "
        f"{shown['now']} at {shown['speed']:g}×"
    )
    click.echo(f"export CQ_INGESTION__REST_BASE_URL={address.rest}")
    click.echo(f"export CQ_INGESTION__WS_URL={address.ws}")
    key = f"export CQ_CREDENTIALS__CLIENT_ID={quote(login)}"
    if options["accounts"] is None:
        click.echo(f"{key} CQ_CREDENTIALS__CLIENT_SECRET={PASSWORD}")
    else:
        click.echo(key)
        secret = f"the password of {login} in {options['accounts']}"
        click.echo(f"CQ_CREDENTIALS__CLIENT_SECRET: {secret}")
    click.echo(f"what it has done: {address.status} (Ctrl-C stops it)")
