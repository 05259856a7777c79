"""`cq runs`: what was run, how it went, and whether it still comes out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cq.cli.app import App
from cq.cli.output import note, print_json, print_table
from cq.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from cq.backtest.kept import Kept
    from cq.backtest.rerun import Rerun

COLUMNS = ("run", "started", "mode", "strategy", "interval", "symbols")
FIGURES = ("total_return", "buy_and_hold", "sharpe", "max_dd", "trades", "trials", "dsr")
SORTS = ("started", *FIGURES)
MODES = ("backtest", "paper", "replay", "trial")


@click.group()
def runs() -> None:
    """List the runs below runs/, look at one, hold some against each other, run one again.

    A run is named by its folder, by a part of that name which no other has, by a path, or `last`.
    """


@runs.command("list")
@click.option("--strategy", help="Only runs of strategies of this name.")
@click.option("--mode", type=click.Choice(MODES), help="Only runs that were made so.")
@click.option("--trials", is_flag=True, help="Also each trial of a sweep.")
@click.option("--sort", default="started", help="By which column, highest first.")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.pass_obj
def list_(
    app: App,
    strategy: str | None,
    mode: str | None,
    sort: str,
    limit: int,
    *,
    trials: bool,
    as_json: bool,
) -> None:
    """Show the newest runs, or the best: `cq runs list --sort sharpe`.

    A run whose files cannot be read is passed over, with a warning that names it.
    """
    import polars as pl

    if sort not in SORTS:
        raise UsageError(f"--sort {sort}: expected one of {', '.join(SORTS)}")
    hidden = 0
    everything = app.lake.sql(f"select {', '.join((*COLUMNS, *FIGURES))} from runs").lazy()
    rows = everything
    if strategy is not None:
        rows = rows.filter(pl.col("strategy") == strategy)
    if mode is not None:
        rows = rows.filter(pl.col("mode") == mode)
    elif not trials:
        hidden = rows.filter(pl.col("mode") == "trial").select(pl.len()).collect().item()
        rows = rows.filter(pl.col("mode") != "trial")
    order = rows.sort([sort, "run"], descending=True, nulls_last=True)
    found = order.head(limit).collect()
    _warn(app)
    if as_json:
        print_json(found.to_dicts())
        return
    print_table([*COLUMNS, *FIGURES], [_row(one) for one in found.to_dicts()])
    if hidden:
        note(f"and {hidden:,} trials of sweeps: --trials lists them too")
    elif found.is_empty():
        others = everything.select(pl.len()).collect().item()
        note(
            f"none of {others:,} runs is such a one; `cq runs list` shows them"
            if others
            else "no runs; make one with `cq backtest FILE`"
        )


UNREADABLE = """
select run || '/' || file from raw.runs
where file in ('config.json', 'metrics.json', 'run.json')
    and coalesce(json_type(try_cast(content as json)), '') <> 'OBJECT'
