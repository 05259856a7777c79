"""`cq montecarlo`: what else could have become of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.output import note, print_json, print_table
from cq.cli.quick import importing
from cq.cli.stopping import keeping_nothing

if TYPE_CHECKING:
    from cq.sweeps.montecarlo import Spread

METHODS = ("trades", "blocks", "starts")


@click.command()
@click.argument("run")
@click.option(
    "--method", "methods", type=click.Choice(METHODS), multiple=True,
    help="trades: draw round trips again; blocks: runs of days; starts: run it from other dates. "
    "By default all three, less what the run has too few round trips or days for.",
)  # fmt: skip
@click.option("--samples", type=int, default=1_000, show_default=True, help="Histories to draw.")
@click.option(
    "--block", type=int, default=20, show_default=True, help="Days of a block, in the mean."
)
@click.option("--starts", type=int, default=30, show_default=True, help="Dates to start from.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_obj
@keeping_nothing()
def montecarlo(
    app: App,
    run: str,
    methods: tuple[str, ...],
    samples: int,
    block: int,
    starts: int,
    seed: int,
    as_json: bool,
) -> None:
    """Draw other histories of RUN (its name, part of it, or `last`): final returns and drawdowns.

    Round trips and days are drawn again with replacement; the strategy is run again from other
    dates within the first fifth of its period. Nine in ten
    of the histories lie between p5 and p95.

    Try: cq montecarlo last --samples 5000 --seed 7
    """
    with importing():
        from cq.backtest.kept import find
        from cq.sweeps.montecarlo import monte_carlo

    kept = find(app.project / "runs", run, "backtest")
    spreads = monte_carlo(
        app.lake, kept, app.project, methods=methods, samples=samples, block=block,
        starts=starts, seed=seed, say=note,
    )  # fmt: skip
    if as_json:
        print_json({"run": kept.name, "seed": seed, "spreads": [one.as_json() for one in spreads]})
    else:
        _print(kept.name, spreads)


def _print(name: str, spreads: list[Spread]) -> None:
    rows = []
    for one in spreads:
        said = one.as_json()
        for metric in ("total_return", "max_dd"):
            rows.append([one.method, said["samples"], metric, *said[metric].values()])
    print_table(["method", "samples", "metric", "p5", "p25", "p50", "p75", "p95"], rows, name)
    click.echo("")
    for one in spreads:
        click.echo(f"{one.method}: {one.as_json()['loss']:.1%} of the histories lose money")
