"""`cq demo`: the whole path on a generated market, offline, in under a minute."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cq.cli.output import note, print_json, print_table
from cq.errors import LakeUnwritable

if TYPE_CHECKING:
    from cq.backtest import BacktestResult
    from cq.lake import Lake
    from cq.sim.market import GeneratedMarket
    from cq.strategies import Strategy
    from cq.utils.settings import Settings

FROM, UNTIL = "2024-01-01", "2026-01-01"
MINUTES_SINCE = "2025-12-30"
REPLAYED_SINCE = "2025-12-25"


@click.command()
@click.argument("folder", default="demo", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=0, show_default=True, help="Another seed is another market.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def demo(folder: Path, seed: int, as_json: bool) -> None:
    """Make a project in FOLDER (`demo` by default) and show the whole path there, offline.

    Two years of generated bars land in a lake, are checked, and every strategy in
    configs/strategies is backtested; then a paper replay of the last week is held against the
    backtest. The exchange is not asked for anything; the same seed gives the same numbers.
    """
    from cq.lake import Lake
    from cq.project import create
    from cq.sim.market import GeneratedMarket
    from cq.utils.config import defaults
    from cq.utils.time import parse_time

    began = time.perf_counter()
    settings = defaults(folder.resolve())
    lake = Lake(settings.data_root)
    market = GeneratedMarket(parse_time(FROM), parse_time(UNTIL), seed)
    _check_is_ours(folder, lake, market)
    create(folder)
    with _step("bars into the lake"):
        landed = _ingest(lake, market)
    with _step("quality checks"):
        quality = _quality(lake, market)
    found = {
        "folder": str(folder),
        "seed": seed,
        "bars": landed,
        "quality": quality,
        **_strategies(lake, settings, folder),
        "seconds": round(time.perf_counter() - began, 1),
    }
    if as_json:
        print_json(found)
    else:
        _print(found, folder)


class _step:  # noqa: N801  # reads as a word: with _step("…")
    """Say what is being done, and how long it took."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            note(f"  {self.what:36} {time.perf_counter() - self.began:5.1f} s")


def _check_is_ours(folder: Path, lake: Lake, market: GeneratedMarket) -> None:
    from cq.errors import UsageError

    others = set(lake.stored()["exchange"]) - {market.name}
    if others:
        raise UsageError(
            f"{folder} holds bars of {', '.join(sorted(others))}: a project of your own; "
            "name another folder, such as `cq demo somewhere-else`"
        )


def _ingest(lake: Lake, market: GeneratedMarket) -> int:
    """Hours of every symbol, and the last days of the thinnest one by the minute."""
    from cq.ingest.backfill import backfill
    from cq.utils.time import parse_time

    start, end = market.start_ns, market.end_ns
    page = 1_000_000
    reports = backfill(lake, market, market.symbols, "1h", start, end, now_ns=end, page_bars=page)
    reports += backfill(
        lake,
        market,
        market.symbols[-1:],
        "1m",
        parse_time(MINUTES_SINCE),
        end,
        now_ns=end,
        page_bars=page,
    )
    with suppress(LakeUnwritable):
        lake.refresh_catalog()
    return sum(report.landed + report.already_there for report in reports)


def _quality(lake: Lake, market: GeneratedMarket) -> dict[str, Any]:
    from cq.lake.quality import run_checks
    from cq.lake.quality_reports import write_report

    report = run_checks(lake, now_ns=market.end_ns)
    path = write_report(report, market.end_ns)
    return {"errors": report.errors, "warnings": report.warnings, "report": str(path)}


def _strategies(lake: Lake, settings: Settings, folder: Path) -> dict[str, list[Any]]:
    """Every strategy of the project: backtested, then replayed on paper, if paper can do it."""
    from cq.execution.plan import research_only
    from cq.strategies import load

    found: dict[str, list[Any]] = {"strategies": [], "replays": [], "reports": []}
    for path in sorted((folder / "configs" / "strategies").glob("*.yaml")):
        strategy = load(path)
        results = folder / "runs" / strategy.name
        with _step(f"backtest {strategy.name}"):
            result = _backtest(lake, strategy, settings, results)
        found["reports"].append(str(results / "report.html"))
        found["strategies"].append({"strategy": strategy.name, **result.metrics})
        if research_only(strategy, strategy.backtest(settings.backtest)) is None:
            with _step(f"paper replay {strategy.name}"):
                found["replays"].append(_replay(lake, strategy, settings, folder))
    return found


