"""`cq lake repair`: fetch or rebuild the bars that are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.lake_gaps import OURS, SHOWN, plain, row, summary
from cq.cli.lake_sql import refresh
from cq.cli.output import note, print_json, print_table
from cq.cli.periods import SINCE, period_of
from cq.cli.symbols import in_lake, symbols_argument
from cq.utils.clock import now_ns

if TYPE_CHECKING:
    from cq.ingest.repair import Repaired
    from cq.lake.quarantine import Quarantined
    from cq.lake.verify import Damaged

COLUMNS = ("exchange", "symbol", "interval", "from", "to", "bars", "class", "what to do")


@click.command()
@symbols_argument
@click.option("--since", metavar="DATE", help="First instant to mend.")
@click.option("--until", metavar="DATE", help="Mend up to here, exclusive.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--no-fetch", is_flag=True, help="Only make bars of trades in the lake; no network.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def repair(
    app: App,
    *,
    symbols: tuple[str, ...],
    since: str | None,
    until: str | None,
    dry_run: bool,
    no_fetch: bool,
    as_json: bool,
) -> None:
    """Mend the bars of SYMBOLS (all by default), e.g. `cq lake repair BTC-BRL --dry-run`.

    Damaged files are moved to quarantine/ first, so that what they held can come back. Bars that
    were never fetched, or are lost, are made of the lake's trades where all of theirs are there,
    else fetched again. Nothing is made up: what cannot be mended stays missing, with its
    class (`cq lake gaps`). Bars that cq made, and that a late trade spoilt, are made again.
    The same command again completes an interrupted one.
    """
    from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
    from cq.ingest.repair import repair as repaired
    from cq.lake.places import is_remote
    from cq.lake.quarantine import quarantine
    from cq.lake.verify import verify
    from cq.lake.windows import words_in
    from cq.utils import log

    settings, now = app.settings, now_ns()
    zone = settings.timezone
    start, end = period_of(since, until, zone, SINCE)
    lake = app.found_lake
    known = words_in(lake, "symbol", ["ohlcv", "coverage"])  # by folders: files may be damaged
    symbols = in_lake(app, symbols, known)
    if not known and not as_json:
        note(app.none_yet("no bars"))
        return
    if dry_run:
        plan(app, symbols, start, end, fetch=not no_fetch, as_json=as_json)
        return
    log.configure(settings)
    lake.prepare()
    moved: Sequence[Quarantined] = ()
    if not is_remote(lake.root):  # storage proves its own bytes
        moved = quarantine(lake, verify(lake, symbols).damaged, now_ns=now)
    with ExitStack() as stack:
        market = None
        if not no_fetch:
            market = stack.enter_context(MercadoBitcoin(Rest(settings.ingestion)))
        done = repaired(
            lake,
            market,
            symbols or None,
            start,
            end,
            now_ns=now,
            page_bars=settings.ingestion.page_bars,
            exclusions=settings.exclusions,
        )
    say(done, moved, as_json=as_json)
    refresh(app)
    if done.error is not None:
        raise done.error


def plan(
    app: App,
    symbols: tuple[str, ...],
    start: int | None,
    end: int | None,
    *,
    fetch: bool,
    as_json: bool,
) -> None:
    """Say of each run of missing bars that is ours to mend what a repair would do."""
    from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
    from cq.ingest.repair import FROM_TRADES
    from cq.ingest.spoilt import spoilt
    from cq.lake.places import is_remote
    from cq.lake.verify import verify

    with MercadoBitcoin(Rest(app.settings.ingestion)) as market:
        name, intervals = market.name, market.intervals

    def what(run: dict[str, Any]) -> str:
        if run["reason"] == FROM_TRADES:
            return "make of trades"
        if (run["exchange"], run["interval"] in intervals) != (name, True):
            return "nothing: not of an exchange and interval that can be fetched"
        if run["symbol"] in app.settings.exclusions:
            return "nothing: among the exclusions"
        return "fetch" if fetch else "nothing: not without fetching"

    damaged = () if is_remote(app.found_lake.root) else verify(app.lake, symbols).damaged
    if damaged:
        _say_damaged(damaged, as_json=as_json)
        return
    runs = app.found_lake.gaps(
        symbols or None, None, start, end, classes=OURS, now_ns=now_ns()
    ).to_dicts()
    wrong = spoilt(app.lake, symbols, start, end)
    again = wrong.filter("ours").height
    if as_json:
        does = [plain(one) | {"do": what(one)} for one in runs]
        print_json(
            {
                "plan": does,
                "spoilt": again,
                "disagreeing": wrong.height - again,
                "damaged": [],
            }
        )
        return
    if again:
        note(f"{again:,} bars that late trades have spoilt would be made again")
    if runs:
        print_table(COLUMNS, [(*row(one)[:-1], what(one)) for one in runs[:SHOWN]])
        if len(runs) > SHOWN:
            note(f"and {len(runs) - SHOWN:,} more; --json has all")
        click.echo()
        bars: Counter[str] = Counter()
        for one in runs:
            bars[what(one)] += one["bars"]
        print_table(("what repair does", "bars"), bars.most_common())
    else:
        note("no bar is missing that could be mended")


def _say_damaged(damaged: Sequence[Damaged], *, as_json: bool) -> None:
    """What of these files is left, and so what is missing, shows when they are moved."""
    if as_json:
        files = [one.as_dict() for one in damaged]
        print_json({"plan": [], "spoilt": 0, "disagreeing": 0, "damaged": files})
        return
    for one in damaged:
        click.echo(f"{one.path} is damaged ({one.problem}) and would be moved to quarantine/")
    note("the bars that they held would be mended, too; `cq lake verify --quarantine` only moves "
         "the files, and then a dry run tells of the bars")  # fmt: skip


def say(done: Repaired, moved: Sequence[Quarantined], *, as_json: bool) -> None:
    """What was done, and what is left by class."""
    before, after = summary(done.before), summary(done.after)
    if as_json:
        print_json(
            {
                "quarantined": [one.as_dict() for one in moved],
                "rebuilt": done.rebuilt,
                "corrected": done.corrected,
                "disagreeing": done.disagreeing,
                "fetched": done.fetched,
                "requests": done.requests,
                "refused": list(done.refused),
                "before": before,
                "left": after,
            }
        )
        return
    print_table(
        ("class", "missing before", "missing now"),
        [(name, before[name]["bars"], after[name]["bars"]) for name in before],
    )
    for one in moved:
        note(f"cq: {one.file} was damaged ({one.problem}) and is in quarantine/ now")
    note(f"{done.rebuilt:,} bars made of trades, {done.fetched:,} fetched")
    if done.corrected:
        note(f"{done.corrected:,} bars that late trades had spoilt made again")
    if done.disagreeing:
        note(
            f"{done.disagreeing:,} bars differ from their trades and stay: not our making, "
            "or they lie where nothing is replaced; `cq lake sql 'from trades_disagree'` has them"
        )
    for refusal in done.refused:
        note(f"cq: {refusal}")
    if left := sum(after[name]["bars"] for name in OURS):
        note(f"{left:,} bars could not be mended; `cq lake gaps` says why")
