"""`cq live`: a strategy on paper money, now or over bars that the lake already has."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.output import note, print_json
from cq.cli.periods import SINCE, period_of
from cq.errors import CqError, NoJournal, UsageError

if TYPE_CHECKING:
    from cq.execution.start import Setup
    from cq.strategies import Strategy


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is not an amount; expected a number above 0")
    return value


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--paper", is_flag=True, help="Trade on paper: real bars, no real money.")
@click.option("--live", "real", is_flag=True, help="Refused for now; says what is missing.")
@click.option("--once", is_flag=True, help="One look at the newest bars, then end.")
@click.option("--replay", is_flag=True, help="Step through bars already in the lake; no network.")
@click.option("--since", help="First bar of a replay, such as 2026-01-01.")
@click.option("--until", help="End of a replay (that moment not included).")
@click.option("--journal", type=click.Path(path_type=Path), help="Another journal file.")
@click.option("--fresh", is_flag=True, help="Put the old journal aside and begin anew.")
@click.option(
    "--cash",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    help="Cash to begin with.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One parameter, as in fast=5."
)
@click.option("--status", is_flag=True, help="Show where the journal stands; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.pass_obj
def live(app: App, /, file: Path | None, **options: Any) -> None:
    """Trade the strategy in FILE on paper, e.g. `cq live --paper configs/strategies/mine.yaml`.

    FILE may be left out where the project has only one. Every decision, order and fill is
    written down as it happens; Ctrl-C stops cleanly, and the same command goes on.

    \b
    cq live --paper --once configs/strategies/crossover_btc.yaml
    cq live --paper --replay --since 2026-01-01 configs/strategies/crossover_btc.yaml
    cq live --status
    """
    as_json: bool = options["as_json"]
    if options["status"]:
        _only_looks(file, options)
        _show(options["journal"] or app.settings.live.journal, as_json)
        return
    _check(app, options)
    setup = _setup(app, _strategy(app, file, options["overrides"]), options)
    if options["replay"]:
        _replay(app, setup, options)
    else:
        _paper(app, setup, once=options["once"], as_json=as_json)


TRADING = {
    "real": "--live", "once": "--once", "replay": "--replay", "since": "--since",
    "until": "--until", "fresh": "--fresh", "cash": "--cash", "overrides": "--set",
}  # fmt: skip
"""Options that change what is traded."""


def _only_looks(file: Path | None, options: dict[str, Any]) -> None:
    """Refuse to ignore what --status has no use for."""
    said = [name for key, name in TRADING.items() if options[key] not in (None, False, ())]
    if unused := [*([str(file)] if file is not None else []), *said]:
        raise UsageError(f"--status only looks; leave out {', '.join(unused)}")


def _check(app: App, options: dict[str, Any]) -> None:
    """Refuse what makes no sense together, and real money."""
    paper, real, replay = options["paper"], options["real"], options["replay"]
    if paper and real:
        raise UsageError("--paper and --live exclude each other; say --paper")
    if real:
        raise UsageError("\n".join(_missing_for_real_money(app)))
    if not paper:
        raise UsageError("say --paper: real bars, no real money (`cq live --paper FILE`)")
    if options["once"] and replay:
        raise UsageError("--once looks at the exchange, --replay at the lake; say one of them")
    if not replay and (options["since"], options["until"]) != (None, None):
        raise UsageError("--since and --until are the period of a --replay; add --replay")


def _missing_for_real_money(app: App) -> list[str]:
    settings, found = app.settings, ["--live is refused:"]
    if settings.paper_trading:
        found.append("  paper_trading is true; the configuration's consent is paper_trading: false")
    if not (settings.credentials.client_id and settings.credentials.client_secret):
        found.append(
            "  no key in the environment (CQ_CREDENTIALS__CLIENT_ID, CQ_CREDENTIALS__CLIENT_SECRET)"
        )
    if settings.live.max_daily_loss is None:
        found.append("  live.max_daily_loss is null; real money demands a limit")
    return [*found, "  this version trades on paper only; use `cq live --paper FILE`"]


def _strategy(app: App, file: Path | None, overrides: tuple[str, ...]) -> Strategy:
    from cq.strategies import load

    if file is None:
        folder = app.project / "configs" / "strategies"
        known = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        if len(known) != 1:
            names = ", ".join(str(one.relative_to(app.project)) for one in known)
            raise UsageError(f"which strategy? {names or f'none in {folder}'}: name a FILE")
        file = known[0]
        note(f"strategy: {file.relative_to(app.project)}")
    return load(file, overrides)


def _setup(app: App, strategy: Strategy, options: dict[str, Any]) -> Setup:
    from cq.execution.start import Setup
    from cq.utils import clock, log

    if strategy.config.gate is not None and not options["replay"]:
        from cq.backtest.gating import with_gate

        strategy = with_gate(strategy, None, note)
    settings = app.settings
    running = not (options["once"] or options["replay"])
    log.configure(settings, running=running, told=("alert", "poll"))
    backtest = strategy.backtest(settings.backtest)
    if options["cash"] is not None:
        backtest = backtest.model_copy(update={"cash": options["cash"]})

    def say(action: str, *, level: str = "INFO", **fields: Any) -> None:
        if options["replay"] and level == "INFO":
            level = "DEBUG"  # a year of fills is in the journal
        log.event("live", action, level=level, **fields)

    return Setup(
        lake=app.lake,
        strategy=strategy,
        backtest=backtest,
        live=settings.live,
        now_ns=clock.now_ns(),
        quote=settings.quote,
        journal=options["journal"],
        fresh=options["fresh"],
        say=say,
        note=note,
    )


def _replay(app: App, setup: Setup, options: dict[str, Any]) -> None:
    from cq.cli import live_output
    from cq.execution.mirror import mirror
    from cq.execution.replay import replay
    from cq.execution.start import replaying
    from cq.execution.stopping import until_told
    from cq.execution.summary import summary

    zone = app.settings.timezone
    since, until = period_of(options["since"], options["until"], zone, SINCE)
    with (
        until_told(_stopping) as told,
        replaying(setup, since, until, exclusions=app.settings.exclusions) as (trader, bars),
    ):
        done = replay(trader, bars, stop=told.is_set, on_step=live_output.progress())
        mirror(setup.lake, trader.journal, setup.now_ns, note)
        found = summary(trader.journal) | {"finished": done.finished, "bars": done.total}
    note(live_output.how_far(done, found["last_bar"], found["blocked"]))
    _print(found, options["as_json"])


def _paper(app: App, setup: Setup, *, once: bool, as_json: bool) -> None:
    from cq.cli import live_output
    from cq.cli.lasting import lasting
    from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
    from cq.execution.mirror import mirror
    from cq.execution.polling import look, polling, run, settling_s
    from cq.execution.stopping import Heeding, Stopped, until_told
    from cq.execution.summary import summary
    from cq.utils import clock

    ingestion, settings = app.settings.ingestion, app.settings
    out: Callable[[str], None] = note if as_json else click.echo
    tell = live_output.teller(out)
    with (
        nullcontext() if once else lasting(),
        until_told(_stopping) as told,
        MercadoBitcoin(Rest(ingestion, sleep=told.pause)) as market,
        polling(
            setup,
            Heeding(market, told),
            exclusions=settings.exclusions,
            page_bars=ingestion.page_bars,
            stop=told.is_set,
        ) as poller,
    ):
        journal = poller.trader.journal
        unanswered: list[CqError] = []
        with suppress(Stopped):
            if once:
                told.pause(settling_s(clock.now_ns(), setup.strategy.config.interval))
                polled = look(poller, clock.now_ns)
                tell(polled)
                unanswered += polled.unanswered.values()
            else:
                out(live_output.opening(poller, journal.path))
                run(
                    poller,
                    clock=clock.now_ns,
                    wait=told.wait,
                    interval_s=settings.live.poll_interval_seconds,
                    on_poll=tell,
                )
        if told.is_set():
            note(f"stopped; all is in {journal.path}, the same command goes on from there")
        mirror(setup.lake, journal, setup.now_ns, note)
        found = summary(journal)
    _print(found, as_json)
    if unanswered:
        raise unanswered[0]


def _stopping() -> None:
    """Said by a signal's handler, which may find the stream in the middle of another line."""
    text = "stopping after this step (once more to stop at once)"
    try:
        note(text)
    except RuntimeError:  # a stream takes no line while it takes one
        os.write(2, f"{text}\n".encode())


def _show(path: Path, as_json: bool) -> None:
    from cq.execution.journal import Journal
    from cq.execution.summary import summary

    with Journal.read(path) as journal:
        if not journal.begun():
            raise NoJournal(path)
        found = summary(journal)
    _print(found, as_json)


def _print(found: dict[str, Any], as_json: bool) -> None:
    from cq.cli import live_output

    if as_json:
        print_json(found)
    else:
        live_output.print_summary(found)