def _backtest(lake: Lake, strategy: Strategy, settings: Settings, folder: Path) -> BacktestResult:
    from cq.backtest import run
    from cq.backtest.result import write_run
    from cq.backtest.tried import deflated, tried
    from cq.report import write_report

    began, began_s = datetime.now(UTC), time.perf_counter()
    result = run(lake, strategy, settings.backtest, quote=settings.quote)
    result.write(folder)
    luck = deflated(result, tried(folder.parent, result.config))
    write_report(result, folder, luck, lake)
    write_run(folder, began, time.perf_counter() - began_s, luck)
    return result


def _replay(lake: Lake, strategy: Strategy, settings: Settings, folder: Path) -> dict[str, Any]:
    """The last week on paper, against the backtest of the same week."""
    from cq.backtest import run
    from cq.execution.replay import replay
    from cq.execution.start import Setup, replaying
    from cq.execution.summary import equity, trades
    from cq.utils.time import parse_time

    since = parse_time(REPLAYED_SINCE)
    backtest = strategy.backtest(settings.backtest)
    setup = Setup(
        lake=lake,
        strategy=strategy,
        backtest=backtest,
        live=settings.live,
        now_ns=parse_time(UNTIL),
        quote=settings.quote,
        journal=folder / "runs" / f"paper-{strategy.name}.db",
        fresh=True,
    )
    with replaying(setup, since) as (trader, bars):
        done = replay(trader, bars)
        on_paper, worth = trades(trader.journal), equity(trader.journal)
    tested = run(lake, strategy, settings.backtest, since, quote=settings.quote)
    return {
        "strategy": strategy.name,
        "bars": done.total,
        "trades": on_paper.height,
        "equal": on_paper.equals(tested.trades) and worth["equity"].equals(tested.equity["equity"]),
    }


SHOWN: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("trades", "trades", lambda value: f"{value:,.0f}"),
    ("total_return", "return", lambda value: f"{value:+.1%}"),
    ("buy_and_hold", "buy and hold", lambda value: f"{value:+.1%}"),
    ("annualized_return", "a year", lambda value: f"{value:+.1%}"),
    ("sharpe", "Sharpe", lambda value: f"{value:.2f}"),
    ("max_dd", "max drawdown", lambda value: f"{value:.1%}"),
    ("hit_rate", "hit rate", lambda value: f"{value:.0%}"),
    ("payoff", "payoff", lambda value: f"{value:.2f}"),
    ("turnover", "turnover", lambda value: f"{value:.1f}"),
)


def _print(found: dict[str, Any], folder: Path) -> None:
    quality = found["quality"]
    click.echo(
        f"\n{found['bars']:,} bars in {folder / 'lake'}; quality: "
        f"errors {quality['errors']}, warnings {quality['warnings']}\n"
    )
    print_table(
        ("strategy", *(title for _, title, _ in SHOWN)),
        [
            (
                row["strategy"],
                *("–" if row[key] is None else form(row[key]) for key, _, form in SHOWN),
            )
            for row in found["strategies"]
        ],
    )
    click.echo()
    for one in found["replays"]:
        verdict = "equal to the backtest" if one["equal"] else "DIFFERENT from the backtest"
        counts = f"{one['bars']} bars, {one['trades']} trade{'s' * (one['trades'] != 1)}"
        click.echo(f"paper replay of {one['strategy']}: {counts}, {verdict}")
    click.echo("\nreports: " + "\n         ".join(found["reports"]))
    cq = _command()
    click.echo(f"next:    cd {folder}")
    click.echo(
        f'         {cq} lake sql "select symbol, count(*) as bars from bars group by symbol"'
    )
    click.echo(f"         {cq} backtest configs/strategies/crossover_btc.yaml --set slow=720")
    click.echo(f"         {cq} init ../mine   # a project of your own, for real bars")
    click.echo(f"({found['seconds']} s)")


def _command() -> str:
    """How to call cq from the demo's folder: by name where it is on the path, else by its place."""
    if shutil.which("cq"):
        return "cq"
    here = Path(sys.argv[0]).resolve()
    return shlex.quote(str(here)) if here.name == "cq" else "python -m cq"