order by all
"""


def _warn(app: App) -> None:
    """Name what the view `runs` passes over."""
    if broken := app.lake.sql(UNREADABLE).to_series().to_list():
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        note(
            f"warning: {app.lake.runs / broken[0]}{more}: no JSON object, so that the run is not "
            "listed; take the folder away, and run it again"
        )


def _row(run: dict[str, Any]) -> list[Any]:
    from cq.backtest.show import text

    shown = {**run, "symbols": ", ".join(run["symbols"] or ())}
    return [shown[name] for name in COLUMNS] + [text(name, run[name]) for name in FIGURES]


@runs.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(app: App, run: str, *, as_json: bool) -> None:
    """Say all about RUN: what it was, what it read, every metric, e.g. `cq runs show last`."""
    from cq.backtest.kept import find

    one = find(app.project / "runs", run)
    if as_json:
        print_json({**one.said, "folder": str(one.folder), "metrics": one.values,
                    "config": one.config})  # fmt: skip
        return
    rows = [*_facts(one), ("", ""), *_figures(one)]
    width = max(len(label) for label, _ in rows)
    for label, said in rows:
        click.echo(f"{label:<{width}}  {said}".rstrip())
    for warning in one.config.get("warnings", ()):
        click.echo(f"warning: {warning}")


def _facts(one: Kept) -> list[tuple[str, str]]:
    config, data = one.config, one.config.get("data", {})
    strategy, code = config.get("strategy", {}), config.get("code", {})
    known = ("name", "kind", "symbols", "backtest")
    settings = {name: value for name, value in strategy.items() if name not in known}
    found = [
        ("run", one.name),
        ("folder", str(one.folder)),
        ("started", f"{one.said.get('started', '–')} ({one.said.get('elapsed_s', '–')} s)"),
        ("strategy", f"{strategy.get('name')} ({strategy.get('kind')})"),
        ("symbols", ", ".join(config.get("symbols") or ())),
        ("parameters", ", ".join(f"{key}={value}" for key, value in _plain(settings))),
    ]
    if data:
        found += [
            ("data", f"{data['rows']:,} rows, {data['first']} to {data['last']}"),
            ("digest", f"{data.get('digest')}, {len(data.get('files', ()))} files"),
            ("code", f"cq {code.get('cq')}, sources {code.get('sources')}"),
        ]
    if "python" in code:
        own = {str(strategy.get("python")): code["python"], **code.get("imports", {})}
        found.append(("own code", ", ".join(f"{file} {said[:12]}" for file, said in own.items())))
    return found


def _plain(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    from cq.backtest.kept import flattened

    return [(key, value) for key, value in flattened(settings) if value not in (None, {}, [])]


def _figures(one: Kept) -> list[tuple[str, str]]:
    from cq.backtest.definitions import BY_NAME
    from cq.backtest.show import text

    return [
        (BY_NAME[name].label, text(name, value))
        for name, value in one.values.items()
        if name in BY_NAME
    ]


@runs.command()
@click.argument("names", metavar="RUN RUN...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def compare(app: App, names: tuple[str, ...], *, as_json: bool) -> None:
    """Hold runs side by side: metrics, configuration, data, e.g. `cq runs compare 1a2b3c last`."""
    from cq.backtest.definitions import BY_NAME
    from cq.backtest.kept import differing, find
    from cq.backtest.show import text

    if len(names) < 2:
        raise UsageError("compare needs two runs or more")
    found = [find(app.project / "runs", name) for name in names]
    metrics = {
        name: [one.values.get(name) for one in found]
        for name in BY_NAME
        if any(name in one.values for one in found)
    }
    settings = differing([one.config for one in found])
    settings.pop("data.files", None)
    if as_json:
        print_json({"runs": [one.name for one in found], "metrics": metrics,
                    "configuration": settings})  # fmt: skip
        return
    heads = [chr(ord("A") + at) for at in range(len(found))]
    for head, one in zip(heads, found, strict=True):
        click.echo(f"{head}  {one.name}")
    click.echo()
    rows = [[BY_NAME[name].label, *(text(name, one) for one in row)]
            for name, row in metrics.items()]  # fmt: skip
    print_table(["metric", *heads], rows)
    click.echo()
    if settings:
        print_table(
            ["differs", *heads], [[key, *map(_short, row)] for key, row in settings.items()]
        )
    else:
        click.echo("the same configuration, code and data")


def _short(value: Any) -> str:
    said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return said if len(said) <= 40 else said[:37] + "…"


@runs.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def rerun(app: App, run: str, *, as_json: bool) -> None:
    """Run RUN again over the lake as it is now: prove that the same comes out, or say what changed.

    The configuration that the run has kept is used, not what the strategy's file says by now.
    Results are compared byte by byte. Ends in exit code 1 where they or the data differ, and names
    the files of the lake, and of your own code, that are not what they were.

    Try: cq runs rerun last
    """
    from cq.backtest.kept import find
    from cq.backtest.rerun import rerun as again

    kept = find(app.project / "runs", run, "backtest")
    found = again(app.lake, kept, app.project, app.settings.backtest)
    if as_json:
        print_json(found.as_dict())
    else:
        _say(found)
    if not found.same:
        raise CheckFailed(f"{found.run} does not come out the same: {_what(found)}")


def _what(found: Rerun) -> str:
    if gone := [name for name, verdict in found.results.items() if verdict == "missing"]:
        return f"its folder has no {', '.join(gone)} any more"
    kinds = ("data", "code", "configuration")
    changed = [kind for kind in kinds if getattr(found, kind)]
    if not changed and found.unknown:
        return (
            "neither data, code nor configuration changed, as far as the run says; what "
            f"{', '.join(found.unknown)} was then is not known"
        )
    if not changed:
        return (
            "neither data, code nor configuration changed; is it another machine or version, or "
            "were its files edited?"
        )
    paths = [path for some in found.files.values() for path in some] + found.imports
    where = f" in {', '.join(paths[:3])}" if paths else ""
    return f"{', '.join(changed)} changed{where}"


def _say(found: Rerun) -> None:
    for name, verdict in found.results.items():
        click.echo(f"{name:<15} {'same bytes' if verdict == 'same' else verdict}")
    click.echo(f"{'data':<15} {'differ' if found.data else 'same rows'}"
               f"{' in other files' if found.moved else ''}")  # fmt: skip
    for one in found.data:
        if "rows_a" not in one:
            click.echo(f"  {one['dataset']} {one['problem']}: what was read then is not known")
            continue
        owner = " ".join(
            str(one[key]) for key in ("exchange", "symbol", "interval") if one.get(key)
        )
        counts = f"{one.get('rows_a')} rows then, {one.get('rows_b')} now"
        click.echo(f"  {owner} {one.get('period', one.get('problem'))}: {counts}")
    for kind, paths in found.files.items():
        for path in paths:
            click.echo(f"  {kind}: {path}")
    for kind in ("code", "configuration", "metrics"):
        changed = getattr(found, kind)
        if kind != "metrics":
            click.echo(f"{kind:<15} {'changed' if changed else 'same'}")
        for path, (then, now) in changed.items():
            click.echo(f"  {path}: {_short(then)} then, {_short(now)} now")
        for path in found.unknown if kind == "code" else ():
            click.echo(f"  {path}: what it was then is not known")
    for path, (then, now) in found.said_now.items():
        note(f"note: {path} was {_short(then)} and would now be {_short(now)}: files have changed")
    if found.same:
        note(f"{found.run} comes out the same")
